import { median } from '../statistics.ts';

/** What is measured of each tunnel, in the order of the JSON; a unit is part of each name. */
export const MEASURES = [
  'up_gbps',
  'down_gbps',
  'cpu_s_per_gb_up',
  'cpu_s_per_gb_down',
  'kpps',
  'us_per_packet',
  'rtt_p50_us',
  'rtt_p99_us',
  'rtt_load_fast_ms',
  'rtt_load_20mbit_ms',
  'mbit_at_20',
  'mbit_lossy',
  'rtt_lossy_ms',
  'rss_mb',
  'pss_mb',
] as const;

export type Measure = (typeof MEASURES)[number];

/** One visit's results. */
export type Sample = { readonly [M in Measure]?: number };

/** One object of the JSON array: medians over all rounds, null for what cannot be or was not measured. */
export type Row = { readonly name: string } & { readonly [M in Measure]: number | null };

/** The medians of the samples. */
export function rowOf(name: string, samples: readonly Sample[]): Row {
  const middle = (measure: Measure): number | null => {
    const value = median(samples.flatMap((sample) => sample[measure] ?? []));
    return value === undefined ? null : Number(value.toPrecision(6));
  };
  const values = Object.fromEntries(MEASURES.map((measure) => [measure, middle(measure)]));
  return { name, ...(values as { [M in Measure]: number | null }) };
}
