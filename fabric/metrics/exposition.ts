/** The media type of Prometheus' text format. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Labels as they are written, perhaps none (`{peer="agent"}`), and a value. */
export type Sample = readonly [labels: string, value: number];

/** Metrics in Prometheus' text format, all with names that begin with one prefix. */
export interface Exposition {
  put(name: string, kind: 'counter' | 'gauge', help: string, ...samples: readonly Sample[]): void;
  text(): string;
}

/** `prefix` with its underscore. */
export function exposition(prefix: string): Exposition {
  const lines: string[] = [];
  return {
    put(name, kind, help, ...samples) {
      const full = `${prefix}${name}`;
      lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${kind}`);
      for (const [labels, value] of samples) lines.push(`${full}${labels} ${value}`);
    },
    text: () => `${lines.join('\n')}\n`,
  };
}
