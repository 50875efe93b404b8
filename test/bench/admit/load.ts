import { type Caller, type Ending, handshake } from './client.ts';

/** What clients saw in a stretch of time. */
export interface Outcome {
  readonly seconds: number;
  readonly admitted: number;
  readonly refused: number;
  readonly broken: number;
  /** Of the admitted ones, milliseconds, sorted. */
  readonly latencies: readonly number[];
  /** Admitted in each whole second; nothing where clients come when they come. */
  readonly rates: readonly number[];
  /** How long after they were due clients began, milliseconds, sorted; empty where nobody is due. */
  readonly lateness: readonly number[];
}

/** Clients that come one after the other in as many places as `slots`; each place has an address of its own. */
export interface Clients {
  readonly slots: number;
  readonly next: (slot: number) => Caller;
  /** How long a place rests after a refusal, milliseconds. */
  readonly restMs: number;
}

/** A running load: `measure` looks at what ends within the next `seconds`. */
export interface Load {
  measure(seconds: number): Promise<Outcome>;
  stop(): Promise<void>;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Tally {
  endings: Record<Ending, number>;
  latencies: number[];
  lateness: number[];
  rates: number[];
  readonly start: number;
}

function tally(): Tally {
  return {
    endings: { admitted: 0, refused: 0, broken: 0 },
    latencies: [],
    lateness: [],
    rates: [],
    start: performance.now(),
  };
}

function outcome({ endings, latencies, lateness, rates }: Tally, seconds: number): Outcome {
  return {
    seconds,
    ...endings,
    latencies: sorted(latencies),
    lateness: sorted(lateness),
    rates: Array.from({ length: rates.length === 0 ? 0 : Math.floor(seconds) }, (_, i) => rates[i] ?? 0),
  };
}

/** In ascending order. */
export const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

/** As many handshakes at a time as there are places: what the server can do at most. */
export function closedLoop({ slots, next, restMs }: Clients): Load {
  let current = tally();
  let running = true;
  const places = Array.from({ length: slots }, async (_, slot) => {
    while (running) {
      const start = performance.now();
      const ending = await handshake(next(slot));
      const seen = current;
      seen.endings[ending]++;
      if (ending === 'admitted') {
        const now = performance.now();
        const second = Math.floor((now - seen.start) / 1_000);
        seen.latencies.push(now - start);
        seen.rates[second] = (seen.rates[second] ?? 0) + 1;
      } else await pause(restMs * (0.5 + Math.random()));
    }
  });
  return {
    async measure(seconds) {
      const start = performance.now();
      current = tally();
      const mine = current;
      await pause(seconds * 1_000);
      current = tally();
      return outcome(mine, (performance.now() - start) / 1_000);
    },
    async stop() {
      running = false;
      await Promise.all(places);
    },
  };
}

/**
 * Devices that come when they come (Poisson), `rate` a second for `seconds`, whether the server keeps up or not. A latency
 * counts from when the device was due, so that a stall is not hidden by clients that wait for it.
 */
export async function openLoop(
  rate: number,
  seconds: number,
  next: (turn: number) => Caller,
): Promise<Outcome> {
  const counted = tally();
  const under: Promise<void>[] = [];
  const start = performance.now();
  let due = start;
  for (let turn = 0; due - start < seconds * 1_000; turn++) {
    due += (-Math.log(1 - Math.random()) / rate) * 1_000;
    const wait = due - performance.now();
    if (wait > 1) await pause(wait);
    const since = due;
    counted.lateness.push(Math.max(0, performance.now() - due));
    under.push(
      handshake(next(turn)).then((ending) => {
        counted.endings[ending]++;
        if (ending === 'admitted') counted.latencies.push(performance.now() - since);
      }),
    );
  }
  await Promise.all(under);
  return outcome(counted, (performance.now() - start) / 1_000);
}

/** The value below which `share` (0 to 1) of the sorted values lie; NaN without any. */
export function percentile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** An address of 127.0.0.0/8 of its own for each place, in a range of its own for each kind of client. */
export function addressOf(range: number, place: number): string {
  return `127.${range}.${Math.floor(place / 250)}.${(place % 250) + 1}`;
}
