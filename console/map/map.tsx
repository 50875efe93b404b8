import { dots, height, land, width } from 'world-map';

/** What a dot of the map shows. */
export interface Spot {
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
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

/** The world, with a dot for each country: full for its devices, a ring for what was refused. A table beside it says the same. */
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
      {spots.map(({ country, devices, refused, words }) => {
        const at = dots[country];
        if (at === undefined) return null;
        return (
          <g key={country}>
            <title>{words}</title>
            {refused > 0 && (
              <circle class="map-refused" cx={at[0]} cy={at[1]} r={radius(refused, mostRefused)} />
            )}
            {devices > 0 && <circle class="map-devices" cx={at[0]} cy={at[1]} r={radius(devices, largest)} />}
          </g>
        );
      })}
    </svg>
  );
}
