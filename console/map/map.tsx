import { dots, height, land, origin, scale, width } from 'world-map';
import { type Around, projected } from './projection.ts';

/** What a dot of the map shows. */
export interface Spot {
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  /** Unless it is for the whole country. */
  readonly at?: Around;
  readonly key: string;
  readonly devices: number;
  readonly refused: number;
  /** In words, for its title. */
  readonly words: string;
}

const LEAST = 3;
const MOST = 22;

/** Radius of a dot: its area grows with the number, up to that of the largest one. */
export const radius = (number: number, largest: number): number =>
  number === 0 ? 0 : Math.max(LEAST, MOST * Math.sqrt(number / Math.max(largest, 1)));

/** Where a dot is, and how large at least: never smaller than what is known of the place. */
function placed({
  country,
  at,
}: Spot): { readonly x: number; readonly y: number; readonly least: number } | undefined {
  if (at !== undefined) {
    const { x, y, radius } = projected(at, { scale, origin });
    return { x, y, least: radius };
  }
  const dot = dots[country];
  return dot === undefined ? undefined : { x: dot[0], y: dot[1], least: 0 };
}

/** The world, with a dot for each place: full for its devices, a ring for what was refused. A table beside it says the same. */
export function WorldMap({ spots }: { readonly spots: readonly Spot[] }) {
  const largest = Math.max(...spots.map(({ devices }) => devices), 1);
  const mostRefused = Math.max(...spots.map(({ refused }) => refused), 1);
  return (
    <svg
      class="map"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label="Map of the world; the table says the same"
    >
      <path class="map-land" d={land} />
      {spots.map((spot) => {
        const at = placed(spot);
        if (at === undefined) return null;
        const { key, devices, refused, words } = spot;
        const { x, y, least } = at;
        return (
          <g key={key}>
            <title>{words}</title>
            {refused > 0 && <circle class="map-refused" cx={x} cy={y} r={radius(refused, mostRefused)} />}
            {devices > 0 && least > radius(devices, largest) && (
              <circle class="map-around" cx={x} cy={y} r={least} />
            )}
            {devices > 0 && <circle class="map-devices" cx={x} cy={y} r={radius(devices, largest)} />}
          </g>
        );
      })}
    </svg>
  );
}
