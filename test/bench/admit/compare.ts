import { availableParallelism, cpus } from 'node:os';
import { median } from '../statistics.ts';
import { found } from './fabric.ts';
import type { BenchGroup } from './fleet.ts';
import type { Clients } from './load.ts';
import { type MeasuredLoad, percent, saturate, startTestServer, type TestServer } from './measured-load.ts';

/** Turns of a second for each of the two, after a short while in which the server finds its pace again. */
const TURNS = 8;
const TURN_S = 1;
const AGAIN_S = 0.3;
const WARM_S = 2;

/**
 * One identity process and two with twice the clients, each on a new registry, in turns: what else goes on in the machine meets both.
 * With a third core for the load their rates are compared; with two cores the load generator is in the way, and the ratio is
 * that of CPU time: two cores' worth of handshakes at what one costs then, against one core's.
 */
export async function compareTwo(
  groups: readonly BenchGroup[],
  program: string,
  clients: (server: TestServer, processes: number) => Clients,
): Promise<{ ratios: number[]; remarks: string[] }> {
  const free = availableParallelism() > 1 && cpus().length > 2;
  const fabrics = [found(groups), found(groups)];
  try {
    const one = await startTestServer(fabrics[0]!, program, '0');
    const two = await startTestServer(fabrics[1]!, program, free ? '0,2' : '0', '--processes', '2');
    const turn = (processes: 1 | 2, warmS: number): Promise<MeasuredLoad> => {
      const at = processes === 1 ? one : two;
      return saturate(at, clients(at, processes), warmS, TURN_S);
    };
    // Each of the two has to become as warm as the one.
    await turn(1, WARM_S);
    await turn(2, 2 * WARM_S);
    const before = two.serving.cpuOfEach();
    const [alone, both]: MeasuredLoad[][] = [[], []];
    for (let i = 0; i < TURNS; i++) {
      alone!.push(await turn(1, AGAIN_S));
      both!.push(await turn(2, AGAIN_S));
    }
    const spent = two.serving.cpuOfEach().map((each, i) => each - before[i]!);
    const total = spent.reduce((sum, each) => sum + each, 0);
    await Promise.all([one.stop(), two.stop()]);
    const middle = (seen: readonly MeasuredLoad[]): string =>
      `${Math.round(median(seen.map(({ perSecond }) => perSecond))!)}/s, ` +
      `${median(seen.map(({ cpuMs }) => cpuMs))!.toFixed(3)} ms CPU each`;
    return {
      ratios: both!.map((seen, i) =>
        free ? seen.perSecond / alone![i]!.perSecond : (2 * alone![i]!.cpuMs) / seen.cpuMs,
      ),
      remarks: [
        `one process: ${middle(alone!)}; two: ${middle(both!)}, of which the registry's process and the two others have ` +
          `${spent.map((each) => percent(each / total)).join(', ')}`,
        `the ratio of two processes is of ${free ? 'rates on two cores' : 'CPU time, as there is no third core for the load'}`,
      ],
    };
  } finally {
    for (const fabric of fabrics) fabric.remove();
  }
}
