/** What was observed, as Prometheus has it: `counts[i]` values were at most `bounds[i]` and above the bound before it, the last ones above all. */
export interface HistogramNumbers {
  readonly bounds: readonly number[];
  /** One more than there are bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** A histogram whose buckets never change: observing costs a comparison for each bound that is passed, and no memory. */
export interface Histogram {
  observe(value: number): void;
  /** As it is now; it does not change any more. */
  numbers(): HistogramNumbers;
}

/** Seconds: from a flush of an NVMe disk to what a device waits for before it gives up. */
export const LATENCY_SECONDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** @param bounds ascending */
export function histogram(bounds: readonly number[]): Histogram {
  const counts = new Array<number>(bounds.length + 1).fill(0);
  let sum = 0;
  return {
    observe(value) {
      let bucket = 0;
      while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
      counts[bucket]!++;
      sum += value;
    },
    numbers: () => ({ bounds, counts: [...counts], sum }),
  };
}
