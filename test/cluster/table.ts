/** What came of each thing that was done: printed as it happens, and as a table in the end. */

/** `holds` undefined: it is measured, and nothing is asked of it. */
export interface Check {
  readonly must: string;
  readonly measured: string;
  readonly holds?: boolean;
}

export interface Row {
  readonly done: string;
  readonly checks: readonly Check[];
}

const verdict = ({ holds }: Check): string => (holds === undefined ? '' : holds ? 'yes' : '**no**');

/** Markdown; a row has a line for each check. */
export function tableOf(rows: readonly Row[]): string {
  const lines = rows.flatMap(({ done, checks }) =>
    checks.map((check, i) => [i === 0 ? done : '', check.must, check.measured, verdict(check)]),
  );
  const all = [['what was done', 'what must hold', 'measured', 'held'], ...lines];
  const text = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [text(all[0]!), '|---|---|---|---|', ...all.slice(1).map(text)].join('\n');
}

export const failed = (rows: readonly Row[]): readonly string[] =>
  rows.flatMap(({ done, checks }) =>
    checks
      .filter(({ holds }) => holds === false)
      .map(({ must, measured }) => `${done}: ${must}: ${measured}`),
  );

export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
export const milliseconds = (ms: number): string => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
