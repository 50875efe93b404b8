import { concat, equal, toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { EVERYTHING } from '../../access/scope.ts';
import { type Identifier, isReserved } from '../address.ts';
import type { Act, Applicant, City, Group } from '../records.ts';
import type { RegistryOptions } from '../registry.ts';
import { type Database, prepare } from './base/statements.ts';
import { cityId } from './counts/cities.ts';
import { DAY_MS, trimMember } from './counts/history.ts';
import { type GroupLimits, requireWithinLimits } from './counts/limits.ts';
import {
  deviceBanned,
  findMember,
  type KnownMember,
  requireInUse,
  shortPseudonym,
} from './inventory/devices.ts';
import { findGroup } from './inventory/groups.ts';
import { recordHandshake } from './inventory/handshakes.ts';
import type { Keep } from './privacy/part.ts';
import { requireListed } from './roster/listed.ts';
import { ADMISSION, appendAudit } from './trail/audit.ts';
import { recordChange } from './trail/changes.ts';
import { noteOfDevice } from './trail/notes.ts';

/** An applicant, where it is, and what it is called if it is new. */
type Located = Applicant & {
  readonly country: string | undefined;
  readonly city: City | undefined;
  readonly name: string | undefined;
};

/** `keep`: what is kept of a source, for whom its place was looked up. */
export type AdmitOptions = Pick<Required<RegistryOptions>, 'identifier' | 'locate' | 'cityOf'> & {
  readonly keep: Keep['address'];
};

/** What is the same for all chips that a process admits. */
export interface Admitting {
  act(): Act;
  readonly options: AdmitOptions;
}

/** More collisions in a row than this do not happen by chance in a /64. */
const MAX_COUNTER = 1_000;
export const NULL_IDENTITY = new Uint8Array(16);

/**
 * Admits a chip whose group signature was verified: a known one gets the address it has, with its new longterm key;
 * a new one gets a row and an address. The handshake's row is part of the same transaction (the caller's). Whatever is refused is refused before
 * anything is written. Returns the 16-byte address.
 * @throws Failure `fabric.group-not-admitted`, `fabric.group-suspended`, `fabric.group-full`, `fabric.country-unexpected`,
 *   `fabric.roster-awaited`, `fabric.not-on-roster`, `fabric.not-resident`, `fabric.device-banned`, `fabric.device-retired`, `fabric.address-not-yours`, `fabric.network-full`
 */
export function admitDevice(
  db: Database,
  act: Act,
  applicant: Applicant,
  { identifier, locate, cityOf, keep }: AdmitOptions,
): Uint8Array {
  const group = requireOpen(applicant.gid, findAdmitting(db, applicant.gid));
  const known = findMember(db, applicant.gid, applicant.pseudonym);
  const name = requireListed(db, { ...group, gid: applicant.gid }, applicant.pseudonym, known === undefined);
  const country = locate(applicant.source);
  if (known === undefined) requireWithinLimits(db, limitsOf(applicant.gid, group), country);
  const source = keep(applicant.source, group.owner);
  // A city is no more than an address without its end: where none is kept, it is not, either.
  const city = source === '' ? undefined : cityOf(applicant.source);
  const located = { ...applicant, source, country, city, name };
  const address =
    known === undefined
      ? admitNew(db, act, located, group, identifier)
      : admitAgain(db, act, located, { known, owner: group.owner });
  recordHandshake(db, {
    owner: group.owner,
    at: act.at,
    source,
    ...(country !== undefined && { country }),
    ...(city !== undefined && { city }),
    suite: applicant.suite,
    gid: applicant.gid,
    pseudonym: applicant.pseudonym,
    proven: true,
    result: 'ok',
    address,
  });
  if (known !== undefined) trimMember(db, act.at, applicant);
  return address;
}

/** The group of this id. @throws Failure `fabric.group-not-admitted`, `fabric.group-suspended` */
export const requireOpenGroup = (db: Database, gid: Uint8Array): Group =>
  requireOpen(gid, groupOfTpms(findGroup(db, gid, EVERYTHING)));

const groupOfTpms = (group: Group | undefined): Group | undefined =>
  group?.anchor === undefined && group?.keys === undefined ? group : undefined;

/** All that an admission needs of a group and its network: the other columns are longer than these together. */
interface AdmittingGroup {
  readonly name: string;
  readonly status: Group['status'];
  readonly most: number | null;
  readonly countries: string | null;
  readonly prefix: Uint8Array;
  readonly key: Uint8Array;
  readonly owner: number;
  readonly roster: number | null;
  /** 1: of its network only devices whose chips keep their keys. */
  readonly resident: number;
}

/** Columns by their places: an object with names for each handshake would cost as much as the search. */
function findAdmitting(db: Database, gid: Uint8Array): AdmittingGroup | undefined {
  const row = prepare(
    db,
    `SELECT grp.name, status, most, countries, prefix, key, grp.owner, roster, resident
     FROM grp JOIN network ON network.id = grp.network WHERE gid = ? AND anchor IS NULL AND keys = 0`,
  )
    .raw()
    .get(gid) as AdmittingRow | undefined;
  if (row === undefined) return undefined;
  const [name, status, most, countries, prefix, key, owner, roster, resident] = row;
  return { name, status, most, countries, prefix, key, owner, roster, resident };
}

type AdmittingRow = [
  ...[name: string, status: Group['status'], most: number | null, countries: string | null],
  ...[prefix: Uint8Array, key: Uint8Array, owner: number, roster: number | null, resident: number],
];

const limitsOf = (gid: Uint8Array, { name, most, countries }: AdmittingGroup): GroupLimits => ({
  gid,
  name,
  ...(most !== null && { most }),
  ...(countries !== null && { countries: countries.split(',') }),
});

function requireOpen<G extends Pick<Group, 'status'>>(gid: Uint8Array, group: G | undefined): G {
  if (group === undefined) {
    throw new Failure(
      'fabric.group-not-admitted',
      'operator',
      `the group ${toHex(gid)} is not admitted here`,
      {
        action: 'If you own the devices, add the group with "enf-fabric group add --label …".',
      },
    );
  }
  if (group.status !== 'active') {
    throw new Failure('fabric.group-suspended', 'operator', `the group ${toHex(gid)} is suspended`, {
      action: 'End the suspension with "enf-fabric group resume".',
    });
  }
  return group;
}

function admitAgain(
  db: Database,
  act: Act,
  applicant: Located,
  { known, owner }: { known: KnownMember; owner: number },
): Uint8Array {
  const { address, standing } = known;
  requireInUse(known);
  if (standing === 'banned') throw deviceBanned(known);
  if (!mayHave(applicant, address)) throw notYours(applicant.requested);
  noteMove(db, act, known, applicant.country);
  const rekeyed = !equal(known.longtermKey, applicant.longtermKey);
  prepare(
    db,
    `UPDATE device SET longterm_key = ?, evicted = 0, handshake_at = ?, handshake_from = ?, country = ?, place = ?
     WHERE address = ?`,
  ).run(
    ...[applicant.longtermKey, act.at, applicant.source, applicant.country ?? null],
    ...[cityId(db, applicant.city), address],
  );
  if (rekeyed || standing !== 'active') {
    recordChange(db, 'device', address);
    const detail = { rekeyed };
    if (standing === 'active') noteOfDevice(db, act, 'device.rekey', address, detail, owner);
    else appendAudit(db, { ...act, owner, action: 'device.readmit', subject: formatIpv6(address), detail });
  }
  return address;
}

/** It asked for no address, or for this one. */
const mayHave = ({ requested }: Applicant, address: Uint8Array): boolean =>
  equal(requested, NULL_IDENTITY) || equal(requested, address);

const notYours = (requested: Uint8Array): Failure =>
  new Failure(
    'fabric.address-not-yours',
    'operator',
    `the device asked for ${formatIpv6(requested)}, which is not its own`,
    { action: 'Let the device ask for no address, or for the one it has.' },
  );

/** What the trail says of who was admitted. */
export const admissionDetail = ({
  gid,
  pseudonym,
  name,
}: Applicant & { readonly name?: string | undefined }): Record<string, unknown> => ({
  gid: toHex(gid),
  pseudonym: shortPseudonym(pseudonym),
  ...(name !== undefined && { name }),
});

/** Within a day nobody carries a gateway abroad and provisions it there. */
function noteMove(db: Database, act: Act, known: KnownMember, country: string | undefined): void {
  const { address, handshakeAt, country: from } = known;
  if (from === undefined || country === undefined || from === country || [from, country].includes('private'))
    return;
  if (act.at - handshakeAt < DAY_MS) noteOfDevice(db, act, 'device.moves', address, { from, to: country });
}

function admitNew(
  db: Database,
  act: Act,
  applicant: Located,
  network: AdmittingGroup,
  identifier: Identifier,
): Uint8Array {
  const { gid, pseudonym, longtermKey, source, country = null, name } = applicant;
  const address = freeAddress(db, network, pseudonym, identifier);
  if (!mayHave(applicant, address)) throw notYours(applicant.requested);
  prepare(
    db,
    `INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from, country, owner, place, name)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    gid,
    pseudonym,
    address,
    longtermKey,
    act.at,
    act.at,
    source,
    country,
    network.owner,
    cityId(db, applicant.city),
    name ?? null,
  );
  appendAudit(db, {
    ...act,
    owner: network.owner,
    action: ADMISSION,
    subject: formatIpv6(address),
    detail: admissionDetail(applicant),
  });
  return address;
}

/** The first one of a chip in a network that no other device has. @throws Failure `fabric.network-full` */
function freeAddress(
  db: Database,
  { key, prefix }: AdmittingGroup,
  pseudonym: Uint8Array,
  identifier: Identifier,
): Uint8Array {
  for (let counter = 0; counter < MAX_COUNTER; counter++) {
    const id = identifier(key, pseudonym, counter);
    const address = concat(prefix.subarray(0, 8), id);
    if (!isReserved(id) && !isTaken(db, address)) return address;
  }
  throw new Failure('fabric.network-full', 'operator', `no free address after ${MAX_COUNTER} attempts`, {
    action: 'Verify the registry with "enf-fabric audit"; this does not happen by chance in a /64.',
  });
}

const isTaken = (db: Database, address: Uint8Array): boolean =>
  prepare(db, 'SELECT 1 FROM device WHERE address = ?').get(address) !== undefined;
