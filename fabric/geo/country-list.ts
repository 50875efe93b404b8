import { Failure } from '../../protocol/failure.ts';

/** Words of a list of countries for addresses that are registered in none, or nobody knows where. */
const NO_COUNTRY = ['private', 'unknown'];

const REGIONS = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' });
/** ICU's name for no country. */
const NOWHERE = 'ZZ';

/**
 * Countries as databases of places name them, each once and in order: ISO 3166-1 alpha-2 codes in either case, `private` for addresses of private
 * networks, and `unknown`. @throws Failure `fabric.bad-country`
 */
export function parseCountries(words: readonly string[]): string[] {
  return [...new Set(words.map(parseCountry))].sort();
}

function parseCountry(word: string): string {
  const given = word.trim();
  if (NO_COUNTRY.includes(given.toLowerCase())) return given.toLowerCase();
  const code = /^[a-z]{2}$/i.test(given) ? canonical(given) : NOWHERE;
  if (code !== NOWHERE && REGIONS.of(code) !== undefined) return code;
  throw new Failure('fabric.bad-country', 'operator', `${JSON.stringify(given.slice(0, 40))} is no country`, {
    action:
      'Give two-letter codes (ISO 3166-1) such as CH,DE; private and unknown stand for addresses without a country.',
  });
}

/** Codes that are used beside the standard's: UK is GB. */
const canonical = (code: string): string => new Intl.Locale(`und-${code}`).region ?? NOWHERE;
