import { run } from '../api/operations.ts';
import type { Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { cityOfMap, spotsOf } from '../app/spots.ts';
import { cityWords, placeWords } from '../app/words.ts';
import { WorldMap } from '../map/map.tsx';
import { Filters } from '../parts/filters.tsx';
import { Page, Section } from '../parts/page.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { Rows } from '../parts/table.tsx';

const RANGES = [
  {
    field: 'hours',
    label: 'Handshakes of',
    choices: [
      ['', 'the last day'],
      ['168', 'the last week'],
      ['720', 'the last 30 days'],
      ['2160', 'the last 90 days'],
    ],
  },
] as const;

const CITIES_LISTED = 50;

/** Where devices and handshakes come from, as far as registries of addresses know. */
export function MapPage({ route }: { readonly route: Route }) {
  const hours = Number(route.query.get('hours') ?? 24);
  const { data, problem, again } = useQuery(`countries ${hours}`, ['handshake'], () =>
    run('handshake-countries', { hours }),
  );
  const cities = useQuery('places', ['handshake'], () => run('handshake-places', {}));
  const places = cities.data?.rows ?? [];
  return (
    <Page
      title="Map"
      sub="Where the address of a handshake is registered, which need not be where the device is."
    >
      <Filters route={route} filters={RANGES} />
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {data !== undefined && (
        <>
          <figure class="chart">
            <WorldMap spots={spotsOf(data.rows, places)} />
            <figcaption class="quiet">
              <span>
                ● devices by their newest handshake, ○ refused handshakes
                {places.length > 0 && '; a pale ring is as large as the place is uncertain'}
              </span>
            </figcaption>
          </figure>
          <Rows
            caption="Devices and handshakes by country"
            rows={data.rows}
            keyOf={({ country }) => country ?? '?'}
            columns={[
              { name: 'Place', kind: 'main', cell: ({ country }) => placeWords(country) },
              { name: 'Devices', kind: 'number', cell: ({ devices }) => devices.toLocaleString('en') },
              { name: 'Admitted', kind: 'number', cell: ({ ok }) => ok.toLocaleString('en') },
              { name: 'Refused', kind: 'number', cell: ({ refused }) => refused.toLocaleString('en') },
            ]}
          />
          {places.length > 0 && (
            <Section title="Cities">
              <Rows
                caption="Devices by city"
                rows={places.slice(0, CITIES_LISTED)}
                keyOf={(place) => cityOfMap(place).key}
                columns={[
                  { name: 'Place', kind: 'main', cell: cityWords },
                  { name: 'Devices', kind: 'number', cell: ({ devices }) => devices.toLocaleString('en') },
                ]}
              />
            </Section>
          )}
        </>
      )}
    </Page>
  );
}
