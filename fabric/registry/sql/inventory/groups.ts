import { fromHex, toHex } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { formatPrefix, type Prefix } from '../../../../protocol/ipv6.ts';
import { EVERYTHING, type Scope } from '../../../access/scope.ts';
import { fittingPage, LOOKED_AT, type Page, type PageRequest, pageOf, parseCursor } from '../../pages.ts';
import {
  type Act,
  type CountedGroup,
  type Group,
  type GroupStatus,
  shortGid,
  type TextFilter,
  textKey,
  writingsOf,
} from '../../records.ts';
import type { GroupChange, NewGroup } from '../../registry.ts';
import { inScope } from '../base/owned.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { standingCounts } from '../counts/tallies.ts';
import { requireActive } from '../people/owners.ts';
import { appendAudit } from '../trail/audit.ts';
import { recordChange } from '../trail/changes.ts';

const SELECT = `
  SELECT gid, gpk, basename, grp.name, network.prefix, grp.owner, owner.name AS owner_name, grp.status, claim_hash, grp.created,
    announced, most, countries, anchor, keys
  FROM grp JOIN network ON network.id = grp.network JOIN owner ON owner.id = grp.owner`;

const GID_DIGITS = 64;

/** Groups of TPMs have a key; this is where that of the others would be. */
export const NO_GROUP_KEY: Uint8Array = new Uint8Array(258);

interface Row {
  gid: Uint8Array;
  gpk: Uint8Array;
  basename: Uint8Array;
  name: string;
  prefix: Uint8Array;
  owner: number;
  owner_name: string;
  status: GroupStatus;
  claim_hash: Uint8Array | null;
  created: number;
  announced: number | null;
  most: number | null;
  countries: string | null;
  anchor: number | null;
  keys: number;
}

function group(row: Row): Group {
  return {
    gid: bytes(row.gid),
    gpk: bytes(row.gpk),
    basename: bytes(row.basename),
    name: row.name,
    network: { address: bytes(row.prefix), length: 64 },
    owner: row.owner,
    ownerName: row.owner_name,
    status: row.status,
    ...(row.claim_hash === null ? {} : { claimHash: bytes(row.claim_hash) }),
    ...(row.announced === null ? {} : { announced: row.announced }),
    ...(row.most === null ? {} : { most: row.most }),
    ...(row.countries === null ? {} : { countries: row.countries.split(',') }),
    ...(row.anchor === null ? {} : { anchor: row.anchor }),
    ...(row.keys === 0 ? {} : { keys: true }),
    created: row.created,
  };
}

/**
 * Admits a group to a network. Its public key has been checked by the caller.
 * @throws Failure `fabric.unknown-network`, `fabric.group-exists`, `fabric.group-claimed`
 */
export function addGroup(db: Database, scope: Scope, act: Act, added: NewGroup): Group {
  const { status = 'active', announced, most, countries, maker } = added;
  const own = inScope(scope);
  const network = prepare(db, `SELECT id, owner FROM network WHERE prefix = ? AND ${own.sql}`).get(
    added.network.address,
    ...own.values,
  ) as { id: number; owner: number } | undefined;
  if (network === undefined) throw unknownNetwork(added.network);
  requireActive(db, network.owner);
  const inserted = prepare(
    db,
    `INSERT INTO grp (gid, gpk, basename, name, network, status, claim_hash, created, announced, most, countries, owner, roster, maker)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  ).run(
    added.gid,
    added.gpk,
    added.basename,
    added.name,
    network.id,
    status,
    added.claimHash ?? null,
    act.at,
    announced ?? null,
    most ?? null,
    countries?.join(',') || null,
    network.owner,
    maker === undefined ? null : 0,
    maker ?? null,
  );
  if (inserted.changes === 0) {
    if (findGroup(db, added.gid, scope) === undefined) throw groupClaimed(false);
    throw new Failure('fabric.group-exists', 'operator', `the group ${shortGid(added.gid)} exists already`, {
      action: 'See "enf-fabric group list".',
    });
  }
  appendAudit(db, {
    ...act,
    owner: network.owner,
    action: 'group.add',
    subject: toHex(added.gid),
    detail: {
      name: added.name,
      network: formatPrefix(added.network),
      ...(announced !== undefined && { announced }),
      ...(most !== undefined && { most }),
      ...(countries !== undefined && countries.length > 0 && { countries }),
      ...(status !== 'active' && { status }),
      ...(maker !== undefined && { maker: toHex(maker) }),
    },
  });
  return findGroup(db, added.gid, EVERYTHING)!;
}

/** No more than that: whose it is nobody else has to know. `raised`: those whom it concerns have an alarm. */
export const groupClaimed = (raised: boolean): Failure =>
  new Failure('fabric.group-claimed', 'operator', 'another owner has claimed this group', {
    action: raised
      ? 'You hold its label: whoever runs the fabric, and that owner, have been told that somebody else claims it.'
      : 'If the devices are yours, tell whoever runs the fabric.',
  });

/** A page of groups, oldest first, each with the number of its devices. */
export function listGroups(
  db: Database,
  scope: Scope,
  page: PageRequest,
  { text }: TextFilter = {},
): Page<CountedGroup> {
  const own = inScope(scope, 'grp.owner');
  const cursor = page.after === undefined ? undefined : parseCursor('groups', page.after, CURSOR);
  const [created, gid] = cursor === undefined ? [-1, ''] : [Number(cursor[1]), cursor[2]!];
  const rows = prepare(
    db,
    `SELECT grp.gid, gpk, basename, grp.name, network.prefix, grp.owner, owner.name AS owner_name, grp.status, claim_hash, grp.created,
       announced, most, countries, anchor, keys
     FROM grp JOIN network ON network.id = grp.network JOIN owner ON owner.id = grp.owner
     WHERE ${own.sql} AND (grp.created, grp.gid) > (?, ?) ORDER BY grp.created, grp.gid LIMIT ?`,
  ).all(...own.values, ...[created, fromHex(gid), text === undefined ? page.limit + 1 : LOOKED_AT]) as Row[];
  const keyOf = (row: Row): string => `${row.created}-${toHex(row.gid)}`;
  const { rows: shown, next } =
    text === undefined
      ? pageOf('groups', page, rows, keyOf)
      : fittingPage('groups', page, rows, { fits: (row) => fits(row, text), keyOf });
  return { rows: shown.map((row) => ({ ...group(row), ...standingCounts(db, row.gid) })), next };
}

/** By its name, or its id with spaces or without. */
const fits = ({ name, gid }: Row, text: string): boolean =>
  textKey(name).includes(text) || toHex(gid).includes(text.replace(/\s/g, ''));

/** Time and id of a group. */
const CURSOR = /^(\d{1,15})-([0-9a-f]{64})$/;

/** The group with this 32-byte id. */
export function findGroup(db: Database, gid: Uint8Array, scope: Scope): Group | undefined {
  const own = inScope(scope, 'grp.owner');
  const row = prepare(db, `${SELECT} WHERE gid = ? AND ${own.sql}`).get(gid, ...own.values) as
    | Row
    | undefined;
  return row === undefined ? undefined : group(row);
}

/**
 * The one group whose id begins with these hex digits (spaces are ignored, as printed on labels), or else that is called so.
 * @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group`
 */
export function groupNamed(db: Database, scope: Scope, text: string): Group {
  const own = inScope(scope, 'grp.owner');
  const digits = text.replace(/\s/g, '').toLowerCase();
  const byId = DIGITS.test(digits) ? groupsById(db, scope, digits) : [];
  const found =
    byId.length > 0
      ? byId
      : prepare(db, `${SELECT} WHERE grp.name IN (?, ?, ?) AND ${own.sql} LIMIT 2`).all(
          ...writingsOf(text),
          ...own.values,
        );
  const [only, another] = found as Row[];
  if (only === undefined) throw unknownGroup(text);
  if (another === undefined) return group(only);
  throw new Failure(
    'fabric.ambiguous-group',
    'operator',
    `several groups begin with ${text}, or are called so`,
    {
      action: 'Give more digits of the group id.',
    },
  );
}

const DIGITS = /^[0-9a-f]{4,64}$/;

/** Two of those whose id begins so. */
function groupsById(db: Database, scope: Scope, digits: string): unknown[] {
  const own = inScope(scope, 'grp.owner');
  const range = ['0', 'f'].map((digit) => fromHex(digits.padEnd(GID_DIGITS, digit)));
  return prepare(db, `${SELECT} WHERE gid BETWEEN ? AND ? AND ${own.sql} LIMIT 2`).all(
    ...range,
    ...own.values,
  );
}

/** Suspends or resumes a group; false if it had that status already. @throws Failure `fabric.unknown-group` */
export function setGroupStatus(
  db: Database,
  scope: Scope,
  act: Act,
  gid: Uint8Array,
  status: GroupStatus,
): boolean {
  const known = requireGroup(db, scope, gid);
  if (known.status === status) return false;
  const { owner } = known;
  if (status === 'active') requireActive(db, owner);
  prepare(db, 'UPDATE grp SET status = ? WHERE gid = ?').run(status, gid);
  recordChange(db, 'group', gid);
  const action = status === 'suspended' ? 'group.suspend' : 'group.resume';
  appendAudit(db, { ...act, owner, action, subject: toHex(gid), detail: { name: known.name } });
  return true;
}

/** Changes what is given; 0 and an empty list stand for nothing known, and no limit. @throws Failure `fabric.unknown-group` */
export function changeGroup(
  db: Database,
  scope: Scope,
  act: Act,
  gid: Uint8Array,
  change: GroupChange,
): void {
  const known = requireGroup(db, scope, gid);
  const before = settingsOf(known);
  const now = { ...before, ...change };
  prepare(
    db,
    "UPDATE grp SET name = ?, announced = nullif(?, 0), most = nullif(?, 0), countries = nullif(?, '') WHERE gid = ?",
  ).run(now.name, now.announced, now.most, now.countries.join(','), gid);
  recordChange(db, 'group', gid);
  appendAudit(db, {
    ...act,
    owner: known.owner,
    action: 'group.change',
    subject: toHex(gid),
    detail: { ...now, before },
  });
}

/** What an owner can change of a group. */
const settingsOf = ({ name, announced = 0, most = 0, countries = [] }: Group): Required<GroupChange> => ({
  name,
  announced,
  most,
  countries,
});

/** @throws Failure `fabric.unknown-group` */
export function requireGroup(db: Database, scope: Scope, gid: Uint8Array): Group {
  const known = findGroup(db, gid, scope);
  if (known === undefined) throw unknownGroup(toHex(gid));
  return known;
}

function unknownGroup(gid: string): Failure {
  return new Failure(
    'fabric.unknown-group',
    'operator',
    `no group's id begins with ${gid}, and none is called so`,
    {
      action: 'See "enf-fabric group list"; at least 4 hex digits of an id are needed.',
    },
  );
}

export function unknownNetwork(prefix: Prefix): Failure {
  return new Failure('fabric.unknown-network', 'operator', `there is no network ${formatPrefix(prefix)}`, {
    action: `Add it with "enf-fabric network add ${formatPrefix(prefix)}", or see "enf-fabric network list".`,
  });
}
