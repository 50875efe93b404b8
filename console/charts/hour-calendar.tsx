import { absolute } from '../app/time.ts';

interface Hour {
  /** Its beginning, ISO 8601. */
  readonly at: string;
  readonly ok: number;
  readonly refused: number;
}

const [CELL, GAP, LEFT, TOP] = [22, 2, 64, 26] as const;
const HOURS = 24;
/** How dark a cell is, in steps: what differs by less is not told apart by anybody. */
const STEPS = 4;

/** In which step a number is, of 0 to `STEPS`: each is about three times the one before, so that few are still seen beside many. */
export function stepOf(number: number, most: number): number {
  if (number === 0) return 0;
  return Math.max(1, Math.ceil((Math.log(number + 1) / Math.log(most + 1)) * STEPS));
}

/** Days as columns and hours as rows, in local time: what recurs each day or week, and what a whole region did at once, is a pattern. */
export function HourCalendar({ hours }: { readonly hours: readonly Hour[] }) {
  const days = [...new Set(hours.map(({ at }) => dayOf(at)))];
  const most = Math.max(...hours.map(({ ok }) => ok), 1);
  const width = LEFT + days.length * CELL;
  const height = TOP + HOURS * (CELL / 2);
  return (
    <figure class="chart">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`Handshakes by day and hour; the busiest hour had ${most} admitted`}
      >
        {days.map((day, i) =>
          i % Math.ceil(days.length / 7) === 0 ? (
            <text key={day} class="calendar-text" x={LEFT + i * CELL} y={TOP - 7}>
              {day.slice(5)}
            </text>
          ) : null,
        )}
        {[0, 6, 12, 18].map((hour) => (
          <text key={hour} class="calendar-text" x={0} y={TOP + hour * (CELL / 2) + 9}>
            {`${String(hour).padStart(2, '0')}:00`}
          </text>
        ))}
        {hours.map(({ at, ok, refused }) => {
          const x = LEFT + days.indexOf(dayOf(at)) * CELL;
          const y = TOP + new Date(at).getHours() * (CELL / 2);
          return (
            <g key={at}>
              <title>{`${absolute(at)}: ${ok} admitted, ${refused} refused`}</title>
              <rect
                class={`calendar-${stepOf(ok, most)}`}
                x={x}
                y={y}
                width={CELL - GAP}
                height={CELL / 2 - GAP}
              />
              {refused > 0 && (
                <circle
                  class="calendar-refused"
                  cx={x + CELL - GAP - 4}
                  cy={y + (CELL / 2 - GAP) / 2}
                  r={2.5}
                />
              )}
            </g>
          );
        })}
      </svg>
      <figcaption class="quiet">
        <span>The darker, the more were admitted; ● somebody was refused. Your time.</span>
      </figcaption>
    </figure>
  );
}

/** The local day, as "2026-11-29". */
function dayOf(at: string): string {
  const date = new Date(at);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
