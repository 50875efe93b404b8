import { columns } from '../bench/table.ts';
import type { Figures } from './figures.ts';

const count = (value: number): string => Math.round(value).toLocaleString('en-US');
const seconds = (value: number | null): string => (value === null ? 'never' : `${value} s`);
const percent = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

const HEADER = [
  'scenario',
  'pause ≤',
  'peak/s',
  'of capacity',
  'attempts',
  'closed',
  'told',
  'late',
  'CPU lost',
  '50 %',
  '99 %',
  'all',
  'fullest',
];

/** The table: a line for each run. */
export function report(all: readonly Figures[]): string {
  const rows = all.map((f) => [
    f.variant === '' ? f.scenario : `${f.scenario}: ${f.variant}`,
    `${f.longestPause} s${f.isTold ? '*' : ''}`,
    count(f.peak),
    percent(f.peak / f.capacity),
    f.attemptsPerAgent.toFixed(1),
    count(f.cut),
    count(f.told),
    count(f.late),
    percent(f.wasted),
    seconds(f.back['50']),
    seconds(f.back['99']),
    seconds(f.back['100']),
    percent(f.fullest),
  ]);
  return columns(HEADER, rows);
}

/** What the columns mean. */
export const LEGEND = `pause ≤: the longest pause of an agent between two attempts; *: the one that the fabric tells for this fleet and capacity
peak/s: the most connections that came in at routers in a second    attempts: of each agent, those while the fabric was away included
closed: for others, without a word    told: when to come again    late: given up by agents    CPU lost: of the routers, on connections that were not admitted
50 %, 99 %, all: of the missing agents are online again, from when the fabric is back or the node is lost    fullest: the share of tunnels that one node has at last`;

/** What else there is to say of a run; empty: nothing. */
export function remark(f: Figures): string {
  const parts = [
    f.provisioned > 0
      ? `${count(f.provisioned)} handshakes with identity servers, ${count(f.refused)} refused`
      : '',
    f.renewed > 0 ? `${count(f.renewed)} identities renewed` : '',
  ].filter((part) => part !== '');
  return parts.length === 0
    ? ''
    : `${f.scenario}${f.variant && `: ${f.variant}`}, ${f.longestPause} s: ${parts.join('; ')}`;
}
