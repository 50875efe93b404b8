import { useEffect } from 'preact/hooks';
import { run, type ViewOf } from '../api/operations.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { live } from '../app/live.ts';
import { useQuery } from '../app/query.ts';
import { go } from '../app/route.ts';
import { spotOf } from '../app/spots.ts';
import { clock, minute, now } from '../app/time.ts';
import { placeWords } from '../app/words.ts';
import { HourBars } from '../charts/hour-bars.tsx';
import { WorldMap } from '../map/map.tsx';
import { ProblemBox } from '../parts/problem.tsx';

/** Whatever happens, all is asked for so often: that also keeps the session, as long as sessions last. */
const AGAIN_MS = 60_000;
const ARRIVALS = 9;

type Numbers = ViewOf<'overview'>;

/** What there is, to be read across a room; nobody has to touch it. */
export function Wall(_: { readonly route: Route }) {
  const { data, problem, again } = useQuery('wall', ['device', 'group', 'handshake', 'audit'], () =>
    run('overview', {}),
  );
  const newest = useQuery('wall arrivals', ['handshake'], () =>
    run('handshake-list', { limit: ARRIVALS, result: 'ok' }),
  );
  useEffect(() => {
    const timer = setInterval(() => {
      again();
      newest.again();
    }, AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    const leave = ({ key }: KeyboardEvent): void => {
      if (key === 'Escape') go(hrefOf([]));
    };
    addEventListener('keydown', leave);
    return () => removeEventListener('keydown', leave);
  }, []);
  return (
    <div class="wall">
      <header>
        <h1>enf</h1>
        <a class="wall-back" href={hrefOf([])}>
          Back to the console (Esc)
        </a>
        <p class="wall-clock" role="status">
          {live.value.on ? minute(now.value) : `○ not live since ${clock(live.value.since)}, trying`}
        </p>
      </header>
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {data !== undefined && <Counters numbers={data} />}
      <div class="wall-columns">
        <div>
          {data !== undefined && <WorldMap spots={data.countries.flatMap(spotOf)} />}
          {data !== undefined && <HourBars hours={data.handshakes.hours} />}
        </div>
        <section>
          <h2>Lately admitted</h2>
          <ol class="wall-arrivals">
            {(newest.data?.rows ?? []).map(({ at, address, country }) => (
              <li key={`${at} ${address}`}>
                <span class="quiet">{minute(Date.parse(at))}</span> <code>{shortAddress(address)}</code>{' '}
                {placeWords(country)}
              </li>
            ))}
          </ol>
        </section>
      </div>
    </div>
  );
}

function Counters({ numbers }: { readonly numbers: Numbers }) {
  const { devices, handshakes, alarms } = numbers;
  const rows: readonly (readonly [name: string, value: number | null, bad: boolean])[] = [
    ['online', devices.online, devices.online === null],
    ['devices', devices.total, false],
    ['admitted, 24 h', handshakes.ok, false],
    ['refused, 24 h', handshakes.refused, handshakes.refused > 0],
    ['alarms', alarms, alarms > 0],
  ];
  return (
    <dl class="wall-numbers">
      {rows.map(([name, value, bad]) => (
        <div key={name} class={bad ? 'wall-bad' : undefined}>
          <dt>{name}</dt>
          <dd>{value === null ? '?' : value.toLocaleString('en')}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The last four groups: on one wall the network is mostly the same. */
const shortAddress = (address: string | null): string =>
  address === null ? '?' : `…${address.split(':').slice(-4).join(':')}`;
