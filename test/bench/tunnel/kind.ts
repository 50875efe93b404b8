import { Failure } from '../../../protocol/failure.ts';
import { programsOf, type Standing } from './measure.ts';
import type { Stage } from './stage.ts';

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

const UP_ATTEMPTS = 100;

/** Waits until the far end answers through the tunnel. @throws Failure `bench.not-up` with what the ends said last */
export async function waitUntilUp(stage: Stage, name: string, tunnel: Standing): Promise<void> {
  const ends = programsOf(tunnel);
  for (let attempt = 0; attempt < UP_ATTEMPTS && ends.every((end) => !end.ended); attempt++) {
    try {
      await stage.run(stage.device, ['ping', '-n', '-c', '1', '-W', '1', tunnel.farAddress]);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  const said = ends.map((end) => end.said().trim().split('\n').slice(-2).join(' / ')).join(' // ');
  throw new Failure(
    'bench.not-up',
    'operator',
    `${name}: no answer through the tunnel: ${said.slice(0, 400)}`,
    {
      action: 'Start it by hand the same way and see what it says.',
    },
  );
}
