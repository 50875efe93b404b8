import { concat, equal, toHex } from '../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { isReserved } from '../address.ts';
import { canonicalText } from '../audit-chain.ts';
import type { Applicant } from '../records.ts';
import { type Admitting, admissionDetail, admitDevice, NULL_IDENTITY } from '../sql/admit.ts';
import { type Database, prepare } from '../sql/base/statements.ts';
import { cityId } from '../sql/counts/cities.ts';
import { ADMISSION } from '../sql/trail/audit.ts';
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
  readonly at: number;
  readonly [field: string]: unknown;
}

/** All that are admitted at once: by their number. */
const ADMIT = `SELECT number, admit_new(decode(gid, 'hex'), network, owner, decode(pseudonym, 'hex'), decode(address, 'hex'), decode(key, 'hex'),
    at, source, country, place, suite, subject, detail, entry) AS admitted
  FROM json_to_recordset(?) AS rows (number bigint, gid text, network bigint, owner bigint, pseudonym text, address text, key text,
    at bigint, source text, country text, place bigint, suite bigint, subject text, detail text, entry text) ORDER BY number`;

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

  /** The rows of a new chip with the first address that it may have; undefined if it cannot have that. */
  function rowOf(number: number, applicant: Applicant): { address: Uint8Array; row: Row } | undefined {
    const { gid, pseudonym, longtermKey, requested, suite } = applicant;
    const group = networkOf(gid);
    if (group === undefined) return undefined;
    const id = options.identifier(group.key, pseudonym, 0);
    const address = concat(group.prefix.subarray(0, 8), id);
    if (isReserved(id) || !(equal(requested, NULL_IDENTITY) || equal(requested, address))) return undefined;
    const { at, actor } = act();
    const source = options.keep(applicant.source, group.owner);
    const subject = formatIpv6(address);
    const detail = JSON.stringify(admissionDetail(applicant));
    const entry = canonicalText({ seq: 0, at: 0, actor, action: ADMISSION, subject, detail });
    return {
      address,
      row: {
        ...{ number, at, suite, source, subject, detail, entry: entry.slice('[0,0'.length) },
        ...{ network: group.network, owner: group.owner },
        ...{ gid: toHex(gid), pseudonym: toHex(pseudonym), address: toHex(address), key: toHex(longtermKey) },
        country: options.locate(applicant.source),
        place: cityId(db, source === '' ? undefined : options.cityOf(applicant.source)),
      },
    };
  }

  return {
    together(applicants) {
      const wanted = applicants.map((applicant, number) => rowOf(number, applicant));
      const rows = wanted.flatMap((each) => (each === undefined ? [] : [each.row]));
      if (rows.length === 0) return applicants.map(() => undefined);
      const admitted = new Set(
        (prepare(db, ADMIT).all(JSON.stringify(rows)) as { number: number; admitted: number }[])
          .filter((row) => row.admitted === 1)
          .map(({ number }) => number),
      );
      return wanted.map((each, number) => (admitted.has(number) ? each?.address : undefined));
    },
    alone(applicant) {
      // The group may be another owner's now, or in another network.
      groups.delete(toHex(applicant.gid));
      return admitDevice(db, act(), applicant, options);
    },
  };
}
