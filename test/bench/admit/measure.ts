import { availableParallelism } from 'node:os';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import type { EcdaaFigures } from '../ecdaa.ts';
import { median } from '../statistics.ts';
import type { Caller } from './client.ts';
import { type Crowd, halfOpenCrowd, silentCrowd } from './crowd.ts';
import type { BenchFabric, Serving } from './fabric.ts';
import { type BenchGroup, type Chip, type Forgery, forger, makeChip, signAs } from './fleet.ts';
import { addressOf, type Clients, closedLoop, type Outcome, openLoop, percentile } from './load.ts';

export type Figures = Omit<EcdaaFigures, 'arithmetic'> & LoadFigures;

export interface LoadFigures {
  readonly handshakes_per_s: number;
  readonly cpu_ms_per_handshake: number;
  readonly p256_sign_verify_ms: number;
  readonly p99_ms_at_80: number;
  readonly processes2_ratio: number;
  readonly half_open_bytes: number;
  readonly idle10k_ratio: number;
  readonly forged50_ratio: number;
}

export interface Measured {
  readonly figures: LoadFigures;
  /** What else was seen, in words. */
  readonly remarks: readonly string[];
}

interface Options {
  readonly seconds: number;
  readonly p256: number;
  readonly say: (line: string) => void;
}

/** Handshakes at a time, of as many addresses: few for a city, enough to fill batches. */
const SLOTS = 192;
const SHA512: readonly SuiteSpec[] = [1, 3];
const BLAKE2B: readonly SuiteSpec[] = [2, 4];
const WARM_S = 2;
/** What a server that has a core for itself takes of it under full load, at least. */
const SATURATED = 0.85;
const IDLE = 10_000;
const HALF_OPEN = 5_000;
const WARM_CROWD = 100;
/** A real device waits a second and longer after a refusal; the load generator only has a core of its own to burn. */
const REST_MS = 60;
/** How many new devices the first load may need; beyond them devices come again. */
const FIRST_BOOTS_PER_S = 1_400;

/** New devices of all groups in turn, made beforehand; once they are used up, those that were first come again. */
function fleetOf(groups: readonly BenchGroup[]): {
  stock(count: number): void;
  take(): Chip;
  readonly size: number;
} {
  const chips: Chip[] = [];
  let taken = 0;
  return {
    stock(count) {
      const wanted = taken + count;
      while (chips.length < wanted) chips.push(makeChip(groups[chips.length % groups.length]!));
    },
    take: () => chips[taken++ % chips.length]!,
    get size() {
      return chips.length;
    },
  };
}

/** A load with what it cost. */
interface Weighed extends Outcome {
  readonly perSecond: number;
  readonly cpuMs: number;
  /** How busy the server and the load generator were, of one core. */
  readonly busy: number;
  readonly ownBusy: number;
}

async function weigh(serving: Serving, run: () => Promise<Outcome>): Promise<Weighed> {
  const before = { server: serving.cpu(), own: process.cpuUsage(), at: performance.now() };
  const outcome = await run();
  const elapsed = (performance.now() - before.at) / 1_000;
  const spent = serving.cpu() - before.server;
  const { user, system } = process.cpuUsage(before.own);
  return {
    ...outcome,
    perSecond: outcome.admitted / outcome.seconds,
    cpuMs: (spent * 1_000) / outcome.admitted,
    busy: spent / elapsed,
    ownBusy: (user + system) / 1e6 / elapsed,
  };
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** All loads, one after the other, on a server of its own where one would disturb the next. @throws Error if a forgery is admitted */
export async function measure(
  fabric: BenchFabric,
  groups: readonly BenchGroup[],
  { seconds, p256, say }: Options,
): Promise<Measured> {
  const remarks: string[] = [];
  const fleet = fleetOf(groups);
  const honest = (port: number, suites = SHA512, range = 1): Clients => ({
    slots: SLOTS,
    restMs: REST_MS,
    next: (slot) => caller(port, suites[slot % suites.length]!, addressOf(range, slot)),
  });
  function caller(port: number, suite: SuiteSpec, from: string): Caller {
    const chip = fleet.take();
    return {
      port,
      from,
      suite,
      root: fabric.root,
      gid: chip.group.gid,
      sign: (message) => signAs(chip, message),
    };
  }
  async function saturate(serving: Serving, clients: Clients): Promise<Weighed> {
    const load = closedLoop(clients);
    await load.measure(WARM_S);
    const seen = await weigh(serving, () => load.measure(seconds));
    await load.stop();
    return seen;
  }
  const describe = (name: string, seen: Weighed): void => {
    const line =
      `${name}: ${Math.round(seen.perSecond)}/s, ${seen.cpuMs.toFixed(3)} ms CPU each, ` +
      `server ${percent(seen.busy)} of a core, load generator ${percent(seen.ownBusy)}, ` +
      `${seen.refused} refused, ${seen.broken} broken, p50 ${percentile(seen.latencies, 0.5).toFixed(0)} ms, ` +
      `p99 ${percentile(seen.latencies, 0.99).toFixed(0)} ms`;
    say(line);
    remarks.push(line);
  };

  const serving = await fabric.serve('0');
  say('making devices');
  fleet.stock(FIRST_BOOTS_PER_S * (seconds + WARM_S));
  const sha512 = await saturate(serving, honest(serving.port));
  describe('SHA-512 suites', sha512);
  if (sha512.busy < SATURATED) {
    remarks.push(
      `the server had ${percent(sha512.busy)} of a core when it had all the work there is: others were at work here, ` +
        'and rates and latencies say little',
    );
  }
  const blake2b = await saturate(serving, honest(serving.port, BLAKE2B));
  describe('BLAKE2b suites', blake2b);

  fleet.stock(Math.ceil(sha512.perSecond * seconds));
  const steady = await weigh(serving, () =>
    openLoop(0.8 * sha512.perSecond, seconds, (turn) =>
      caller(serving.port, SHA512[turn % 2]!, addressOf(1, turn % 1_000)),
    ),
  );
  describe('80 % of it, arriving at random', steady);

  const half = await halfOpenBytes(serving);
  remarks.push(
    `half-open connections: ${half.map((each) => Math.round(each)).join(' and ')} bytes each of the first and the second 5,000`,
  );

  const crowd = await silentCrowd(serving.port, IDLE);
  const among = await saturate(serving, honest(serving.port));
  describe(`among ${crowd.open} idle connections`, among);
  await crowd.leave();
  const again = await saturate(serving, honest(serving.port));
  describe('without them again', again);

  const attacked = await underAttack(serving, fabric, groups, honest(serving.port), seconds);
  describe('honest clients beside as many forged ones', attacked.honest);
  remarks.push(
    `the forged ones: ${attacked.forged.refused} refused, ${attacked.forged.broken} broken, ${attacked.forged.admitted} admitted`,
  );
  if (attacked.forged.admitted > 0)
    throw new Error(`${attacked.forged.admitted} forged clients were admitted`);
  await serving.stop();

  const both = await twoProcesses(fabric, (port) => ({ ...honest(port), slots: 2 * SLOTS }), saturate);
  describe('two processes', both.seen);
  remarks.push(both.remark);

  return {
    figures: {
      handshakes_per_s: sha512.perSecond,
      cpu_ms_per_handshake: sha512.cpuMs,
      p256_sign_verify_ms: p256,
      p99_ms_at_80: percentile(steady.latencies, 0.99),
      processes2_ratio: both.ratio(again.cpuMs, again.perSecond),
      half_open_bytes: Math.max(...half),
      idle10k_ratio: among.perSecond / median([sha512.perSecond, again.perSecond])!,
      forged50_ratio: attacked.honest.perSecond / again.perSecond,
    },
    remarks,
  };
}

/**
 * What the server's resident memory grows by for each connection that said hello: the first 5,000, the next 5,000. The same
 * work is done before with few of them open at a time, so that what grows is not the heap of a server that has just begun.
 */
async function halfOpenBytes(serving: Serving): Promise<number[]> {
  for (let done = 0; done < HALF_OPEN; done += WARM_CROWD) {
    await (await halfOpenCrowd(serving.port, WARM_CROWD)).leave();
  }
  const crowds: Crowd[] = [];
  const grown: number[] = [];
  for (let i = 0; i < 2; i++) {
    const before = serving.resident();
    crowds.push(await halfOpenCrowd(serving.port, HALF_OPEN, i * HALF_OPEN));
    grown.push((serving.resident() - before) / HALF_OPEN);
  }
  for (const crowd of crowds) await crowd.leave();
  return grown;
}

const FORGERIES: readonly Forgery[] = ['bad-schnorr', 'bad-credential', 'cancelling'];

/** As many forged clients as honest ones, from addresses of their own; a pair that cancels comes from one place. */
async function underAttack(
  serving: Serving,
  fabric: BenchFabric,
  groups: readonly BenchGroup[],
  clients: Clients,
  seconds: number,
): Promise<{ honest: Weighed; forged: Outcome }> {
  const forgers = Array.from({ length: clients.slots }, (_, slot) => {
    const group = groups[slot % groups.length]!;
    return { gid: group.gid, sign: forger(FORGERIES[slot % FORGERIES.length]!, group) };
  });
  const hostile = closedLoop({
    slots: clients.slots,
    restMs: REST_MS,
    next: (slot) => ({
      port: serving.port,
      from: addressOf(66, slot),
      suite: SHA512[slot % 2]!,
      root: fabric.root,
      ...forgers[slot]!,
    }),
  });
  const load = closedLoop(clients);
  await Promise.all([load.measure(WARM_S), hostile.measure(WARM_S)]);
  const [honest, forged] = await Promise.all([
    weigh(serving, () => load.measure(seconds)),
    hostile.measure(seconds),
  ]);
  await Promise.all([load.stop(), hostile.stop()]);
  return { honest, forged };
}

/**
 * Two identity processes with twice the clients: each has what one had. With a third core for the load their rate is measured; with two cores the load generator is in the
 * way, and the ratio is that of CPU time: two cores' worth of handshakes at what one costs then, against one core's.
 */
async function twoProcesses(
  fabric: BenchFabric,
  clients: (port: number) => Clients,
  saturate: (serving: Serving, clients: Clients) => Promise<Weighed>,
): Promise<{ seen: Weighed; ratio: (cpuMs: number, perSecond: number) => number; remark: string }> {
  const free = availableParallelism() > 1 && (await cores()) > 2;
  const serving = await fabric.serve(free ? '0,2' : '0', '--processes', '2');
  const before = serving.cpuOfEach();
  const seen = await saturate(serving, clients(serving.port));
  const shares = serving.cpuOfEach().map((each, i) => each - before[i]!);
  const total = shares.reduce((sum, each) => sum + each, 0);
  await serving.stop();
  return {
    seen,
    ratio: (cpuMs, perSecond) => (free ? seen.perSecond / perSecond : (2 * cpuMs) / seen.cpuMs),
    remark:
      `CPU of the registry's process and the two others: ${shares.map((each) => percent(each / total)).join(', ')}; ` +
      `the ratio is of ${free ? 'rates on two cores' : 'CPU time, as there is no third core for the load'}`,
  };
}

async function cores(): Promise<number> {
  const { cpus } = await import('node:os');
  return cpus().length;
}
