import { toHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { countries } from '../geo/countries.ts';
import type { Handshake } from '../registry/records.ts';
import type { RegistryReader } from '../registry/registry.ts';
import { handshakeView } from './audit.ts';
import { text } from './contract/input.ts';
import { isoTime, operation, type ReadContext } from './contract/operation.ts';
import { groupView, LONGEST_LABEL } from './groups.ts';
import type { KnockingView, LabelView } from './views/groups.ts';

const MOST_ATTEMPTS = 1_000;
const MOST_COUNTRIES = 10;

/** Reads a label by its text, and changes nothing. @throws Failure `label.…`, `ecdaa.bad-group-key` */
export const readLabel = operation<{ label: string }, LabelView, ReadContext>(
  'label-read',
  { label: text(LONGEST_LABEL) },
  async ({ registry }, input) => {
    const { openLabel } = await import('../labels/label.ts');
    const { label, gid } = openLabel(input.label);
    const group = await registry.group(toHex(gid)).catch((error: unknown) => {
      if (!isFailure(error, 'fabric.unknown-group')) throw error;
    });
    return {
      gid: toHex(gid),
      name: label.name,
      vendor: label.vendor ?? null,
      basename: toHex(label.basename),
      hasClaim: label.claim !== undefined,
      signed: label.signature !== undefined,
      group: group === undefined ? null : groupView(group),
      knocking: await knocking(registry, gid),
    };
  },
);

async function knocking(registry: RegistryReader, gid: Uint8Array): Promise<KnockingView | null> {
  const { rows } = await registry.handshakes(
    { limit: MOST_ATTEMPTS },
    { gid, result: 'fabric.group-not-admitted' },
  );
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
