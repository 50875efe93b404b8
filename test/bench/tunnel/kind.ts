import { Failure } from '../../../protocol/failure.ts';
import { programsOf, type Standing } from './measure.ts';
import type { Program, Testbed } from './testbed.ts';

/** One kind of tunnel that takes part. */
export interface Kind {
  readonly name: string;
  /** Makes keys and configuration, once, on a testbed with the fast path. */
  prepare(testbed: Testbed): Promise<void>;
  /** Starts both ends on a testbed that has just been raised. */
  start(testbed: Testbed): Promise<Standing>;
}

/** It cannot take part here, and that is no fault: the row says why. */
export const notHere = (why: string): Failure => new Failure('bench.not-here', 'operator', why);

const PATIENCE_MS = 15_000;
const PAUSE_MS = 100;

/**
 * Repeats a command until it succeeds: something is up then.
 * @throws Failure `bench.not-up` with what the programs said last, when one of them ends or after 15 seconds
 */
export async function waitUntil(
  testbed: Testbed,
  what: string,
  programs: readonly Program[],
  probe: () => Promise<unknown>,
): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end && programs.every((each) => !each.ended)) {
    try {
      await probe();
      return;
    } catch {
      testbed.ensureOpen();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
  const said = programs.map((each) => each.output().trim().split('\n').slice(-2).join(' / ')).join(' // ');
  throw new Failure('bench.not-up', 'operator', `${what}: ${said.slice(0, 400)}`, {
    action: 'Start it by hand the same way and see what it says.',
  });
}

/** Waits until the far end answers through the tunnel. @throws Failure `bench.not-up` */
export const waitUntilUp = (testbed: Testbed, tunnel: Standing): Promise<void> =>
  waitUntil(testbed, 'no answer through the tunnel', programsOf(tunnel), () =>
    testbed.run(testbed.device, ['ping', '-n', '-c', '1', '-W', '1', tunnel.farAddress]),
  );
