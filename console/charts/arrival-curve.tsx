import { absolute } from '../app/time.ts';
import { count } from '../app/words.ts';

const [WIDTH, HEIGHT, PAD] = [600, 140, 4] as const;

/** How many devices had come by when, as steps; `announced` is the line that they rise to. */
export function ArrivalCurve({
  points,
  announced,
}: {
  readonly points: readonly { readonly at: string; readonly devices: number }[];
  readonly announced: number | null;
}) {
  const times = points.map(({ at }) => Date.parse(at));
  const first = times[0]!;
  const span = Math.max(times.at(-1)! - first, 1);
  const most = Math.max(announced ?? 0, points.at(-1)!.devices, 1);
  const x = (time: number): number => PAD + ((time - first) / span) * (WIDTH - 2 * PAD);
  const y = (devices: number): number => HEIGHT - PAD - (devices / most) * (HEIGHT - 2 * PAD);
  const steps = points
    .map(({ devices }, i) => `H${x(times[i]!).toFixed(1)}V${y(devices).toFixed(1)}`)
    .join('');
  const line = `M${PAD} ${y(0)}${steps}H${WIDTH - PAD}`;
  const from = absolute(points[0]!.at);
  const to = absolute(points.at(-1)!.at);
  return (
    <figure class="chart">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`${count(points.at(-1)!.devices, 'device')} came from ${from} to ${to}`}
      >
        {announced !== null && announced > 0 && (
          <line class="chart-goal" x1={PAD} x2={WIDTH - PAD} y1={y(announced)} y2={y(announced)} />
        )}
        <path class="chart-area" d={`${line}V${y(0)}Z`} />
        <path class="chart-line" d={line} />
      </svg>
      <figcaption class="quiet">
        <span>{from}</span>
        <span>{to}</span>
      </figcaption>
    </figure>
  );
}
