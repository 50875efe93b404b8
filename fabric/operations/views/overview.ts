import {
  count,
  hexOf,
  listOf,
  named,
  number,
  orNull,
  rowsOf,
  type Shown,
  shown,
  time,
} from '../contract/output.ts';
import { STANDING_COUNTS } from './devices.ts';
import { CITY_FIELDS, COUNTRY } from './handshakes.ts';

const TALLY = {
  ok: count('Handshakes that were good.'),
  refused: count('Handshakes that were refused.'),
  abandoned: count(
    "Handshakes that their clients have left after the server's answer, having claimed nothing.",
  ),
};

/** Handshakes of an hour, which began at `at`. */
export const HourView = named('Hour', 'Handshakes of an hour.', {
  at: time('When it began.'),
  ...TALLY,
});
export type HourView = Shown<typeof HourView>;
export const HoursView = rowsOf(HourView);
export type HoursView = Shown<typeof HoursView>;

export const CountryView = named('Country', 'Handshakes and devices of a country.', {
  country: COUNTRY,
  devices: count('Devices whose newest handshake came from there.'),
  ...TALLY,
});
export type CountryView = Shown<typeof CountryView>;
export const CountriesView = rowsOf(CountryView);
export type CountriesView = Shown<typeof CountriesView>;

export const PlaceView = named('Place', 'A place, with the devices whose newest handshake came from there.', {
  ...CITY_FIELDS,
  devices: count('How many devices.'),
});
export type PlaceView = Shown<typeof PlaceView>;
export const PlacesView = rowsOf(PlaceView);
export type PlacesView = Shown<typeof PlacesView>;

/** What there is, at a glance. */
export const OverviewView = named('Overview', 'What there is, at a glance.', {
  asOf: time('When that was so.'),
  networks: count('How many networks there are.'),
  groups: count('How many groups there are.'),
  devices: shown({
    total: count('How many devices there are.'),
    online: orNull(count('With a tunnel; null: no fabric is serving, so nobody knows.')),
    ...STANDING_COUNTS,
    suspended: count('Of suspended groups, whatever else they are.'),
  }),
  handshakes: shown(
    { hours: listOf(HourView, 'The oldest first, those without any included.'), ...TALLY },
    'Of the last 24 hours.',
  ),
  countries: listOf(CountryView, 'Of the last 24 hours, most devices first.'),
  alarms: count('Alarms that are open and that nobody has acknowledged.'),
  audit: orNull(
    shown(
      { seq: number('Its place in the trail.'), hash: hexOf(32, 'Its hash.') },
      'The newest entry of the audit trail; null if there is none.',
    ),
  ),
});
export type OverviewView = Shown<typeof OverviewView>;
