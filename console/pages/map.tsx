import { run } from '../api/operations.ts';
import type { Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { placeWords, spotOf } from '../app/words.ts';
import { WorldMap } from '../map/map.tsx';
import { Filters } from '../parts/filters.tsx';
import { Page } from '../parts/page.tsx';
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

/** Where devices and handshakes come from, as far as registries of addresses know. */
export function MapPage({ route }: { readonly route: Route }) {
  const hours = Number(route.query.get('hours') ?? 24);
  const { data, problem, again } = useQuery(`countries ${hours}`, ['handshake'], () =>
    run('handshake-countries', { hours }),
  );
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
            <WorldMap spots={data.rows.flatMap(spotOf)} />
            <figcaption class="quiet">
              <span>● devices by their newest handshake, ○ refused handshakes</span>
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
        </>
      )}
    </Page>
  );
}
