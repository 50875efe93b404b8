import { stderrLog } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { fromHex } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { EVERYTHING } from '../access/scope.ts';
import { openReader } from '../open-registry.ts';
import type { OwnedReader, RegistryReader } from '../registry/registry.ts';
import type { Names } from './answer.ts';
import type { ToNameProcess } from './messages.ts';
import { type NameServer, startNameServer } from './server.ts';
import { serverAddress, type Zone } from './zone.ts';

/** The host gets its address in a network a moment after the network is added. */
const RETRY_MS = 1_000;

/**
 * The main function of the process that answers DNS questions: devices may ask as much as they like, and cost the fabric nothing. It reads
 * the registry beside the fabric, and ends with it. @throws Failure `fabric.not-by-hand`
 */
export function runNameProcess(): Promise<number> {
  if (process.send === undefined) {
    throw new Failure('fabric.not-by-hand', 'operator', 'this is a part of "enf-fabric serve"', {
      action: 'Run "enf-fabric serve" with serve = true in the section [dns] of its configuration.',
    });
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  const running = new Map<string, Promise<NameServer>>();
  const warn = repeatedLine(stderrLog(), 'warning', { each: 1, subjects: 100 });
  let reader: Promise<RegistryReader | undefined> | undefined;
  let wanted: ReadonlyMap<string, Zone> = new Map();

  const start = async (key: string, zone: Zone, names: Names): Promise<void> => {
    const starting = startNameServer(zone, names);
    running.set(key, starting);
    try {
      await starting;
    } catch (error) {
      running.delete(key);
      warn(key, `no DNS at [${formatIpv6(serverAddress(zone))}]:53 yet: ${(error as Error).message}`);
      setTimeout(() => {
        if (wanted.get(key) === zone && !running.has(key)) void start(key, zone, names);
      }, RETRY_MS);
    }
  };

  process.on('message', ({ registry, zones }: ToNameProcess) => {
    reader ??= openReader(registry);
    wanted = new Map(
      zones.map(({ suffix, prefix }) => [`${prefix} ${suffix}`, { suffix, prefix: fromHex(prefix) }]),
    );
    for (const [key, server] of running) {
      if (wanted.has(key)) continue;
      running.delete(key);
      server.then(({ close }) => close()).catch(() => {});
    }
    for (const [key, zone] of wanted) if (!running.has(key)) void start(key, zone, namesOf(zone, reader));
  });
  return new Promise((resolve) => process.on('disconnect', () => resolve(0)));
}

/** The devices of the zone's network. */
function namesOf({ prefix }: Zone, opened: Promise<RegistryReader | undefined>): Names {
  const registry = async () => (await opened)!.of(EVERYTHING);
  return {
    addressOf: async (label) => (await registry()).addressIn(prefix, label),
    nameOf: async (address) => nameOf(await registry(), address),
  };
}

/** A device that is not there has no name. */
async function nameOf(registry: OwnedReader, address: Uint8Array): Promise<string | undefined> {
  try {
    return (await registry.device(address)).name;
  } catch (error) {
    if (isFailure(error, 'fabric.unknown-device')) return undefined;
    throw error;
  }
}
