import { absolute } from '../app/time.ts';

const [WIDTH, HEIGHT, GAP] = [600, 120, 3] as const;

/** Handshakes by hour: admitted ones above the line, refused ones below it. */
export function HourBars({
  hours,
}: {
  readonly hours: readonly { readonly at: string; readonly ok: number; readonly refused: number }[];
}) {
  const up = Math.max(...hours.map(({ ok }) => ok), 1);
  const down = Math.max(...hours.map(({ refused }) => refused), 0);
  const line = HEIGHT * (up / (up + down));
  const scale = (HEIGHT - 2) / (up + down);
  const step = WIDTH / hours.length;
  return (
    <figure class="chart">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label="Handshakes by hour; the sums are in the text"
      >
        {hours.map(({ at, ok, refused }, i) => (
          <g key={at}>
            <title>{`${absolute(at)}: ${ok} admitted, ${refused} refused`}</title>
            <rect class="bar-hit" x={i * step} y={0} width={step} height={HEIGHT} />
            <rect class="bar-ok" x={i * step} y={line - ok * scale} width={step - GAP} height={ok * scale} />
            <rect class="bar-refused" x={i * step} y={line} width={step - GAP} height={refused * scale} />
          </g>
        ))}
        <line class="bar-line" x1={0} x2={WIDTH} y1={line} y2={line} />
      </svg>
      <figcaption class="quiet">
        <span>24 hours ago</span>
        <span>now</span>
      </figcaption>
    </figure>
  );
}
