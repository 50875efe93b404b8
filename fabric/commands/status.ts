import { type Command, EXIT, type Invocation } from '../../cli/program.ts';
import { VERSION } from '../../os/service/process.ts';
import { counted } from '../../protocol/words.ts';
import { machineProbes } from '../doctor/probes.ts';
import { listHandshakes } from '../operations/audit.ts';
import { askServing, type Serving, servedText } from '../operations/contract/serving.ts';
import { listNetworks } from '../operations/networks.ts';
import { overview } from '../operations/overview.ts';
import type { HandshakeView } from '../operations/views/handshakes.ts';
import type { OverviewView } from '../operations/views/overview.ts';
import { pathOf } from '../pki/files.ts';
import { eachRow } from '../registry/pages.ts';
import { FABRIC, type Fabric, withFabric } from './common/context.ts';
import { when } from './common/list.ts';
import { remoteOf } from './common/remote.ts';

const DAY_MS = 86_400_000;
/** Of the newest refusals, whose reasons are counted. */
const REFUSALS = 200;
const REASONS_SHOWN = 3;
const PLACES_SHOWN = 5;

/** What only the host of a fabric can tell. */
interface HostStatus {
  /** Null: it has not started yet; undefined: none is serving. */
  readonly serving: Serving | null | undefined;
  /** When the first certificate of the router and its root ends, milliseconds since 1970. */
  readonly certificatesUntil: number;
}

interface Reason {
  readonly result: string;
  readonly times: number;
}

export const status: Command = {
  name: 'status',
  summary:
    'Shows the fabric at a glance: devices, handshakes of 24 hours, where from, what listens, certificates.',
  options: [
    { name: 'check', help: 'the exit code says whether a fabric is serving: 0, else 1; prints one line' },
    ...FABRIC,
  ],
  examples: [
    'enf-fabric status',
    'enf-fabric status --json',
    'enf-fabric status --check',
    'enf-fabric status --api https://fabric.example:8480 --token-file token',
  ],
  async run(invocation) {
    if (invocation.flag('check')) return checkServing(invocation);
    await withFabric(invocation, async (fabric) => {
      const numbers = await fabric.run(overview, {});
      const reasons = await newestReasons(fabric);
      const host =
        (await remoteOf(invocation)) === undefined ? await hostStatus(invocation, fabric) : undefined;
      const json = {
        version: VERSION,
        ...numbers,
        refusedLately: reasons,
        ...(host !== undefined && {
          serving: host.serving ?? null,
          certificatesUntil: new Date(host.certificatesUntil).toISOString(),
        }),
      };
      invocation.print(json, () => statusText(numbers, reasons, host));
    });
    return undefined;
  },
};

/** Asks nothing of the registry: for whoever looks every few seconds. */
async function checkServing(invocation: Invocation): Promise<number> {
  const remote = await remoteOf(invocation);
  if (remote !== undefined) {
    await withFabric(invocation, (fabric) => fabric.run(listNetworks, { limit: 1 }));
    invocation.print({ serving: true }, () => 'serving');
    return EXIT.ok;
  }
  const serving = await askServing(pathOf(invocation.required('data'), 'control'));
  invocation.print({ serving: serving ?? null }, () => servingText(serving));
  return serving ? EXIT.ok : EXIT.failed;
}

async function hostStatus(invocation: Invocation, fabric: Fabric): Promise<HostStatus> {
  const networks = () => eachRow((page) => fabric.run(listNetworks, page));
  const probes = machineProbes(invocation.required('data'), networks);
  const certificates = await probes.certificates();
  return {
    serving: await probes.serving(),
    certificatesUntil: Math.min(...certificates.map(({ toMs }) => toMs)),
  };
}

/** Why the newest were refused within a day, the most frequent reason first. */
async function newestReasons(fabric: Fabric): Promise<readonly Reason[]> {
  const { rows } = await fabric.run(listHandshakes, { limit: REFUSALS, result: 'refused' });
  const since = Date.now() - DAY_MS;
  const times = new Map<string, number>();
  for (const { result } of rows.filter(({ at }: HandshakeView) => Date.parse(at) >= since))
    times.set(result, (times.get(result) ?? 0) + 1);
  return [...times]
    .map(([result, each]) => ({ result, times: each }))
    .sort((one, other) => other.times - one.times);
}

function statusText(numbers: OverviewView, reasons: readonly Reason[], host: HostStatus | undefined): string {
  const { devices, groups, networks, handshakes, countries, audit } = numbers;
  const { total, online, suspended } = devices;
  const places = countries
    .filter((each) => each.devices > 0)
    .slice(0, PLACES_SHOWN)
    .map((each) => `${each.country ?? '?'} ${each.devices}`);
  const why = reasons.slice(0, REASONS_SHOWN).map(({ result, times }) => `${times} × ${result}`);
  return [
    ...(host === undefined ? [] : [`Serving       ${servingText(host.serving)}`]),
    `Devices       ${total}: ${online === null ? 'nobody knows how many are online' : `${online} online`}, ${standingsText(devices)}, ${suspended} of suspended groups`,
    `Groups        ${groups} in ${counted(networks, 'network')}`,
    `Handshakes    ${handshakes.ok} admitted, ${handshakes.refused} refused${handshakes.abandoned === 0 ? '' : `, ${handshakes.abandoned} left by their clients`} within 24 hours`,
    ...(why.length === 0 ? [] : [`Refused       ${why.join(', ')}`]),
    ...(places.length === 0 ? [] : [`Devices from  ${places.join(', ')}`]),
    `Audit         ${audit === null ? 'empty' : `${audit.seq}:${audit.hash}`}`,
    ...(host === undefined
      ? []
      : [`Certificates  until ${when(new Date(host.certificatesUntil).toISOString())}`]),
    `Version       ${VERSION}`,
  ].join('\n');
}

/** The numbers add up: whoever is in two of them is named. */
function standingsText(devices: OverviewView['devices']): string {
  const { active, banned, evicted, bannedAndEvicted, retired } = devices;
  const both = bannedAndEvicted === 0 ? '' : ` (${bannedAndEvicted} of these banned as well)`;
  return `${active} active, ${banned} banned, ${evicted} evicted${both}, ${retired} retired`;
}

function servingText(serving: HostStatus['serving']): string {
  if (serving === undefined) return 'no fabric is serving; start it with "enf-fabric serve"';
  if (serving === null) return 'starting';
  const { tunnel, host } = serving;
  if (tunnel === null) return servedText(serving);
  return `${servedText(serving)}, ${host === null ? 'without a TUN device' : `TUN ${host.tun}`}`;
}
