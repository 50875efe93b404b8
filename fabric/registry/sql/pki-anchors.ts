import { createHash } from 'node:crypto';
import { ascii, equal, toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../../protocol/ipv6.ts';
import { DEFAULT_OWNER, HOST, type Scope } from '../../access/scope.ts';
import type { IssuingCa, RenewedCa } from '../issuing.ts';
import {
  type Admits,
  type Anchor,
  type Listed,
  type ListSource,
  MOST_ANCHORS,
  type NetworkOfAnchor,
  type NewAnchor,
} from '../pki.ts';
import type { Act, GroupStatus } from '../records.ts';
import { inScope } from './base/owned.ts';
import { bytes, type Database, prepare } from './base/statements.ts';
import { removeGroup } from './endings.ts';
import { NO_GROUP_KEY } from './inventory/groups.ts';
import { requireNetwork } from './inventory/networks.ts';
import { requireActive } from './people/owners.ts';
import { appendAudit } from './trail/audit.ts';
import { recordChange } from './trail/changes.ts';

/** CAs of owners. In each network that one vouches for, its devices are a group, so that all that is done by group goes for them. */

interface Row {
  id: number;
  name: string;
  owner: number;
  owner_name: string;
  fingerprint: Uint8Array;
  subject: string;
  not_after: number;
  admits: Admits;
  issue_days: number | null;
  enrols: Uint8Array | null;
  created: number;
}

const SELECT = `SELECT anchor.id, anchor.name, anchor.owner, owner.name AS owner_name, fingerprint, subject, not_after, admits, issue_days, enrols, anchor.created
  FROM anchor JOIN owner ON owner.id = anchor.owner`;

/** An owner has at most `MOST_ANCHORS`; so many are shown of all owners. */
const SHOWN = 1_000;

export function listAnchors(db: Database, scope: Scope): readonly Anchor[] {
  const own = inScope(scope, 'anchor.owner');
  const rows = prepare(db, `${SELECT} WHERE removed IS NULL AND ${own.sql} ORDER BY anchor.id LIMIT ?`).all(
    ...own.values,
    SHOWN,
  ) as Row[];
  return rows.map((row) => anchorOf(db, row));
}

export function anchorOf(db: Database, row: Row): Anchor {
  const count = (sql: string): number => prepare(db, sql).pluck().get(row.id) as number;
  const lists = prepare(
    db,
    'SELECT this_update, next_update FROM revocation_list WHERE anchor = ? ORDER BY issuer',
  ).all(row.id) as {
    this_update: number;
    next_update: number | null;
  }[];
  const source = sourceOf(db, row.id);
  return {
    id: row.id,
    name: row.name,
    owner: row.owner_name,
    fingerprint: bytes(row.fingerprint),
    subject: row.subject,
    notAfter: row.not_after,
    admits: row.admits,
    networks: networksOf(db, row.id),
    listed: count('SELECT listed FROM anchor WHERE id = ?'),
    revoked: count('SELECT revoked FROM anchor WHERE id = ?'),
    lists: lists.map(({ this_update: thisUpdate, next_update: next }) => ({
      thisUpdate,
      ...(next !== null && { nextUpdate: next }),
    })),
    ...(source !== undefined && { source }),
    ...(row.issue_days !== null && { issueDays: row.issue_days }),
    ...(row.enrols !== null && { enrols: { address: bytes(row.enrols), length: 64 } }),
    created: row.created,
  };
}

function sourceOf(db: Database, anchor: number): ListSource | undefined {
  const row = prepare(db, 'SELECT url, due, fetched, failures, error FROM list_source WHERE anchor = ?').get(
    anchor,
  ) as
    | { url: string; due: number; fetched: number | null; failures: number; error: string | null }
    | undefined;
  if (row === undefined) return undefined;
  const { url, due, fetched, failures, error } = row;
  return { url, due, failures, ...(fetched !== null && { fetched }), ...(error !== null && { error }) };
}

export function networksOf(db: Database, anchor: number): NetworkOfAnchor[] {
  const rows = prepare(
    db,
    `SELECT grp.gid, prefix, coalesce(devices, 0) AS devices, coalesce(connected, 0) AS connected
     FROM grp JOIN network ON network.id = grp.network LEFT JOIN group_size ON group_size.gid = grp.gid
     WHERE anchor = ? ORDER BY network.id`,
  ).all(anchor) as { gid: Uint8Array; prefix: Uint8Array; devices: number; connected: number }[];
  return rows.map(({ gid, prefix, ...counts }) => ({
    ...counts,
    gid: bytes(gid),
    prefix: { address: bytes(prefix), length: 64 },
  }));
}

/** @throws Failure `pki.unknown-ca` */
export function requireAnchor(db: Database, scope: Scope, id: number): Row {
  const own = inScope(scope, 'anchor.owner');
  const row = prepare(db, `${SELECT} WHERE removed IS NULL AND anchor.id = ? AND ${own.sql}`).get(
    id,
    ...own.values,
  ) as Row | undefined;
  if (row !== undefined) return row;
  throw new Failure('pki.unknown-ca', 'operator', `there is no CA number ${id}`, {
    action: 'See "enf-fabric pki list".',
  });
}

interface CaRow {
  id: number;
  owner: number;
  name: string;
  certificate: Uint8Array;
  not_after: number;
  issue_days: number;
}

export interface IssuerRow extends CaRow {
  gid: Uint8Array;
  status: GroupStatus;
}

const CA = 'SELECT id, owner, name, certificate, not_after, issue_days FROM anchor';
export const ISSUES = 'issue_days IS NOT NULL AND removed IS NULL';

export const caOf = (db: Database, row: CaRow): IssuingCa => ({
  anchor: row.id,
  name: row.name,
  certificate: bytes(row.certificate),
  notAfter: row.not_after,
  days: row.issue_days,
  networks: networksOf(db, row.id).map(({ prefix }) => prefix),
});

/** Whether the fabric issues the certificates of this CA. @throws Failure `pki.unknown-ca` */
export const issues = (db: Database, scope: Scope, id: number): boolean =>
  requireAnchor(db, scope, id).issue_days !== null;

/** @throws Failure `pki.unknown-ca`, `pki.not-issuing` */
export function issuingCa(db: Database, scope: Scope, id: number): IssuingCa {
  requireAnchor(db, scope, id);
  const row = prepare(db, `${CA} WHERE id = ? AND ${ISSUES}`).get(id) as CaRow | undefined;
  if (row !== undefined) return caOf(db, row);
  throw new Failure('pki.not-issuing', 'operator', `the key of CA ${id} is not the fabric's`, {
    action: 'See "enf-fabric pki list"; "enf-fabric pki create" makes a CA that issues certificates.',
  });
}

/** The newest CA that issues for a network (its first address, 16 bytes), or that of this number. @throws Failure `pki.no-issuer` */
export function issuerFor(db: Database, now: number, network: Uint8Array, anchor?: number): IssuerRow {
  const row = prepare(
    db,
    `SELECT anchor.id, anchor.owner, anchor.name, certificate, not_after, issue_days, gid, status
     FROM network JOIN grp ON grp.network = network.id JOIN anchor ON anchor.id = grp.anchor
     WHERE prefix = ? AND ${ISSUES} AND anchor.owner = network.owner AND not_after > ? AND anchor.id = coalesce(?, anchor.id)
     ORDER BY anchor.id DESC LIMIT 1`,
  ).get(network, now, anchor ?? null) as IssuerRow | undefined;
  if (row !== undefined) return row;
  throw new Failure(
    'pki.no-issuer',
    'operator',
    `no CA ${anchor === undefined ? '' : 'of this number '}issues certificates for ${formatPrefix({ address: network, length: 64 })}`,
    {
      action:
        'Make one with "enf-fabric pki create", or renew the one that there was with "enf-fabric pki renew".',
    },
  );
}

const GROUP_BASENAME = ascii('pki');

/** @throws Failure `pki.ca-exists`, `pki.too-many-cas`, `fabric.unknown-network`, `fabric.unknown-owner` */
export function addAnchor(db: Database, scope: Scope, act: Act, added: NewAnchor): Anchor {
  const networks = added.networks.map((prefix) => ({ prefix, ...requireNetwork(db, scope, prefix) }));
  // Whoever runs the fabric sees the networks of all owners: a CA is of the one whose networks it is for.
  const owner = networks[0]?.owner ?? (scope.owner === HOST ? DEFAULT_OWNER : scope.owner);
  requireActive(db, owner);
  for (const { prefix } of networks) requireNetwork(db, { owner, everything: false }, prefix);
  requireRoom(db, owner, added);
  const id = prepare(
    db,
    `INSERT INTO anchor (owner, name, certificate, others, fingerprint, subject, not_after, admits, created, issue_days)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
  )
    .pluck()
    .get(
      ...[owner, added.name, added.certificate, added.others, added.fingerprint, added.subject],
      ...[added.notAfter, added.admits, act.at, added.issueDays ?? null],
    ) as number;
  const group = { anchor: id, owner, name: added.name, fingerprint: added.fingerprint };
  for (const network of networks) addGroupFor(db, act, group, network);
  appendAudit(db, {
    ...act,
    owner,
    action: added.issueDays === undefined ? 'pki.add' : 'pki.create',
    subject: String(id),
    detail: {
      name: added.name,
      fingerprint: toHex(added.fingerprint),
      admits: added.admits,
      networks: added.networks.map(formatPrefix),
    },
  });
  return anchorOf(db, requireAnchor(db, scope, id));
}

/** The group of the devices that a CA admits to a network. */
function addGroupFor(
  db: Database,
  act: Act,
  {
    anchor,
    owner,
    name,
    fingerprint,
  }: {
    readonly anchor: number;
    readonly owner: number;
    readonly name: string;
    readonly fingerprint: Uint8Array;
  },
  { id: network, prefix }: { readonly id: number; readonly prefix: Prefix },
): void {
  const gid = groupIdOf(anchor, fingerprint, prefix);
  prepare(
    db,
    `INSERT INTO grp (gid, gpk, basename, name, network, status, created, owner, anchor) VALUES (?, ?, ?, ?, ?, 'active', ?, ?, ?)`,
  ).run(gid, NO_GROUP_KEY, GROUP_BASENAME, name, network, act.at, owner, anchor);
  recordChange(db, 'group', gid);
}

/**
 * Another certificate for the same key, with networks that are new. What the CA has vouched for it vouches for still.
 * @throws Failure `pki.unknown-ca`, `fabric.unknown-network`
 */
export function renewAnchor(db: Database, scope: Scope, act: Act, id: number, renewed: RenewedCa): void {
  const { name, owner } = requireAnchor(db, scope, id);
  const { certificate, fingerprint, notAfter, days } = renewed;
  const known = new Set(networksOf(db, id).map(({ prefix }) => formatPrefix(prefix)));
  const own = { owner, everything: false };
  for (const prefix of renewed.networks.filter((each) => !known.has(formatPrefix(each))))
    addGroupFor(
      db,
      act,
      { anchor: id, owner, name, fingerprint },
      { prefix, id: requireNetwork(db, own, prefix).id },
    );
  prepare(
    db,
    'UPDATE anchor SET certificate = ?, fingerprint = ?, not_after = ?, issue_days = ? WHERE id = ?',
  ).run(certificate, fingerprint, notAfter, days, id);
  changed(db, id);
  appendAudit(db, {
    ...act,
    owner,
    action: 'pki.renew',
    subject: String(id),
    detail: {
      ...{ name, fingerprint: toHex(fingerprint), ends: notAfter },
      networks: renewed.networks.map(formatPrefix),
    },
  });
}

function requireRoom(db: Database, owner: number, { fingerprint }: NewAnchor): void {
  const all = prepare(db, 'SELECT id, fingerprint FROM anchor WHERE owner = ? AND removed IS NULL').all(
    owner,
  ) as { id: number; fingerprint: Uint8Array }[];
  const same = all.find((each) => equal(bytes(each.fingerprint), fingerprint));
  if (same !== undefined) {
    throw new Failure('pki.ca-exists', 'operator', `this CA is there already, as number ${same.id}`, {
      action: 'Remove that one first, if other networks are meant.',
    });
  }
  if (all.length >= MOST_ANCHORS) {
    throw new Failure('pki.too-many-cas', 'operator', `there are ${all.length} CAs already`, {
      action: 'Remove those that are not needed, see "enf-fabric pki list".',
    });
  }
}

/** No group of TPMs has such an id: those are hashes of another text. */
const groupIdOf = (id: number, fingerprint: Uint8Array, { address }: Prefix): Uint8Array =>
  bytes(createHash('sha256').update(`enf pki ${id}\n`).update(fingerprint).update(address).digest());

/** Returns its name. @throws Failure `pki.unknown-ca` */
export function removeAnchor(db: Database, scope: Scope, act: Act, id: number): string {
  const { name, owner } = requireAnchor(db, scope, id);
  prepare(db, 'UPDATE anchor SET removed = ?, listed = 0, revoked = 0, enrols = NULL WHERE id = ?').run(
    act.at,
    id,
  );
  for (const table of ['listed_device', 'revoked_certificate', 'revocation_list', 'list_source'])
    prepare(db, `DELETE FROM ${table} WHERE anchor = ?`).run(id);
  for (const { gid } of networksOf(db, id)) {
    recordChange(db, 'group', gid);
    if (prepare(db, 'SELECT 1 FROM device WHERE gid = ? LIMIT 1').get(gid) === undefined)
      removeGroup(db, scope, act, gid);
  }
  appendAudit(db, { ...act, owner, action: 'pki.remove', subject: String(id), detail: { name } });
  return name;
}

/** @throws Failure `pki.unknown-ca`, `pki.bad-mapping` */
export function listDevices(db: Database, scope: Scope, act: Act, id: number, rows: readonly Listed[]): void {
  const { name, owner } = requireAnchor(db, scope, id);
  const prefixes = new Set(networksOf(db, id).map(({ prefix }) => toHex(prefix.address.subarray(0, 8))));
  const insert = prepare(
    db,
    `INSERT INTO listed_device (anchor, address, subject, serial, spki) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (anchor, address) DO UPDATE SET subject = excluded.subject, serial = excluded.serial, spki = excluded.spki`,
  );
  for (const { address, subject, serial, spki } of rows) {
    if (!prefixes.has(toHex(address.subarray(0, 8)))) {
      throw new Failure(
        'pki.bad-mapping',
        'operator',
        `${formatIpv6(address)} is in none of the networks that this CA vouches for`,
        { action: 'Correct the address; "enf-fabric pki list" shows the networks.' },
      );
    }
    insert.run(id, address, subject ?? null, serial ?? null, spki ?? null);
  }
  prepare(
    db,
    'UPDATE anchor SET listed = (SELECT count(*) FROM listed_device WHERE anchor = anchor.id) WHERE id = ?',
  ).run(id);
  // What a certificate is listed for may be another address now.
  changed(db, id);
  appendAudit(db, {
    ...act,
    owner,
    action: 'pki.import',
    subject: String(id),
    detail: { name, devices: rows.length },
  });
}

export function changed(db: Database, anchor: number): void {
  for (const { gid } of networksOf(db, anchor)) recordChange(db, 'group', gid);
}
