import { columns, figure } from '../table.ts';
import { BUSY } from './options.ts';
import type { Measure, Row } from './row.ts';

/** What is printed: the figures, then how ours stand to the best of the others. */

const TITLES: readonly (readonly [string, Measure])[] = [
  ['up Gbit/s', 'up_gbps'],
  ['down', 'down_gbps'],
  ['CPU s/GB up', 'cpu_s_per_gb_up'],
  ['down', 'cpu_s_per_gb_down'],
  ['kpps', 'kpps'],
  ['µs each', 'us_per_packet'],
  ['RTT p50 µs', 'rtt_p50_us'],
  ['p99', 'rtt_p99_us'],
  ['loaded ms', 'rtt_load_fast_ms'],
  ['20M: Mbit/s', 'mbit_at_20'],
  ['RTT ms', 'rtt_load_20mbit_ms'],
  ['lossy: Mbit/s', 'mbit_lossy'],
  ['RTT ms', 'rtt_lossy_ms'],
  ['RSS MB', 'rss_mb'],
  ['PSS', 'pss_mb'],
];

/** The figures, one line per tunnel. */
export function figures(rows: readonly Row[]): string {
  return columns(
    ['', ...TITLES.map(([title]) => title)],
    rows.map((row) => [row.name, ...TITLES.map(([, measure]) => figure(row[measure]))]),
  );
}

export const RIVALS = ['openvpn', 'nebula', 'wireguard-go'] as const;
const LINK_MBIT = 20;

interface Bound {
  readonly sign: '≥' | '≤';
  readonly value: number;
  /** As the goal is written, e.g. "1/9". */
  readonly text: string;
}

interface Goal {
  readonly what: string;
  readonly super: Bound;
  readonly legacy: Bound;
  /** Ours against what it is compared with; undefined if one of them was not measured. */
  ratio(own: Row, all: readonly Row[]): number | undefined;
}

const atLeast = (value: number, text = `${value}`): Bound => ({ sign: '≥', value, text });
const atMost = (value: number, text = `${value}`): Bound => ({ sign: '≤', value, text });
const both = (bound: Bound) => ({ super: bound, legacy: bound });

const value = (row: Row | undefined, measure: Measure): number | undefined => row?.[measure] ?? undefined;
const named = (all: readonly Row[], name: string): Row | undefined => all.find((row) => row.name === name);

function best(all: readonly Row[], measure: Measure, which: 'highest' | 'lowest'): number | undefined {
  const values = RIVALS.flatMap((name) => value(named(all, name), measure) ?? []);
  if (values.length === 0) return undefined;
  return which === 'highest' ? Math.max(...values) : Math.min(...values);
}

function against(measure: Measure, which: 'highest' | 'lowest'): Goal['ratio'] {
  return (own, all) => divide(value(own, measure), best(all, measure, which));
}

const divide = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined || b <= 0 ? undefined : a / b;

/** What the tunnel adds to the path's own round trip. */
const addedRtt: Goal['ratio'] = (own, all) => {
  const path = value(named(all, 'veth'), 'rtt_p50_us');
  const [mine, least] = [value(own, 'rtt_p50_us'), best(all, 'rtt_p50_us', 'lowest')];
  return path === undefined || mine === undefined || least === undefined
    ? undefined
    : divide(mine - path, least - path);
};

const againstTls =
  (measure: Measure): Goal['ratio'] =>
  (own, all) =>
    divide(value(own, measure), value(named(all, 'tls-bulk'), measure));

/** What the data plane has to reach, all in the same run. */
export const GOALS: readonly Goal[] = [
  {
    what: 'throughput up ÷ best',
    super: atLeast(8),
    legacy: atLeast(6),
    ratio: against('up_gbps', 'highest'),
  },
  {
    what: 'throughput down ÷ best',
    super: atLeast(8),
    legacy: atLeast(6),
    ratio: against('down_gbps', 'highest'),
  },
  {
    what: 'CPU per GB up ÷ best',
    ...both(atMost(1 / 9, '1/9')),
    ratio: against('cpu_s_per_gb_up', 'lowest'),
  },
  {
    what: 'CPU per GB down ÷ best',
    ...both(atMost(1 / 9, '1/9')),
    ratio: against('cpu_s_per_gb_down', 'lowest'),
  },
  { what: 'small packets ÷ best', ...both(atLeast(3)), ratio: against('kpps', 'highest') },
  {
    what: 'CPU per small packet ÷ best',
    ...both(atMost(1 / 4, '1/4')),
    ratio: against('us_per_packet', 'lowest'),
  },
  { what: 'added idle latency ÷ lowest', ...both(atMost(1)), ratio: addedRtt },
  {
    what: '20 Mbit/s: ping under load ÷ lowest',
    ...both(atMost(1 / 2, '1/2')),
    ratio: against('rtt_load_20mbit_ms', 'lowest'),
  },
  {
    what: '20 Mbit/s: throughput ÷ link',
    ...both(atLeast(0.9)),
    ratio: (own) => divide(value(own, 'mbit_at_20'), LINK_MBIT),
  },
  { what: '1 % loss: throughput ÷ best', ...both(atLeast(0.9)), ratio: against('mbit_lossy', 'highest') },
  {
    what: '1 % loss: ping under load ÷ lowest',
    ...both(atMost(2.5)),
    ratio: against('rtt_lossy_ms', 'lowest'),
  },
  { what: 'CPU per GB up ÷ TLS bulk', ...both(atMost(1.2)), ratio: againstTls('cpu_s_per_gb_up') },
  { what: 'CPU per GB down ÷ TLS bulk', ...both(atMost(1.2)), ratio: againstTls('cpu_s_per_gb_down') },
];

/** A ratio beside what it must be. */
export function judge(goal: Goal, wire: 'super' | 'legacy', all: readonly Row[]): string {
  const own = named(all, `ours-${wire}`);
  const ratio = own && goal.ratio(own, all);
  if (ratio === undefined) return '–';
  const bound = goal[wire];
  const reached = bound.sign === '≥' ? ratio >= bound.value : ratio <= bound.value;
  return `${figure(ratio)} ${reached ? 'yes' : 'NO'}`;
}

/** What busy main threads do to round trips, against idle ones and the same load elsewhere; nothing of what was not measured. */
export function busyRatio(rows: readonly Row[]): readonly string[] {
  const [busy, beside] = BUSY.map((name) => named(rows, name));
  const times = (other: Row | undefined, what: string): readonly string[] => {
    const ratio = (measure: Measure): number | undefined =>
      divide(value(busy, measure), value(other, measure));
    if (ratio('rtt_p50_us') === undefined) return [];
    const [p50, p99] = [figure(ratio('rtt_p50_us')), figure(ratio('rtt_p99_us'))];
    return [`Main threads busy for 20 of every 50 ms: RTT p50 ${p50}, p99 ${p99} times that ${what}.`];
  };
  return [
    ...times(named(rows, 'ours-super'), 'of idle ones'),
    ...times(beside, 'with the same load in other programs'),
  ];
}

/** Ours against the best of the others: the result. Figures by themselves say more about the machine. */
export function ratios(rows: readonly Row[]): string {
  return columns(
    ['', 'ours-super', 'must', 'ours-legacy', 'must'],
    GOALS.map((goal) => [
      goal.what,
      judge(goal, 'super', rows),
      `${goal.super.sign} ${goal.super.text}`,
      judge(goal, 'legacy', rows),
      `${goal.legacy.sign} ${goal.legacy.text}`,
    ]),
  );
}
