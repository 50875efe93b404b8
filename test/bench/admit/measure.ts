import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import type { EcdaaFigures } from '../ecdaa.ts';
import { median } from '../statistics.ts';
import type { Caller } from './client.ts';
import { compareTwo } from './compare.ts';
import type { BenchFabric, Serving } from './fabric.ts';
import { type BenchGroup, type Chip, type Forgery, forger, makeChip, signAs } from './fleet.ts';
import { type IdleConnections, openHalfOpen, openSilent } from './idle-connections.ts';
import { addressOf, type Clients, closedLoop, type Outcome, openLoop, percentile } from './load.ts';
import {
  describeLoad,
  type MeasuredLoad,
  measureLoad,
  percent,
  saturate,
  startTestServer,
  type TestServer,
} from './measured-load.ts';

export type Figures = EcdaaFigures & LoadFigures;

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
  /** callers.c, compiled. */
  readonly program: string;
  readonly say: (line: string) => void;
}

/** Handshakes at a time, of as many addresses: few for a city, enough to fill batches. */
const SLOTS = 192;
const SHA512: readonly SuiteSpec[] = [1, 3];
const BLAKE2B: readonly SuiteSpec[] = [2, 4];
const WARM_S = 2;
/** What a server that has a core for itself takes of it under full load, at least. */
const SATURATED = 0.85;
/**
 * What is compared is measured in turns, so many times, for this share of `seconds` each, with the turns before and after it: a machine may
 * become a third faster within a run. Of each turn the median of single seconds counts: what else goes on in the machine comes in bursts.
 */
const ROUNDS = 3;
const TURN = 0.5;
const IDLE = 10_000;
const HALF_OPEN = 5_000;
const WARM_CONNECTIONS = 100;
/** A real device waits a second and longer after a refusal; the load generator only has a core of its own to burn. */
const REST_MS = 60;
/** How many new devices the first load may need; beyond them devices come again. */
const FIRST_BOOTS_PER_S = 4_500;

/** New devices of all groups in turn, made beforehand; once they are used up, those that were first come again. */
function fleetOf(groups: readonly BenchGroup[]): { stock(count: number): void; take(): Chip } {
  const chips: Chip[] = [];
  let taken = 0;
  return {
    stock(count) {
      const wanted = taken + count;
      while (chips.length < wanted) chips.push(makeChip(groups[chips.length % groups.length]!));
    },
    take: () => chips[taken++ % chips.length]!,
  };
}

/** All loads, one after the other, on a server of its own where one would disturb the next. @throws Error if a forgery is admitted */
export async function measure(
  fabric: BenchFabric,
  groups: readonly BenchGroup[],
  { seconds, p256, program, say }: Options,
): Promise<Measured> {
  const remarks: string[] = [];
  const fleet = fleetOf(groups);
  const client = ({ callers, root }: TestServer, suite: SuiteSpec, from: string): Caller => {
    const chip = fleet.take();
    return { callers, from, suite, root, gid: chip.group.gid, sign: (message) => signAs(chip, message) };
  };
  const honest = (server: TestServer, suites = SHA512, slots = SLOTS): Clients => ({
    slots,
    restMs: REST_MS,
    next: (slot) => client(server, suites[slot % suites.length]!, addressOf(1, slot)),
  });
  const describe = (name: string, seen: MeasuredLoad): MeasuredLoad => {
    const line = describeLoad(name, seen);
    say(line);
    remarks.push(line);
    return seen;
  };

  const one = await startTestServer(fabric, program, '0');
  say('making devices');
  fleet.stock(FIRST_BOOTS_PER_S * (seconds + WARM_S));
  const sha512 = describe('SHA-512 suites', await saturate(one, honest(one), WARM_S, seconds));
  if (sha512.busy < SATURATED) {
    remarks.push(
      `the server had ${percent(sha512.busy)} of a core when it had all the work there is: others were at work here, ` +
        'and rates and latencies say little',
    );
  }
  describe('BLAKE2b suites', await saturate(one, honest(one, BLAKE2B), WARM_S, seconds));

  fleet.stock(Math.ceil(sha512.perSecond * seconds));
  const steady = describe(
    '80 % of it, arriving at random',
    await measureLoad(one, () =>
      openLoop(0.8 * sha512.perSecond, seconds, (turn) =>
        client(one, SHA512[turn % 2]!, addressOf(1, turn % 1_000)),
      ),
    ),
  );

  const half = await halfOpenBytes(one.serving);
  remarks.push(
    `half-open connections: ${half.map((each) => Math.round(each)).join(' and ')} bytes each of the first and the second 5,000`,
  );

  const [idle, forged]: number[][] = [[], []];
  const undisturbed = async (): Promise<number> =>
    median(describe('nobody else', await saturate(one, honest(one), WARM_S, TURN * seconds)).rates)!;
  let before = await undisturbed();
  for (let round = 0; round < ROUNDS; round++) {
    const among = describe(...(await amongIdle(one, honest(one), seconds)));
    const between = await undisturbed();
    idle!.push((2 * median(among.rates)!) / (before + between));
    const attacked = await underAttack(one, groups, honest(one), seconds);
    const beside = describe('honest clients beside as many forged ones', attacked.honest);
    const { refused, broken, admitted } = attacked.forged;
    remarks.push(`the forged ones: ${refused} refused, ${broken} broken, ${admitted} admitted`);
    if (admitted > 0) throw new Error(`${admitted} forged clients were admitted`);
    before = await undisturbed();
    forged!.push((2 * median(beside.rates)!) / (between + before));
  }

  await one.stop();

  const two = await compareTwo(groups, program, (server, processes) =>
    honest(server, SHA512, processes * SLOTS),
  );
  remarks.push(...two.remarks);

  const turns = (ratios: readonly number[]): string => ratios.map((each) => each.toFixed(2)).join(', ');
  remarks.push(
    `two processes against one, in turns: ${turns(two.ratios)}`,
    `among idle connections, in turns: ${turns(idle!)}; beside forged clients: ${turns(forged!)}`,
  );
  return {
    figures: {
      handshakes_per_s: sha512.perSecond,
      cpu_ms_per_handshake: sha512.cpuMs,
      p256_sign_verify_ms: p256,
      p99_ms_at_80: percentile(steady.latencies, 0.99),
      processes2_ratio: median(two.ratios)!,
      half_open_bytes: Math.max(...half),
      idle10k_ratio: median(idle!)!,
      forged50_ratio: median(forged!)!,
    },
    remarks,
  };
}

/**
 * What the server's resident memory grows by for each connection that said hello: the first 5,000, the next 5,000. The same
 * work is done before with few of them open at a time, so that what grows is not the heap of a server that has just begun.
 */
async function halfOpenBytes(serving: Serving): Promise<number[]> {
  for (let done = 0; done < HALF_OPEN; done += WARM_CONNECTIONS) {
    await (await openHalfOpen(serving.port, WARM_CONNECTIONS)).leave();
  }
  const opened: IdleConnections[] = [];
  const grown: number[] = [];
  for (let i = 0; i < 2; i++) {
    const before = serving.resident();
    opened.push(await openHalfOpen(serving.port, HALF_OPEN, i * HALF_OPEN));
    grown.push((serving.resident() - before) / HALF_OPEN);
  }
  for (const idle of opened) await idle.leave();
  return grown;
}

/** Idle connections are opened while honest clients are served; the load is measured once the server has begun to close the first of them. */
async function amongIdle(
  one: TestServer,
  clients: Clients,
  seconds: number,
): Promise<[string, MeasuredLoad]> {
  const load = closedLoop(clients);
  const idle = await openSilent(one.callers, IDLE);
  const seen = await measureLoad(one, () => load.measure(TURN * seconds));
  await load.stop();
  const name = `among ${idle.open} idle connections`;
  await idle.leave();
  return [name, seen];
}

const FORGERIES: readonly Forgery[] = ['bad-schnorr', 'bad-credential', 'cancelling'];

/** As many forged clients as honest ones, from addresses of their own; a pair that cancels comes from one place. */
async function underAttack(
  one: TestServer,
  groups: readonly BenchGroup[],
  clients: Clients,
  seconds: number,
): Promise<{ honest: MeasuredLoad; forged: Outcome }> {
  const forgers = Array.from({ length: clients.slots }, (_, slot) => {
    const group = groups[slot % groups.length]!;
    return { gid: group.gid, sign: forger(FORGERIES[slot % FORGERIES.length]!, group) };
  });
  const hostile = closedLoop({
    slots: clients.slots,
    restMs: REST_MS,
    next: (slot) => ({
      callers: one.callers,
      from: addressOf(66, slot),
      suite: SHA512[slot % 2]!,
      root: one.root,
      ...forgers[slot]!,
    }),
  });
  const load = closedLoop(clients);
  await Promise.all([load.measure(WARM_S), hostile.measure(WARM_S)]);
  const [honest, forged] = await Promise.all([
    measureLoad(one, () => load.measure(TURN * seconds)),
    hostile.measure(TURN * seconds),
  ]);
  await Promise.all([load.stop(), hostile.stop()]);
  return { honest, forged };
}
