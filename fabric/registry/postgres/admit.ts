import { concat, equal, toHex } from '../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { isReserved } from '../address.ts';
import { canonicalText } from '../audit-chain.ts';
import { type Admit, admissionDetail, admitDevice, NULL_IDENTITY } from '../sqlite/admit.ts';
import { cityId } from '../sqlite/counts/cities.ts';
import { type Database, prepare } from '../sqlite/file/statements.ts';
import { ADMISSION } from '../sqlite/trail/audit.ts';

/** Whose a group is and what its addresses follow from; the server looks whether the first two still are so. */
interface GroupNetwork {
  readonly network: number;
  readonly owner: number;
  readonly prefix: Uint8Array;
  readonly key: Uint8Array;
}

/** Groups that are remembered: a tenth of a kilobyte each. */
const MOST_GROUPS = 10_000;

/** Admits a chip; what mostly happens, in one statement (schema/admission.ts). */
export function admitOnServer(): Admit {
  const groups = new Map<string, GroupNetwork>();

  function networkOf(db: Database, gid: Uint8Array): GroupNetwork | undefined {
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

  return (db, act, applicant, options) => {
    const { gid, pseudonym, longtermKey, requested, suite } = applicant;
    const group = networkOf(db, gid);
    const id = group === undefined ? undefined : options.identifier(group.key, pseudonym, 0);
    if (group === undefined || id === undefined || isReserved(id))
      return admitDevice(db, act, applicant, options);
    const address = concat(group.prefix.subarray(0, 8), id);
    if (!equal(requested, NULL_IDENTITY) && !equal(requested, address))
      return admitDevice(db, act, applicant, options);
    const source = options.keep(applicant.source, group.owner);
    const city = source === '' ? undefined : options.cityOf(applicant.source);
    const subject = formatIpv6(address);
    const detail = JSON.stringify(admissionDetail(applicant));
    const entry = canonicalText({ ...act, seq: 0, at: 0, action: ADMISSION, subject, detail }).slice(
      '[0,0'.length,
    );
    const isAdmitted = prepare(db, 'SELECT admit_new(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
      .pluck()
      .get(
        ...[gid, group.network, group.owner, pseudonym, address, longtermKey],
        ...[act.at, source, options.locate(applicant.source) ?? null, cityId(db, city), suite],
        ...[subject, detail, entry],
      );
    if (isAdmitted === 1) return address;
    // The group may be another owner's now, or in another network.
    groups.delete(toHex(gid));
    return admitDevice(db, act, applicant, options);
  };
}
