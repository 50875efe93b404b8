import { type Figures, zeroOf } from './figures.ts';
import type { Scenario } from './setup.ts';
import type { Run } from './simulate.ts';

/** A run and what it comes to. */
export interface Charted {
  readonly figures: Figures;
  readonly run: Run;
}

const [WIDTH, LEFT, RIGHT, TOP] = [880, 72, 20, 58];
const PANEL = { height: 170, gap: 52 };
const LEGEND_ROW = 22;
const PLOT = WIDTH - LEFT - RIGHT;
/** Shown before the fabric is back. */
const LEAD_S = 0.04;

/** Of the lines, in light and in dark; each has its own dashes, too. */
const COLOURS = [
  ['#0a5fb4', '#6cb6ff', ''],
  ['#b35900', '#f0a04b', '7 4'],
  ['#2c7a4b', '#6bc68f', '2 3'],
  ['#8250a8', '#c69bea', '11 4 2 4'],
  ['#a33b4a', '#ee8d99', '4 4'],
  ['#59636e', '#9198a1', '1 4'],
] as const;

const STYLE = `
  svg { color-scheme: light dark; font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
  .ground { fill: #ffffff } .text { fill: #1f2328 } .quiet { fill: #59636e } .grid { stroke: #d8dee4 } .axis { stroke: #8c959f }
  .capacity { stroke: #59636e; stroke-dasharray: 1 3; stroke-width: 1.5 }
  .title { font-size: 16px; font-weight: 600 } .number { font-variant-numeric: tabular-nums }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round }
${COLOURS.map(([light], i) => `  .line${i} { stroke: ${light} }`).join('\n')}
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .text { fill: #e6edf3 } .quiet { fill: #9198a1 } .grid { stroke: #2a313c } .axis { stroke: #6e7681 }
    .capacity { stroke: #9198a1 }
${COLOURS.map(([, dark], i) => `    .line${i} { stroke: ${dark} }`).join('\n')}
  }
`;

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]!);

/** The least of 1, 2, 5, 10, … that is at least `value`. */
function nice(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= value * 0.999_999)!;
}

/** Lengths of time that people count in, seconds. */
const SPANS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600];

const timeText = (seconds: number, step: number): string =>
  step < 60 ? `${seconds} s` : `${seconds / 60} min`;

function numberText(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`;
  return value >= 1_000 ? `${value / 1_000} k` : `${value}`;
}

interface Panel {
  readonly title: string;
  /** The values of a run by the second, and what is shown of those that share a point. */
  readonly values: (charted: Charted) => ArrayLike<number>;
  readonly of: 'most' | 'last';
  readonly top: number;
  readonly tick: (value: number) => string;
  /** A line across, with its name. */
  readonly mark?: { readonly at: number; readonly text: string };
}

/** The charts of a scenario's runs, one above the other, with one line for each: an SVG of its own, for light and dark. */
export function chart(scenario: Scenario, shown: readonly Charted[]): string {
  const runs = shown.slice(0, COLOURS.length);
  const until = Math.max(
    30,
    ...runs.map(({ figures, run }) => figures.back['100'] ?? run.seconds - zeroOf(run)),
  );
  const end = until * 1.04;
  const begin = -Math.max(10, end * LEAD_S);
  const x = (second: number): number => LEFT + ((second - begin) / (end - begin)) * PLOT;
  const panels = panelsOf(runs);
  const top = TOP + LEGEND_ROW * (runs.length + (shown.length > runs.length ? 1 : 0)) + 30;
  const height = top + panels.length * (PANEL.height + PANEL.gap) + 6;
  const first = runs[0]!.figures;
  const title = `${scenario.name}: ${first.agents.toLocaleString('en-US')} agents, ${first.nodes} ${first.nodes === 1 ? 'node' : 'nodes'}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${escaped(title)}</title>
<desc>${escaped(scenario.about)}</desc>
<style>${STYLE}</style>
<rect class="ground" width="${WIDTH}" height="${height}"/>
<text class="text title" x="${LEFT - 52}" y="28">${escaped(title)}</text>
<text class="quiet" x="${LEFT - 52}" y="48">${escaped(scenario.about)}</text>
${runs.map(legend).join('\n')}${more(shown.length - runs.length)}
${panels.map((panel, i) => panelText(panel, runs, top + i * (PANEL.height + PANEL.gap), x, [begin, end])).join('\n')}
</svg>
`;
}

/** What has no colour any more is only counted. */
const more = (count: number): string =>
  count === 0
    ? ''
    : `\n<text class="quiet" x="${LEFT - 10}" y="${rowAt(COLOURS.length)}">${count} more in the table</text>`;

function panelsOf(runs: readonly Charted[]): Panel[] {
  const { agents, capacity } = runs[0]!.figures;
  const most = (what: 'arrivals' | 'provisioned'): number =>
    Math.max(
      1,
      ...runs.map(({ run }) => run.series.of(what).reduce((high, each) => Math.max(high, each), 0)),
    );
  const share = (value: number): string => `${value} %`;
  const panels: Panel[] = [
    {
      title: 'agents online',
      values: ({ run }) => Array.from(run.series.of('online'), (each) => each / (agents / 100)),
      of: 'last',
      top: 100,
      tick: share,
    },
    {
      title: 'connections that come in at routers, per second',
      values: ({ run }) => run.series.of('arrivals'),
      of: 'most',
      top: Math.max(most('arrivals'), capacity * 1.1),
      tick: numberText,
      mark: { at: capacity, text: 'what all nodes take' },
    },
  ];
  if (runs.every(({ figures }) => figures.provisioned === 0)) return panels;
  return [
    ...panels,
    {
      title: 'handshakes with identity servers, per second',
      values: ({ run }) => run.series.of('provisioned'),
      of: 'most',
      top: most('provisioned'),
      tick: numberText,
    },
  ];
}

const rowAt = (i: number): number => TOP + 12 + i * LEGEND_ROW;

function legend({ figures: { variant, longestPause, isTold, back } }: Charted, i: number): string {
  const x = LEFT - 52;
  const y = rowAt(i);
  const name = [variant, `pauses up to ${longestPause} s${isTold ? ', as the fabric tells' : ''}`]
    .filter((part) => part !== '')
    .join(': ');
  const end = back['99'] === null ? 'never 99 % back' : `99 % after ${back['99']} s`;
  return `<line class="line line${i}" stroke-dasharray="${COLOURS[i]![2]}" x1="${x}" x2="${x + 34}" y1="${y - 4}" y2="${y - 4}"/><text class="text" x="${x + 42}" y="${y}">${escaped(name)} <tspan class="quiet">· ${end}</tspan></text>`;
}

function panelText(
  panel: Panel,
  runs: readonly Charted[],
  top: number,
  x: (second: number) => number,
  [begin, end]: readonly [number, number],
): string {
  const step = nice(panel.top / 5);
  const most = Math.ceil(panel.top / step - 1e-9) * step;
  const y = (value: number): number => top + PANEL.height - (value / most) * PANEL.height;
  const parts = [`<text class="text" x="${LEFT - 52}" y="${top - 14}">${escaped(panel.title)}</text>`];
  for (let value = 0; value <= most + step / 2; value += step) {
    const at = y(value).toFixed(1);
    parts.push(
      `<line class="${value === 0 ? 'axis' : 'grid'}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>`,
      `<text class="quiet number" text-anchor="end" x="${LEFT - 8}" y="${(y(value) + 4).toFixed(1)}">${panel.tick(Number(value.toPrecision(6)))}</text>`,
    );
  }
  const span = SPANS.find((each) => (end - begin) / each <= 10) ?? SPANS.at(-1)!;
  for (let second = 0; second <= end; second += span) {
    const at = x(second).toFixed(1);
    parts.push(
      `<line class="${second === 0 ? 'axis' : 'grid'}" x1="${at}" x2="${at}" y1="${top}" y2="${top + PANEL.height}"/>`,
      `<text class="quiet number" text-anchor="middle" x="${at}" y="${top + PANEL.height + 18}">${timeText(second, span)}</text>`,
    );
  }
  if (panel.mark !== undefined) {
    const at = y(panel.mark.at).toFixed(1);
    parts.push(
      `<line class="capacity" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>`,
      `<text class="quiet" text-anchor="end" x="${WIDTH - RIGHT}" y="${(y(panel.mark.at) - 5).toFixed(1)}">${panel.mark.text}</text>`,
    );
  }
  runs.forEach((charted, i) => {
    const points = pointsOf(panel, charted, [begin, end]).map(
      ([second, value]) => `${x(second).toFixed(1)} ${y(value).toFixed(1)}`,
    );
    parts.push(`<path class="line line${i}" stroke-dasharray="${COLOURS[i]![2]}" d="M${points.join('L')}"/>`);
  });
  return parts.join('\n');
}

/** One point for each pixel or second, whichever is more. */
function pointsOf(
  panel: Panel,
  charted: Charted,
  [begin, end]: readonly [number, number],
): (readonly [number, number])[] {
  const zero = zeroOf(charted.run);
  const values = panel.values(charted);
  const every = Math.max(1, Math.ceil((end - begin) / PLOT));
  const points: (readonly [number, number])[] = [];
  const lastSecond = charted.run.seconds - 1 - zero;
  for (let second = Math.ceil(begin); second <= end; second += every) {
    let shown = 0;
    for (let i = 0; i < every; i++) {
      // Behind its end nothing changes any more.
      const at = Math.min(second + i, panel.of === 'last' ? lastSecond : second + i);
      const value = at > lastSecond ? 0 : (values[at + zero] ?? 0);
      shown = panel.of === 'last' ? value : Math.max(shown, value);
    }
    points.push([second, shown]);
  }
  return points;
}
