import { columns } from '../table.ts';
import type { Soak } from './run.ts';
import { type Course, courseOf, type Disturbance, FLAT, type Minute, settled, type Who } from './verdict.ts';

/** What comes of it; the JSON has this besides the minutes and disturbances. */
export interface Result extends Soak {
  readonly agent: Course;
  readonly fabric: Course;
  readonly good: boolean;
}

export function resultOf(soak: Soak): Result {
  const agent = courseOf(soak.minutes, 'agent');
  const fabric = courseOf(soak.minutes, 'fabric');
  const back = soak.disturbances.every(({ backAfterS }) => backAfterS !== undefined);
  return { agent, fabric, good: agent.flat && fabric.flat && back, ...soak };
}

/** A line of progress. */
export function progress(news: Minute | Disturbance): string {
  if ('what' in news) {
    const back = news.backAfterS === undefined ? 'NOT BACK' : `back after ${news.backAfterS.toFixed(1)} s`;
    return `  ${news.at.toFixed(1)} min: ${news.what}: ${back}`;
  }
  const { minute, agent, fabric, handshakes, sentBytes } = news;
  const of = (who: Who, { rssMb, anonMb, pssMb, descriptors, threads }: Minute[Who]): string =>
    `${who} ${rssMb.toFixed(1)} MB (anonymous ${anonMb.toFixed(1)}, PSS ${pssMb.toFixed(1)}), ${descriptors} files, ${threads} threads`;
  return `minute ${minute}: ${of('agent', agent)}; ${of('fabric', fabric)}; ${handshakes} handshakes, ${(sentBytes / 1e6).toFixed(0)} MB sent`;
}

/** The table and the verdict. `cpu` is the share of one processor that everything together has used. */
export function describe(result: Result, cpu: number): string {
  const counted = settled(result.minutes);
  const row = (who: Who): string[] => {
    const { slope, anonSlope, least, most, flat } = result[who];
    const looks = counted.map((each) => each[who]);
    const between = (of: (look: Minute[Who]) => number): string =>
      `${Math.min(...looks.map(of))}–${Math.max(...looks.map(of))}`;
    const written = looks.at(-1)!.writtenBytes - looks[0]!.writtenBytes;
    return [
      who,
      slope.toFixed(2),
      anonSlope.toFixed(2),
      `${least.toFixed(1)}–${most.toFixed(1)}`,
      between(({ descriptors }) => descriptors),
      between(({ threads }) => threads),
      String(written),
      flat ? 'flat' : 'NOT FLAT',
    ];
  };
  const header = ['', 'MB/h', 'anonymous', 'RSS MB', 'files', 'threads', 'bytes written', ''];
  const lost = result.disturbances.filter(({ backAfterS }) => backAfterS === undefined);
  const slowest = Math.max(0, ...result.disturbances.map(({ backAfterS }) => backAfterS ?? 0));
  return [
    columns(header, [row('agent'), row('fabric')]),
    '',
    `The last ${counted.length} of ${result.minutes.length} minutes; flat is below ${FLAT} MB/h.`,
    `${result.disturbances.length} disturbances, ${lost.length} of them for good; the slowest return took ${slowest.toFixed(1)} s.`,
    `All of it used ${(cpu * 100).toFixed(1)} % of one processor.`,
    result.good ? 'GOOD' : 'NOT GOOD',
  ].join('\n');
}
