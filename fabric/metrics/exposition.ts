import type { HistogramNumbers } from './histogram.ts';

/** The media type of Prometheus' text format. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Labels as they are written, perhaps none (`{peer="agent"}`), and a value. */
export type Sample = readonly [labels: string, value: number];

/** Metrics in Prometheus' text format, all with names that begin with one prefix. */
export interface Exposition {
  put(name: string, kind: 'counter' | 'gauge', help: string, ...samples: readonly Sample[]): void;
  /** With the buckets that Prometheus expects: of all values up to each bound, and of all. */
  putHistogram(name: string, help: string, numbers: HistogramNumbers): void;
  text(): string;
}

/** `prefix` with its underscore. */
export function exposition(prefix: string): Exposition {
  const lines: string[] = [];
  const begin = (full: string, kind: string, help: string): unknown =>
    lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${kind}`);
  return {
    put(name, kind, help, ...samples) {
      const full = `${prefix}${name}`;
      begin(full, kind, help);
      for (const [labels, value] of samples) lines.push(`${full}${labels} ${value}`);
    },
    putHistogram(name, help, { bounds, counts, sum }) {
      const full = `${prefix}${name}`;
      begin(full, 'histogram', help);
      let below = 0;
      for (const [i, count] of counts.entries()) {
        below += count;
        lines.push(`${full}_bucket{le="${bounds[i] ?? '+Inf'}"} ${below}`);
      }
      lines.push(`${full}_sum ${sum}`, `${full}_count ${below}`);
    },
    text: () => `${lines.join('\n')}\n`,
  };
}
