import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { generateP256 } from '../../../crypto/primitives.ts';
import { emptyRegistry, openRegistry } from '../../../fabric/open-registry.ts';
import { parseNetwork } from '../../../fabric/registry/records.ts';
import { type Router, startRouter } from '../../../fabric/router/router.ts';
import { formatIpv6, parseIpv6 } from '../../../protocol/ipv6.ts';
import { type IdentityFiles, identityFiles } from '../../fabric/identities.ts';
import type { WholeRegistry as Registry } from '../../fabric/place.ts';
import { wholeOf } from '../../fabric/place.ts';
import { countWrites } from '../../fabric/registry-writes.ts';
import type { Attack, Effort, Row } from './attack.ts';

/** Shorter, and what a device may do at once would weigh too much in what it does in a second. */
const LEAST_SECONDS = 20;
/** Connections under way at the same time. */
const AT_ONCE = 4;
/** Attempts of an honest device from the same address. */
const HONEST = 20;

/** A device with a valid key that does nothing but connect: what it costs the log and the registry, and whom it keeps out. */
export const oneDevice: Attack = {
  id: 'A6',
  title: 'one device reconnects as fast as it can',
  async measure({ seconds }, say) {
    const place = await prepared();
    const { router, lines, written } = place;
    const load = { seconds: Math.max(seconds, LEAST_SECONDS) };
    try {
      const measured = async (attack: (until: number) => Promise<unknown>) => {
        const before = { lines: lines(), written: written(), refused: router.tooOften };
        const until = performance.now() + load.seconds * 1_000;
        const [honest] = await Promise.all([honestConnects(place, load), attack(until)]);
        say(`${router.tooOften - before.refused} connections refused`);
        const perSecond = (now: number, then: number): number => (now - then) / load.seconds;
        return {
          lines: perSecond(lines(), before.lines),
          written: perSecond(written(), before.written),
          honest,
        };
      };
      const quiet = await measured((until) => pause(until - performance.now()));
      const attacked = await measured((until) => reconnects(router, place.device, until));
      const row = (what: string, unit: string, key: keyof typeof quiet, must: Row['must']): Row => ({
        ...{ what, unit, must },
        without: quiet[key],
        with: attacked[key],
      });
      return [
        row('log lines', '/s', 'lines', { atMost: 1 }),
        row('rows written in the registry', '/s', 'written', { atMost: 1 }),
        row('honest connects from the same address', '%', 'honest', { atLeast: 95 }),
      ];
    } finally {
      await place.remove();
    }
  },
};

interface Enrolled extends IdentityFiles {
  readonly address: Uint8Array;
}

interface Place {
  readonly router: Router;
  readonly device: Enrolled;
  /** Each connects once. */
  readonly others: Enrolled[];
  /** Lines and writes about the device that attacks, so far. */
  lines(): number;
  written(): number;
  remove(): Promise<void>;
}

async function prepared(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'enf-one-device-'));
  const path = join(folder, 'registry.db');
  writeFileSync(path, emptyRegistry('bench'));
  const registry = wholeOf(await openRegistry(path));
  const group = await anyGroup(registry);
  const device = await enrolled(registry, group);
  const others = await Promise.all(Array.from({ length: 2 * HONEST }, () => enrolled(registry, group)));
  const name = formatIpv6(device.address);
  let lines = 0;
  const router = await startRouter({
    listen: { host: '127.0.0.1', port: 0 },
    ...(await identityFiles(parseIpv6('fd00::1'), generateP256())),
    admission: registry,
    log: (_, message) => {
      if (message.includes(name)) lines++;
    },
  });
  return {
    router,
    device,
    others,
    lines: () => lines,
    written: countWrites(path, device.address),
    async remove() {
      await router.close();
      await registry.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The id of a group whose key nobody verifies. */
async function anyGroup(registry: Registry): Promise<Uint8Array> {
  const network = parseNetwork('fd00:8f80:8000:1::/64');
  await registry.addNetwork('bench', network, '');
  const [gid, gpk, basename] = [randomBytes(32), randomBytes(258), randomBytes(8)];
  await registry.addGroup('bench', { gid, gpk, basename, name: 'bench', network });
  return gid;
}

async function enrolled(registry: Registry, gid: Uint8Array): Promise<Enrolled> {
  const keys = generateP256();
  const address = await registry.admit({
    gid,
    pseudonym: randomBytes(65),
    longtermKey: keys.publicKey,
    requested: new Uint8Array(16),
    source: '127.0.0.1',
    suite: 1,
  });
  return { address, ...(await identityFiles(address, keys)) };
}

/** A tunnel as far as the handshake; undefined if that fails. */
async function connected(
  { port }: Router,
  { certificate, key }: IdentityFiles,
): Promise<TLSSocket | undefined> {
  const socket = connect({ host: '127.0.0.1', port, cert: certificate, key, rejectUnauthorized: false });
  socket.on('error', () => {}).resume();
  const done = await Promise.race([
    once(socket, 'secureConnect').then(() => true),
    once(socket, 'close').then(() => false),
  ]);
  return done ? socket : undefined;
}

/** Connects, leaves and connects again. */
async function reconnects(router: Router, device: Enrolled, until: number): Promise<void> {
  const one = async (): Promise<void> => {
    while (performance.now() < until) {
      const socket = await connected(router, device);
      if (socket === undefined) continue;
      socket.end();
      await once(socket, 'close');
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** Honest devices that connect one after the other: how many of a hundred are let in at the first attempt. */
async function honestConnects({ router, others }: Place, { seconds }: Effort): Promise<number> {
  let admitted = 0;
  for (const other of others.splice(0, HONEST)) {
    const socket = await connected(router, other);
    await pause((seconds * 1_000) / (HONEST + 1));
    const name = formatIpv6(other.address);
    if (router.sessions().some(({ address }) => address === name)) admitted++;
    socket?.destroy();
  }
  return (admitted / HONEST) * 100;
}
