/** What one attack does to honest peers, measured with and without it in one run. */
export interface Row {
  /** What is measured, e.g. "delay of another tunnel, p99". */
  readonly what: string;
  /** E.g. "ms" or "%". */
  readonly unit: string;
  readonly without: number;
  readonly with: number;
  /** What must hold of the value under attack. */
  readonly must: { readonly atMost: number } | { readonly atLeast: number };
}

export interface Effort {
  /** How long the load of each measurement lasts. */
  readonly seconds: number;
}

/** An attack of docs/bench.md, "bench:hostile". It makes its own fabric and removes what it has made. */
export interface Attack {
  /** As in docs/requirements.md, without `H-`: "A1". */
  readonly id: string;
  readonly title: string;
  measure(effort: Effort, say: (line: string) => void): Promise<readonly Row[]>;
}
