import { concat, equal, toHex } from '../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { isReserved } from '../address.ts';
import type { Applicant } from '../records.ts';
import { type Admitting, admissionDetail, admitDevice, NULL_IDENTITY } from '../sql/admit.ts';
import { type Database, prepare } from '../sql/base/statements.ts';
import { type CityRow, cityRow } from '../sql/counts/cities.ts';
import type { Together } from './commit-queue.ts';

/** Whose a group is and what its addresses follow from; the server looks whether the first two still are so. */
interface GroupNetwork {
  readonly network: number;
  readonly owner: number;
  readonly prefix: Uint8Array;
  readonly key: Uint8Array;
}

/** Groups that are remembered: a tenth of a kilobyte each. */
const MOST_GROUPS = 10_000;

/** A chip as schema/admission.ts takes it: bytes in hex. */
interface Row {
  readonly number: number;
  readonly [column: string]: unknown;
}

const ADMIT = 'SELECT admit_together($1, $2, $3)';

const hex = (bytes: Uint8Array): string => `\\x${toHex(bytes)}`;

/** Of a chip that is in no city that is known. */
const NOWHERE: Partial<CityRow> = {};

/** Admits chips; what mostly happens, all in one statement (schema/admission.ts). Those that are another case, by the code of both engines. */
export function admitOnServer(db: Database, { act, options }: Admitting): Together<Applicant, Uint8Array> {
  const groups = new Map<string, GroupNetwork>();

  function networkOf(gid: Uint8Array): GroupNetwork | undefined {
    const name = toHex(gid);
    const found =
      groups.get(name) ??
      (prepare(
        db,
        'SELECT network.id AS network, grp.owner, prefix, key FROM grp JOIN network ON network.id = grp.network WHERE gid = ?',
      ).get(gid) as GroupNetwork | undefined);
    if (found !== undefined && groups.size < MOST_GROUPS) groups.set(name, found);
    return found;
  }

  /** A chip with the first address that it may have; undefined if it cannot have that. */
  function rowOf(number: number, applicant: Applicant): { address: Uint8Array; row: Row } | undefined {
    const { gid, pseudonym, longtermKey, requested, suite } = applicant;
    const group = networkOf(gid);
    if (group === undefined) return undefined;
    const id = options.identifier(group.key, pseudonym, 0);
    const address = concat(group.prefix.subarray(0, 8), id);
    if (isReserved(id) || !(equal(requested, NULL_IDENTITY) || equal(requested, address))) return undefined;
    const source = options.keep(applicant.source, group.owner);
    const city = source === '' ? undefined : options.cityOf(applicant.source);
    const { country: city_country, ...place } = city === undefined ? NOWHERE : cityRow(city);
    return {
      address,
      row: {
        ...{ number, suite, source, network: group.network, owner: group.owner },
        ...{ gid: hex(gid), pseudonym: hex(pseudonym), address: hex(address), key: hex(longtermKey) },
        ...{ subject: formatIpv6(address), detail: JSON.stringify(admissionDetail(applicant)) },
        ...{ country: options.locate(applicant.source), located: city !== undefined, city_country, ...place },
      },
    };
  }

  return {
    together(applicants) {
      const wanted = applicants.map((applicant, number) => rowOf(number, applicant));
      const rows = wanted.flatMap((each) => (each === undefined ? [] : [each.row]));
      if (rows.length === 0) return undefined;
      const { at, actor } = act();
      return {
        query: { sql: ADMIT, statement: 'admit', values: [String(at), actor, JSON.stringify(rows)] },
        results(answer) {
          const admitted = new Set(numbersOf(answer.rows[0]![0]!));
          return wanted.map((each, number) => (admitted.has(number) ? each!.address : undefined));
        },
      };
    },
    alone(applicant) {
      // The group may be another owner's now, or in another network.
      groups.delete(toHex(applicant.gid));
      return admitDevice(db, act(), applicant, options);
    },
  };
}

/** What the server writes of an array of numbers, such as `{1,2}`. */
const numbersOf = (array: string): readonly number[] =>
  array === '{}' ? [] : array.slice(1, -1).split(',').map(Number);
