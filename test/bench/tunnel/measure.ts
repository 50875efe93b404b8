import { cpuSeconds, memoryOf } from '../processes.ts';
import { median } from '../statistics.ts';
import { FAR_ADDRESS } from './path.ts';
import type { Sample } from './row.ts';
import type { Program, Testbed } from './testbed.ts';
import type { Tools } from './tools.ts';

/** A tunnel that stands: the programs that carry it (none for the bare path) and the addresses inside it. */
export interface Standing {
  /** The device's end, whose memory counts. */
  readonly device: Program | undefined;
  /** Everything else that carries its packets. */
  readonly far: readonly Program[];
  readonly deviceAddress: string;
  readonly farAddress: string;
}

export const programsOf = ({ device, far }: Standing): readonly Program[] =>
  device === undefined ? far : [device, ...far];

/** How long and how much; all seconds. */
export interface Effort {
  readonly bulk: number;
  readonly small: number;
  readonly slow: number;
  readonly lossy: number;
  readonly echoes: number;
}

export const FULL: Effort = { bulk: 3, small: 2.5, slow: 6, lossy: 8, echoes: 1_200 };
export const QUICK: Effort = { bulk: 1.5, small: 1.5, slow: 4, lossy: 5, echoes: 500 };

/** Everything a measurement needs to know. `congestion` is the inner flows' congestion control. */
export interface Bench {
  readonly testbed: Testbed;
  readonly tools: Tools;
  readonly effort: Effort;
  readonly congestion: string;
}

const PORT = { bulk: '5001', echo: '5007', small: '5009' } as const;
/** 100-byte payloads offered per second: more than any of them carries. */
const OFFERED = 250_000;
const SMALL_BYTES = 100;
/** TCP's start, which is not counted. */
const SKIP_S = { fast: 0.3, limited: 2 } as const;

interface Transfer {
  readonly bytes: number;
  readonly gbps: number;
}
interface Echoes {
  readonly answers: number;
  readonly p50?: number;
  readonly p99?: number;
}
type Direction = 'up' | 'down';

/** Throughput, CPU, small packets, round trips and memory on the bare path. */
export async function measureFast(bench: Bench, tunnel: Standing): Promise<Sample> {
  const { testbed, tools, effort } = bench;
  testbed.start(testbed.far, [tools.echo, 'serve', PORT.echo]);
  // The machine is faster now and slower then: what is short is looked at several times.
  const idle: Echoes[] = [];
  const listen = async (): Promise<void> => {
    idle.push(await echo(bench, tunnel, Math.round(effort.echoes / 3), 1_000));
  };
  await listen();
  const up = await bulkWithCpu(bench, tunnel, 'up');
  await listen();
  const down = await bulkWithCpu(bench, tunnel, 'down');
  await listen();
  const small = await smallPackets(bench, tunnel);
  const [, loaded] = await Promise.all([
    bulk(bench, tunnel, 'up', SKIP_S.fast, effort.bulk),
    after(SKIP_S.fast, () => echo(bench, tunnel, Math.round(effort.bulk * 150), 5_000)),
  ]);
  const memory = tunnel.device && memoryOf(tunnel.device.pid);
  const p50 = median(idle.flatMap((each) => each.p50 ?? []));
  const p99 = median(idle.flatMap((each) => each.p99 ?? []));
  return {
    ...(p50 !== undefined && { rtt_p50_us: p50 }),
    ...(p99 !== undefined && { rtt_p99_us: p99 }),
    up_gbps: up.gbps,
    down_gbps: down.gbps,
    ...(up.cpuPerGb !== undefined && { cpu_s_per_gb_up: up.cpuPerGb }),
    ...(down.cpuPerGb !== undefined && { cpu_s_per_gb_down: down.cpuPerGb }),
    ...small,
    ...(loaded.p50 !== undefined && { rtt_load_fast_ms: loaded.p50 / 1e3 }),
    ...(memory && { rss_mb: memory.rssMb, pss_mb: memory.pssMb }),
  };
}

/** Throughput and round trips under it on a limited path: what the device sends up. */
export async function measureLimited(
  bench: Bench,
  tunnel: Standing,
  seconds: number,
): Promise<{ mbit: number; rttMs: number | undefined }> {
  const { testbed, tools } = bench;
  testbed.start(testbed.far, [tools.echo, 'serve', PORT.echo]);
  const [moved, loaded] = await Promise.all([
    bulk(bench, tunnel, 'up', SKIP_S.limited, seconds),
    after(SKIP_S.limited, () => echo(bench, tunnel, Math.round(seconds * 90), 10_000)),
  ]);
  return { mbit: moved.gbps * 1e3, rttMs: loaded.p50 === undefined ? undefined : loaded.p50 / 1e3 };
}

/** TLS without a tunnel, both ways: its own programs are the ends. */
export async function measureTlsFast(bench: Bench, tls: TlsOptions): Promise<Sample> {
  const up = await tlsBulk(bench, tls, 'up', SKIP_S.fast, bench.effort.bulk);
  const down = await tlsBulk(bench, tls, 'down', SKIP_S.fast, bench.effort.bulk);
  return {
    up_gbps: up.gbps,
    down_gbps: down.gbps,
    cpu_s_per_gb_up: up.cpuPerGb,
    cpu_s_per_gb_down: down.cpuPerGb,
    rss_mb: up.memory.rssMb,
    pss_mb: up.memory.pssMb,
  };
}

export const measureTlsLimited = async (bench: Bench, tls: TlsOptions, seconds: number): Promise<number> =>
  (await tlsBulk(bench, tls, 'up', SKIP_S.limited, seconds)).gbps * 1e3;

export interface TlsOptions {
  readonly certificate: string;
  readonly key: string;
  readonly cipher: string;
}

async function tlsBulk(
  { testbed, tools, congestion }: Bench,
  tls: TlsOptions,
  direction: Direction,
  skip: number,
  seconds: number,
) {
  const [sender, receiver] =
    direction === 'up' ? [testbed.device, testbed.far] : [testbed.far, testbed.device];
  const address = direction === 'up' ? FAR_ADDRESS : '10.78.0.1';
  const length = String(skip + seconds + 1);
  const received = testbed.run(
    receiver,
    [tools.tlsbulk, 'receive', PORT.bulk, tls.certificate, tls.key, String(skip), String(seconds)],
    timeout(skip + seconds),
  );
  const program = testbed.start(sender, [
    tools.tlsbulk,
    'send',
    address,
    PORT.bulk,
    length,
    tls.cipher,
    congestion,
  ]);
  const memory = await after(skip + seconds / 2, async () => memoryOf(program.pid));
  const got = JSON.parse(await received) as Transfer & { cpu: number };
  const sent = JSON.parse(await ended(program)) as { bytes: number; cpu: number };
  const cpuPerGb = got.cpu / (got.bytes / 1e9) + sent.cpu / (sent.bytes / 1e9);
  return { gbps: got.gbps, cpuPerGb, memory };
}

async function bulkWithCpu(bench: Bench, tunnel: Standing, direction: Direction) {
  const groups = programsOf(tunnel).map((each) => each.pid);
  const before = cpuSeconds(groups);
  const moved = await bulk(bench, tunnel, direction, SKIP_S.fast, bench.effort.bulk);
  const used = cpuSeconds(groups) - before;
  return { gbps: moved.gbps, cpuPerGb: groups.length === 0 ? undefined : used / (moved.bytes / 1e9) };
}

async function bulk(
  { testbed, tools, congestion }: Bench,
  tunnel: Standing,
  direction: Direction,
  skip: number,
  seconds: number,
): Promise<Transfer> {
  const [sender, receiver, address] =
    direction === 'up'
      ? [testbed.device, testbed.far, tunnel.farAddress]
      : [testbed.far, testbed.device, tunnel.deviceAddress];
  const received = testbed.run(
    receiver,
    [tools.bulk, 'receive', PORT.bulk, String(skip), String(seconds)],
    timeout(skip + seconds),
  );
  const length = String(skip + seconds + 1);
  const program = testbed.start(sender, [tools.bulk, 'send', address, PORT.bulk, length, congestion]);
  const transfer = JSON.parse(await received) as Transfer;
  await ended(program);
  return transfer;
}

async function smallPackets(bench: Bench, tunnel: Standing): Promise<Sample> {
  const { testbed, tools, effort } = bench;
  const groups = programsOf(tunnel).map((each) => each.pid);
  const before = cpuSeconds(groups);
  const counted = testbed.run(testbed.far, [tools.blast, 'count', PORT.small, String(effort.small + 3)]);
  const blast = ['send', tunnel.farAddress, PORT.small, OFFERED, SMALL_BYTES, effort.small].map(String);
  await after(0.15, () => testbed.run(testbed.device, [tools.blast, ...blast]));
  const { packets, pps } = JSON.parse(await counted) as { packets: number; pps: number };
  const used = cpuSeconds(groups) - before;
  return {
    kpps: pps / 1e3,
    ...(groups.length > 0 && packets > 0 && { us_per_packet: (used / packets) * 1e6 }),
  };
}

async function echo(
  { testbed, tools }: Bench,
  tunnel: Standing,
  count: number,
  pauseUs: number,
): Promise<Echoes> {
  const ask = [tools.echo, 'ask', tunnel.farAddress, PORT.echo, String(count), String(pauseUs)];
  return JSON.parse(await testbed.run(testbed.device, ask));
}

const timeout = (seconds: number): number => (seconds + 20) * 1_000;

async function after<T>(seconds: number, act: () => Promise<T>): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  return act();
}

/** What a program said, once it has ended. */
async function ended(program: Program): Promise<string> {
  for (let waited = 0; !program.ended && waited < 5_000; waited += 20) await after(0.02, async () => {});
  return program.output();
}
