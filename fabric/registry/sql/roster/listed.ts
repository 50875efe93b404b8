import { Failure } from '../../../../protocol/failure.ts';
import { serialName } from '../../../../protocol/serial.ts';
import { shortGid } from '../../records.ts';
import { type Database, prepare } from '../base/statements.ts';

/** What an admission needs of a group with a roster. */
export interface ListingGroup {
  readonly gid: Uint8Array;
  readonly name: string;
  readonly owner: number;
  /** NULL: it has no roster; 0: it waits for one. */
  readonly roster: number | null;
  /** 1: its network takes only devices whose chips keep their keys. */
  readonly resident: number;
}

interface Listed {
  readonly line: number;
  readonly serial: string | null;
  readonly resident: number | null;
  readonly banned: number;
  readonly names: number;
}

/** Made once: each handshake of such a group asks so. */
const LISTED = `
  SELECT r.line, serial, resident, r.banned, names FROM roster_key AS k JOIN roster_row AS r ON r.roster = k.roster AND r.line = k.line
    JOIN roster ON roster.id = k.roster
  WHERE k.roster = ? AND k.key = substr(CAST(? AS BLOB), 2, 8) AND r.pseudonym = ?`;

/** A device of a group with a roster that is not on it, as a condition on its row. */
export const OUTSIDE = `
  gid IN (SELECT gid FROM grp WHERE roster > 0) AND NOT EXISTS
    (SELECT 1 FROM grp JOIN roster_key AS k ON k.roster = grp.roster JOIN roster_row AS r ON r.roster = k.roster AND r.line = k.line
     WHERE grp.gid = device.gid AND k.key = substr(device.pseudonym, 2, 8) AND r.pseudonym = device.pseudonym)`;

/** A chip on a roster. */
export const findListed = (db: Database, roster: number, pseudonym: Uint8Array): Listed | undefined =>
  prepare(db, LISTED).get(roster, pseudonym, pseudonym) as Listed | undefined;

/**
 * A chip is on the roster of its group, if that has one, and keeps its key, if its network wants that. `isNew`: it comes for the first time. Returns
 * the name that it gets then. Nothing is read for a group without a roster.
 * @throws Failure `fabric.roster-awaited`, `fabric.not-on-roster`, `fabric.not-resident`, `fabric.device-banned`
 */
export function requireListed(
  db: Database,
  group: ListingGroup,
  pseudonym: Uint8Array,
  isNew: boolean,
): string | undefined {
  const { roster, name, gid, owner } = group;
  if (roster === null) {
    if (group.resident === 1) throw notResident(group, 'there is no roster that says so of its devices');
    return undefined;
  }
  if (roster === 0) {
    throw new Failure(
      'fabric.roster-awaited',
      'retry',
      `the group ${name} (${shortGid(gid)}) admits nobody before its roster is in force`,
      { action: 'Give it with "enf-fabric roster add".' },
    );
  }
  const listed = findListed(db, roster, pseudonym);
  if (listed === undefined) {
    throw new Failure(
      'fabric.not-on-roster',
      'operator',
      `a member of the group ${name} (${shortGid(gid)}) is not on its roster`,
      {
        action:
          "Somebody may have the issuer's key: ask the maker. A device that was made after the batch was closed cannot get in.",
      },
    );
  }
  if (group.resident === 1 && listed.resident !== 1) {
    const said =
      listed.resident === 0 ? 'the roster says that this one does not' : 'the roster does not say so';
    throw notResident(group, said);
  }
  if (!isNew) return undefined;
  const { serial, banned, names } = listed;
  if (banned === 1) {
    throw new Failure(
      'fabric.device-banned',
      'operator',
      `the device ${serial ?? 'without a serial number'} of the group ${name} (${shortGid(gid)}) was banned before it came`,
      { action: 'End the ban with "enf-fabric roster unban".' },
    );
  }
  return serial === null || names === 0 ? undefined : freeName(db, owner, serialName(serial));
}

/** `why`: that it is not known of a member of the group. */
const notResident = ({ name, gid }: Pick<ListingGroup, 'name' | 'gid'>, why: string): Failure =>
  new Failure(
    'fabric.not-resident',
    'operator',
    `the network of the group ${name} (${shortGid(gid)}) takes only devices whose chips keep their keys, and ${why}`,
    {
      action:
        'Give the group the roster of its maker, put such devices into another network, or let this one take any: "enf-fabric network takes".',
    },
  );

/** Whoever comes without a roster is taken only where any are; `why`: that nobody says where its key is. @throws Failure `fabric.not-resident` */
export function requireAnyTaken(db: Database, group: Pick<ListingGroup, 'name' | 'gid'>, why: string): void {
  const resident = prepare(
    db,
    'SELECT resident FROM grp JOIN network ON network.id = grp.network WHERE gid = ?',
  ).pluck();
  if (resident.get(group.gid) === 1) throw notResident(group, why);
}

const freeName = (db: Database, owner: number, name: string): string | undefined =>
  prepare(db, 'SELECT 1 FROM device WHERE name = ? AND owner = ?').get(name, owner) === undefined
    ? name
    : undefined;
