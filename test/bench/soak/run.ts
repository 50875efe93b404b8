import { eventually } from '../../e2e/process.ts';
import { ping } from '../../e2e/world.ts';
import { type Sample, sampleProcess, together } from './sample.ts';
import { FAULTS, type Fault, type Setup } from './setup.ts';
import { type Disturbance, type Minute, WARM_UP } from './verdict.ts';

export interface Soak {
  readonly minutes: readonly Minute[];
  readonly disturbances: readonly Disturbance[];
}

const LOOK_MS = 10_000;
const MINUTE_MS = 60_000;
/** A pause of the agent between two attempts may be as long. */
const PATIENCE_MS = 330_000;

/**
 * Lets the setup run and looks at it. `stop` ends it after the look that is due; `heard` gets each minute and each disturbance.
 * @throws Error if the agent or the fabric has ended
 */
export async function soak(
  setup: Setup,
  minutes: number,
  everyMs: number,
  heard: (news: Minute | Disturbance) => void,
): Promise<Soak> {
  const start = performance.now();
  const end = start + minutes * MINUTE_MS;
  const disturbances: Disturbance[] = [];
  const disturbing = disturb(setup, start, end, everyMs, (one) => {
    disturbances.push(one);
    heard(one);
  });
  const done: Minute[] = [];
  const watching = (async () => {
    for (let minute = 1; minute <= minutes; minute++) {
      const looks = await lookForAMinute(setup, start + minute * MINUTE_MS);
      const status = await setup.status();
      const one: Minute = {
        minute,
        ...looks,
        handshakes: status.handshakes,
        sentBytes: status.traffic?.sentBytes ?? 0,
        receivedBytes: status.traffic?.receivedBytes ?? 0,
      };
      done.push(one);
      heard(one);
    }
  })();
  await Promise.all([watching, disturbing]);
  return { minutes: done, disturbances };
}

async function lookForAMinute(setup: Setup, until: number): Promise<{ agent: Sample; fabric: Sample }> {
  const agent: Sample[] = [];
  const fabric: Sample[] = [];
  while (performance.now() < until) {
    await pause(Math.min(LOOK_MS, until - performance.now()));
    agent.push(sampleProcess(setup.agent.pid));
    if (!setup.fabric().gone) fabric.push(sampleProcess(setup.fabric().pid)); // it may just be starting again
  }
  return { agent: together(agent), fabric: together(fabric) };
}

/** One trouble after the other, and half-way to the next a burst; the last early enough to see the device come back. */
async function disturb(
  setup: Setup,
  start: number,
  end: number,
  everyMs: number,
  heard: (one: Disturbance) => void,
): Promise<void> {
  const warm = start + (end - start) * WARM_UP;
  for (let turn = 1; ; turn++) {
    const due = start + turn * everyMs;
    if (due + everyMs > end) return;
    await pause(due - everyMs / 2 - performance.now());
    await setup.burst();
    await pause(due - performance.now());
    const trouble = next(turn - 1, performance.now() < warm);
    const at = (performance.now() - start) / MINUTE_MS;
    await trouble.cause(setup);
    heard({ at, what: trouble.what, backAfterS: await backAfter(setup) });
  }
}

function next(turn: number, warmingUp: boolean): Fault {
  const possible = FAULTS.filter(({ early }) => warmingUp || !early);
  return possible[turn % possible.length]!;
}

/** Seconds until the device answers; undefined if it does not. */
async function backAfter({ world, address }: Setup): Promise<number | undefined> {
  const from = performance.now();
  try {
    await eventually('an answer', () => ping(world.network.fabric, address), PATIENCE_MS);
    return (performance.now() - from) / 1e3;
  } catch {
    return undefined;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
