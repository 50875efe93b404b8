import { countries } from '../geo/countries.ts';
import type { Handshake } from '../registry/records.ts';
import { handshakeView } from './audit.ts';
import { isoTime } from './contract/operation.ts';
import type { KnockingView } from './views/groups.ts';

/** Refused handshakes that are looked at. */
export const MOST_ATTEMPTS = 1_000;
const MOST_COUNTRIES = 10;

/** What refused handshakes, newest first, have in common; null without any. */
export async function knockingOf(rows: readonly Handshake[]): Promise<KnockingView | null> {
  if (rows.length === 0) return null;
  return {
    attempts: rows.length,
    first: isoTime(rows.at(-1)!.at),
    last: isoTime(rows[0]!.at),
    countries: await countriesOf(rows),
  };
}

async function countriesOf(rows: readonly Handshake[]): Promise<(string | null)[]> {
  const countryOf = await countries();
  const times = new Map<string | null, number>();
  for (const row of rows) {
    const { country } = handshakeView(row, countryOf);
    times.set(country, (times.get(country) ?? 0) + 1);
  }
  const byTimes = [...times].sort(([, one], [, other]) => other - one);
  return byTimes.slice(0, MOST_COUNTRIES).map(([country]) => country);
}
