import type { Sample } from './sample.ts';

/** More than this, in MB per hour, and it grows. */
export const FLAT = 0.5;
/** What comes before is warming up: caches, the heap's first growth, a restart of the fabric. */
export const WARM_UP = 0.2;

export type Who = 'agent' | 'fabric';

/** The end of a minute. */
export interface Minute {
  readonly minute: number;
  readonly agent: Sample;
  readonly fabric: Sample;
  /** XTT handshakes of this agent so far. */
  readonly handshakes: number;
  /** Since the tunnel was opened. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export interface Disturbance {
  /** Minutes since the start. */
  readonly at: number;
  readonly what: string;
  /** Until a ping was answered again, from the moment the cause was over; undefined: never. */
  readonly backAfterS: number | undefined;
}

/** How one process's memory went over the last four fifths. Megabytes, and MB per hour. */
export interface Course {
  readonly slope: number;
  /** Of the memory behind which there is no file. It tells where growth comes from; the verdict is on all of it. */
  readonly anonSlope: number;
  readonly least: number;
  readonly most: number;
  readonly flat: boolean;
}

/** Least squares through (x, y); NaN below two points. */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (i: 0 | 1): number => points.reduce((sum, each) => sum + each[i], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const over = points.reduce((sum, each) => sum + (each[0] - x) * (each[1] - y), 0);
  return over / points.reduce((sum, each) => sum + (each[0] - x) ** 2, 0);
}

/** The minutes after the warm-up. */
export const settled = (minutes: readonly Minute[]): readonly Minute[] =>
  minutes.slice(Math.floor(minutes.length * WARM_UP));

export function courseOf(minutes: readonly Minute[], who: Who): Course {
  const counted = settled(minutes);
  const values = counted.map((each) => each[who].rssMb);
  const of = (value: (look: Sample) => number): number =>
    slopeOf(counted.map((each) => [each.minute / 60, value(each[who])]));
  const slope = of(({ rssMb }) => rssMb);
  // A process that was replaced on the way has no course.
  const same = new Set(counted.map((each) => each[who].pid)).size === 1;
  return {
    slope,
    anonSlope: of(({ anonMb }) => anonMb),
    least: Math.min(...values),
    most: Math.max(...values),
    flat: same && slope < FLAT,
  };
}
