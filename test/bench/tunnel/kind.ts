import { Failure } from '../../../protocol/failure.ts';
import { programsOf, type Standing } from './measure.ts';
import type { Program, Stage } from './stage.ts';

/** One kind of tunnel that takes part. */
export interface Kind {
  readonly name: string;
  /** Makes keys and configuration, once, on a stage with the fast path. */
  prepare(stage: Stage): Promise<void>;
  /** Starts both ends on a stage that has just been raised. */
  raise(stage: Stage): Promise<Standing>;
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
  stage: Stage,
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
      stage.ensureOpen();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
  const said = programs.map((each) => each.said().trim().split('\n').slice(-2).join(' / ')).join(' // ');
  throw new Failure('bench.not-up', 'operator', `${what}: ${said.slice(0, 400)}`, {
    action: 'Start it by hand the same way and see what it says.',
  });
}

/** Waits until the far end answers through the tunnel. @throws Failure `bench.not-up` */
export const waitUntilUp = (stage: Stage, tunnel: Standing): Promise<void> =>
  waitUntil(stage, 'no answer through the tunnel', programsOf(tunnel), () =>
    stage.run(stage.device, ['ping', '-n', '-c', '1', '-W', '1', tunnel.farAddress]),
  );
