import { columns, figure } from '../table.ts';
import type { Attack, Row } from './attack.ts';

export interface Measured {
  readonly id: Attack['id'];
  readonly title: string;
  readonly rows: readonly Row[];
}

/** Does the value under attack hold what it must? */
export function holds({ with: value, must }: Row): boolean {
  return 'atMost' in must ? value <= must.atMost : value >= must.atLeast;
}

const mustText = ({ must, unit }: Row): string =>
  'atMost' in must ? `≤ ${figure(must.atMost)} ${unit}` : `≥ ${figure(must.atLeast)} ${unit}`;

/** The table: a line for each figure, below the title of its attack. */
export function report(measured: readonly Measured[]): string {
  const rows = measured.flatMap(({ id, title, rows }) => [
    [`${id} ${title}`, '', '', '', ''],
    ...rows.map((row) => [
      `   ${row.what}`,
      `${figure(row.without)} ${row.unit}`,
      `${figure(row.with)} ${row.unit}`,
      mustText(row),
      holds(row) ? 'yes' : 'no',
    ]),
  ]);
  return columns(['attack', 'without', 'with', 'must', 'holds'], rows);
}
