import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { BenchFabric, Serving } from '../admit/fabric.ts';
import type { BenchGroup } from '../admit/fleet.ts';
import { measureP256 } from '../admit/p256.ts';
import { median } from '../statistics.ts';
import { enrol, heartbeats, neighbours } from './devices.ts';
import { limitedDevices, ruledDevices } from './rules.ts';
import { mainThreadMs, vouchedDevices } from './vouched.ts';

/** What a router costs. CPU is that of the whole fabric, user and system, all threads. */
export interface Figures {
  /** CPU seconds for 10^9 bytes of packets from device to device. */
  readonly cpu_s_per_gb: number;
  /** Those packets, 10^9 bits a second. */
  readonly gbps: number;
  /** The same where each packet is a TLS record, as enftun sends them. */
  readonly cpu_s_per_gb_single: number;
  readonly gbps_single: number;
  /** Packets of 100 bytes for each CPU second where a network has 1,000 rules, to those where it has none; in turns. */
  readonly ruled_rate: number;
  /** The same where each device has a rate limit, which it does not come to. */
  readonly limited_rate: number;
  /** CPU milliseconds for a device that connects, is let in, has a packet answered and leaves. */
  readonly accept_ms: number;
  readonly accepts_per_s: number;
  /**
   * How many CPU milliseconds more a machine takes that shows a certificate of an owner's CA and that of an intermediate, which the router knows, than a device
   * with a TPM; in turns. And how many of those the main thread takes, and what it takes for each of the two.
   */
  readonly vouched_more_ms: number;
  readonly vouched_main_more_ms: number;
  readonly accept_main_ms: number;
  readonly vouched_main_ms: number;
  /** The yardstick of that, in the same run: one P-256 signature and its verification. */
  readonly p256_sign_verify_ms: number;
  /** Resident bytes for each of the devices that are connected and idle. */
  readonly idle_bytes: number;
}

export interface Effort {
  readonly rounds: number;
  readonly seconds: number;
  /** Devices that are connected and idle at the same time. */
  readonly idle: number;
}

/** Eight pairs, as the requirement has it; what enftun's hosts send most: an MSS of TCP in IPv6. */
const PAIRS = 8;
const PACKET_BYTES = 1_222;
/** Of the packets that rules are measured by: what they cost is the same for each packet. */
const SMALL_BYTES = 100;
/** How often each is measured beside the other, in each round, for how many seconds; of the ratios the median counts: what else the machine does is in both. */
const TURNS = 8;
const TURN_SECONDS = 1;
/** Devices that come and go in turns of two kinds: each less often than the router lets it. */
const COMERS = 192;

/** Medians of the rounds; one fabric for each, all on one registry. @param say is told each step */
export async function measure(
  fabric: BenchFabric,
  group: BenchGroup,
  program: string,
  { rounds, seconds, idle }: Effort,
  say: (line: string) => void,
): Promise<Figures> {
  say(`enrolling ${idle} devices`);
  const devices = await enrol(fabric, group, idle);
  const quiet = heartbeats(fabric, devices);
  const busy = neighbours(fabric, devices.slice(0, 2 * PAIRS), PACKET_BYTES);
  const without = neighbours(fabric, devices.slice(0, 2 * PAIRS), SMALL_BYTES, 'without-rules');
  const ruled = neighbours(fabric, await ruledDevices(fabric, 2 * PAIRS), SMALL_BYTES, 'with-rules');
  const limited = neighbours(fabric, await limitedDevices(fabric, 2 * PAIRS), SMALL_BYTES, 'with-limits');
  const ordinary = heartbeats(fabric, devices.slice(0, COMERS), 'ordinary');
  const vouched = heartbeats(fabric, await vouchedDevices(fabric, COMERS), 'vouched');
  const p256 = measureP256();
  const seen: Omit<Figures, 'p256_sign_verify_ms'>[] = [];
  for (let round = 1; round <= rounds; round++) {
    const serving = await fabric.serve(ALL_CORES);
    const devicesProgram = (mode: string, list: string, ...rest: string[]): ChildProcess =>
      spawn(program, [mode, String(serving.tunnelPort), list, ...rest], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
    try {
      say(`round ${round}/${rounds}: connecting`);
      const [accepts, acceptCpu] = await costOf(serving, () =>
        answer<{ connections: number }>(devicesProgram('accept', quiet, String(seconds))),
      );
      say(`round ${round}/${rounds}: ${idle} idle connections`);
      const idleBytes = await measureIdle(serving, devicesProgram('hold', quiet), idle);
      const forward = async (mode: 'pairs' | 'single'): Promise<{ cpuPerGb: number; gbps: number }> => {
        const [moved, cpu] = await costOf(serving, () =>
          answer<{ bytes: number; seconds: number }>(devicesProgram(mode, busy, String(seconds))),
        );
        const bytes = (moved.bytes / (PACKET_BYTES + 2)) * PACKET_BYTES;
        return { cpuPerGb: cpu / (bytes / 1e9), gbps: (bytes * 8) / moved.seconds / 1e9 };
      };
      say(`round ${round}/${rounds}: ${PAIRS} pairs`);
      const full = await forward('pairs');
      const single = await forward('single');
      const cpuOfPacket = async (list: string): Promise<number> => {
        const [moved, cpu] = await costOf(serving, () =>
          answer<{ bytes: number }>(devicesProgram('pairs', list, String(TURN_SECONDS))),
        );
        return cpu / (moved.bytes / (SMALL_BYTES + 2));
      };
      const turns: { readonly ruled: number; readonly limited: number }[] = [];
      for (let turn = 1; turn <= TURNS; turn++) {
        say(`round ${round}/${rounds}: without rules and limits, 1,000 rules, limits, ${turn}/${TURNS}`);
        const plain = await cpuOfPacket(without);
        turns.push({
          ruled: plain / (await cpuOfPacket(ruled)),
          limited: plain / (await cpuOfPacket(limited)),
        });
      }
      const arrivals = async (list: string): Promise<Cost & { readonly connections: number }> => {
        const before = mainThreadMs(serving.pid);
        const [{ connections }, cpu] = await costOf(serving, () =>
          answer<{ connections: number }>(devicesProgram('accept', list, String(TURN_SECONDS))),
        );
        return {
          connections,
          cpu: (cpu * 1e3) / connections,
          main: (mainThreadMs(serving.pid) - before) / connections,
        };
      };
      // The first of all is verified with its whole chain, and each is taken in when it comes first.
      for (const list of [vouched, ordinary])
        for (let came = 0; came <= COMERS; ) came += (await arrivals(list)).connections;
      const comings: { readonly plain: Cost; readonly vouched: Cost }[] = [];
      for (let turn = 1; turn <= TURNS; turn++) {
        say(`round ${round}/${rounds}: devices and machines with certificates, ${turn}/${TURNS}`);
        comings.push({ plain: await arrivals(ordinary), vouched: await arrivals(vouched) });
      }
      seen.push({
        cpu_s_per_gb: full.cpuPerGb,
        gbps: full.gbps,
        cpu_s_per_gb_single: single.cpuPerGb,
        gbps_single: single.gbps,
        ruled_rate: median(turns.map((turn) => turn.ruled))!,
        limited_rate: median(turns.map((turn) => turn.limited))!,
        vouched_more_ms: median(comings.map(({ plain, vouched }) => vouched.cpu - plain.cpu))!,
        vouched_main_more_ms: median(comings.map(({ plain, vouched }) => vouched.main - plain.main))!,
        accept_main_ms: median(comings.map(({ plain }) => plain.main))!,
        vouched_main_ms: median(comings.map(({ vouched }) => vouched.main))!,
        accept_ms: (acceptCpu * 1e3) / accepts.connections,
        accepts_per_s: accepts.connections / seconds,
        idle_bytes: idleBytes,
      });
    } finally {
      await serving.stop();
    }
  }
  const middle = (of: keyof (typeof seen)[0]): number => median(seen.map((each) => each[of]))!;
  return {
    cpu_s_per_gb: middle('cpu_s_per_gb'),
    gbps: middle('gbps'),
    cpu_s_per_gb_single: middle('cpu_s_per_gb_single'),
    gbps_single: middle('gbps_single'),
    ruled_rate: middle('ruled_rate'),
    limited_rate: middle('limited_rate'),
    vouched_more_ms: middle('vouched_more_ms'),
    vouched_main_more_ms: middle('vouched_main_more_ms'),
    accept_main_ms: middle('accept_main_ms'),
    vouched_main_ms: middle('vouched_main_ms'),
    accept_ms: middle('accept_ms'),
    accepts_per_s: middle('accepts_per_s'),
    p256_sign_verify_ms: p256,
    idle_bytes: middle('idle_bytes'),
  };
}

/** CPU milliseconds of all threads, and of the main one alone. */
interface Cost {
  readonly cpu: number;
  readonly main: number;
}

const ALL_CORES = '0-1023';

async function costOf<T>(serving: Serving, work: () => Promise<T>): Promise<[T, number]> {
  const before = serving.cpu();
  const result = await work();
  return [result, serving.cpu() - before];
}

async function measureIdle(serving: Serving, holding: ChildProcess, count: number): Promise<number> {
  const before = serving.resident();
  const ended = once(holding, 'exit');
  await Promise.race([once(holding.stdout!, 'data'), ended]);
  if (holding.exitCode !== null) throw new Error('the idle devices could not connect');
  const bytes = (serving.resident() - before) / count;
  holding.stdin!.end();
  await ended;
  return bytes;
}

/** What a program says, once it has ended well. */
export async function answer<T>(program: ChildProcess): Promise<T> {
  let said = '';
  program.stdout!.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = (await once(program, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the devices ended with ${code}`);
  return JSON.parse(said) as T;
}
