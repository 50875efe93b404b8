import { toHex } from '../../protocol/bytes.ts';
import type { HandshakeTally } from '../registry/records.ts';
import { cityView } from './audit.ts';
import { optional, whole } from './contract/input.ts';
import { isoTime, operation, type ReadContext } from './contract/operation.ts';
import type {
  CountriesView,
  CountryView,
  HoursView,
  HourView,
  OverviewView,
  PlacesView,
} from './views/overview.ts';

const HOUR_MS = 3_600_000;
/** 90 days: so long are handshakes counted by hour. */
const MOST_HOURS = 2_160;

/** Numbers of devices and handshakes. */
export const overview = operation<Record<never, never>, OverviewView, ReadContext>(
  'overview',
  {},
  async ({ registry, running }) => {
    const now = Date.now();
    const { networks, groups, devices, connected, ...others } = await registry.census();
    const since = firstHour(now, 24);
    const hours = hoursOf(await registry.hourTallies(since), now, 24);
    const newest = (await registry.audit({ limit: 1 })).rows[0];
    const serving = (await running.presence([])) !== undefined;
    return {
      asOf: isoTime(now),
      networks,
      groups,
      devices: { total: devices, online: serving ? connected : null, ...others },
      handshakes: { hours, ...sumsOf(hours) },
      countries: countriesOf(await registry.countryTallies(since), await registry.deviceCountries()),
      alarms: await registry.newAlarms(),
      audit: newest?.hash === undefined ? null : { seq: newest.seq, hash: toHex(newest.hash) },
    };
  },
);

/** Handshakes by hour, the oldest first: of the last 24 hours unless `hours` says otherwise, at most of 90 days. */
export const handshakeHours = operation<{ hours?: number | undefined }, HoursView, ReadContext>(
  'handshake-hours',
  { hours: optional(whole(1, MOST_HOURS)) },
  async ({ registry }, { hours = 24 }) => {
    const now = Date.now();
    return { rows: hoursOf(await registry.hourTallies(firstHour(now, hours)), now, hours) };
  },
);

/** Handshakes by country within so many hours, and devices by where they are now; most devices first. */
export const handshakeCountries = operation<{ hours?: number | undefined }, CountriesView, ReadContext>(
  'handshake-countries',
  { hours: optional(whole(1, MOST_HOURS)) },
  async ({ registry }, { hours = 24 }) => {
    const tallies = await registry.countryTallies(firstHour(Date.now(), hours));
    return { rows: countriesOf(tallies, await registry.deviceCountries()) };
  },
);

const MOST_PLACES = 1_000;
const PLACES = 200;

/** Where most devices are, by the cities of their newest handshakes, those with the most first: 200 unless `limit` says otherwise. */
export const handshakePlaces = operation<{ limit?: number | undefined }, PlacesView, ReadContext>(
  'handshake-places',
  { limit: optional(whole(1, MOST_PLACES)) },
  async ({ registry }, { limit = PLACES }) => ({
    rows: (await registry.deviceCities(limit)).map((row) => ({ ...cityView(row), devices: row.devices })),
  }),
);

/** The beginning of the first of the last `hours` hours, of which the last one is not over. */
const firstHour = (now: number, hours: number): number => (Math.floor(now / HOUR_MS) - hours + 1) * HOUR_MS;

function hoursOf(sums: ReadonlyMap<number, HandshakeTally>, now: number, hours: number): HourView[] {
  const first = firstHour(now, hours);
  return Array.from({ length: hours }, (_, i) => {
    const hour = first + i * HOUR_MS;
    return { at: isoTime(hour), ...(sums.get(hour) ?? NONE) };
  });
}

const NONE: HandshakeTally = { ok: 0, refused: 0, abandoned: 0 };

const sumsOf = (rows: readonly HandshakeTally[]): HandshakeTally =>
  rows.reduce(
    (sum, { ok, refused, abandoned }) => ({
      ok: sum.ok + ok,
      refused: sum.refused + refused,
      abandoned: sum.abandoned + abandoned,
    }),
    NONE,
  );

function countriesOf(
  tallies: ReadonlyMap<string | undefined, HandshakeTally>,
  devices: ReadonlyMap<string, number>,
): CountryView[] {
  const rows = [...new Set([...devices.keys(), ...tallies.keys()])].map((country) => ({
    country: country ?? null,
    devices: (country === undefined ? undefined : devices.get(country)) ?? 0,
    ...(tallies.get(country) ?? NONE),
  }));
  return rows.sort((one, other) => other.devices - one.devices || other.refused - one.refused);
}
