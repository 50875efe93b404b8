import { columns, figure } from '../table.ts';

/** One figure, and what it must be, if anything. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly value: number;
  readonly must?: { readonly atMost: number } | { readonly atLeast: number };
}

export function holds({ value, must }: Row): boolean {
  if (must === undefined) return true;
  return 'atMost' in must ? value <= must.atMost : value >= must.atLeast;
}

function mustText({ must, unit }: Row): string {
  if (must === undefined) return '';
  return 'atMost' in must ? `≤ ${figure(must.atMost)} ${unit}` : `≥ ${figure(must.atLeast)} ${unit}`;
}

/** The table: a line for each figure. */
export function report(rows: readonly Row[]): string {
  return columns(
    ['figure', 'value', 'must', 'holds'],
    rows.map((row) => [
      row.what,
      `${figure(row.value)} ${row.unit}`,
      mustText(row),
      row.must === undefined ? '' : holds(row) ? 'yes' : 'no',
    ]),
  );
}
