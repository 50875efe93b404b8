import type { BenchFabric } from './fabric.ts';
import { type BenchGroup, makeChip, signAs } from './fleet.ts';
import { addressOf, openLoop } from './load.ts';
import { startTestServer } from './measured-load.ts';

interface Options {
  /** callers.c, compiled. */
  readonly program: string;
  readonly minutes: number;
  readonly rate: number;
  readonly say: (line: string) => void;
}

/** Steady load of `rate` handshakes a second for some minutes; what the server's memory is at the end of each. */
export async function soak(
  fabric: BenchFabric,
  groups: readonly BenchGroup[],
  { program, minutes, rate, say }: Options,
): Promise<string> {
  const one = await startTestServer(fabric, program, '0');
  const { serving, callers } = one;
  const residents: number[] = [];
  for (let minute = 1; minute <= minutes; minute++) {
    const seen = await openLoop(rate, 60, (turn) => {
      const chip = makeChip(groups[turn % groups.length]!);
      return {
        callers,
        from: addressOf(1, turn % 1_000),
        suite: turn % 2 === 0 ? 1 : 3,
        root: fabric.root,
        gid: chip.group.gid,
        sign: (message) => signAs(chip, message),
      };
    });
    callers.delays();
    residents.push(serving.resident() / 1e6);
    say(
      `minute ${minute}: ${seen.admitted} admitted, ${seen.refused} refused, ${residents.at(-1)!.toFixed(1)} MB`,
    );
  }
  await one.stop();
  const settled = residents.slice(Math.floor(residents.length / 3));
  return (
    `resident memory after ${minutes} minutes at ${rate}/s: ${residents.at(-1)!.toFixed(1)} MB; ` +
    `in the last two thirds between ${Math.min(...settled).toFixed(1)} and ${Math.max(...settled).toFixed(1)} MB`
  );
}
