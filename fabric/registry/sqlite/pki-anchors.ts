import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import type { RevocationList } from '../../../crypto/certificates.ts';
import { ascii, concat, equal, toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../../protocol/ipv6.ts';
import { DEFAULT_OWNER, HOST, type Scope } from '../../access/scope.ts';
import { type Admits, type Anchor, type Listed, MOST_ANCHORS, type NewAnchor } from '../pki.ts';
import type { Act } from '../records.ts';
import { removeGroup } from './endings.ts';
import { bytes } from './file/database.ts';
import { inScope } from './file/owned.ts';
import { prepare } from './file/statements.ts';
import { NO_GROUP_KEY } from './groups.ts';
import { requireNetwork } from './networks.ts';
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
  created: number;
}

const SELECT = `SELECT anchor.id, anchor.name, anchor.owner, owner.name AS owner_name, fingerprint, subject, not_after, admits, anchor.created
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

function anchorOf(db: Database, row: Row): Anchor {
  const count = (sql: string): number => prepare(db, sql).pluck().get(row.id) as number;
  const lists = prepare(
    db,
    'SELECT this_update, next_update FROM revocation_list WHERE anchor = ? ORDER BY issuer',
  ).all(row.id) as {
    this_update: number;
    next_update: number | null;
  }[];
  return {
    id: row.id,
    name: row.name,
    owner: row.owner_name,
    fingerprint: bytes(row.fingerprint),
    subject: row.subject,
    notAfter: row.not_after,
    admits: row.admits,
    networks: groupsOf(db, row.id).map(({ network }) => network),
    listed: count('SELECT listed FROM anchor WHERE id = ?'),
    devices: count(
      'SELECT coalesce(sum(devices), 0) FROM group_size WHERE gid IN (SELECT gid FROM grp WHERE anchor = ?)',
    ),
    revoked: count('SELECT revoked FROM anchor WHERE id = ?'),
    lists: lists.map(({ this_update: thisUpdate, next_update: next }) => ({
      thisUpdate,
      ...(next !== null && { nextUpdate: next }),
    })),
    created: row.created,
  };
}

function groupsOf(db: Database, anchor: number): { gid: Uint8Array; network: Prefix }[] {
  const rows = prepare(
    db,
    'SELECT gid, prefix FROM grp JOIN network ON network.id = grp.network WHERE anchor = ? ORDER BY network.id',
  ).all(anchor) as { gid: Uint8Array; prefix: Uint8Array }[];
  return rows.map(({ gid, prefix }) => ({
    gid: bytes(gid),
    network: { address: bytes(prefix), length: 64 },
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

const GROUP_BASENAME = ascii('pki');

/** @throws Failure `pki.ca-exists`, `pki.too-many-cas`, `fabric.unknown-network`, `fabric.unknown-owner` */
export function addAnchor(db: Database, scope: Scope, act: Act, added: NewAnchor): Anchor {
  const owner = scope.owner === HOST ? DEFAULT_OWNER : scope.owner;
  requireActive(db, owner);
  const networks = added.networks.map((prefix) => ({ prefix, ...requireNetwork(db, scope, prefix) }));
  const foreign = networks.find((network) => network.owner !== owner);
  // Whoever runs the fabric sees the networks of all owners.
  if (foreign !== undefined) requireNetwork(db, { owner, everything: false }, foreign.prefix);
  requireRoom(db, owner, added);
  const { lastInsertRowid } = prepare(
    db,
    `INSERT INTO anchor (owner, name, certificate, others, fingerprint, subject, not_after, admits, created)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    ...[owner, added.name, added.certificate, added.others, added.fingerprint, added.subject],
    ...[added.notAfter, added.admits, act.at],
  );
  const id = Number(lastInsertRowid);
  for (const { id: network, prefix } of networks) {
    const gid = groupIdOf(id, added.fingerprint, prefix);
    prepare(
      db,
      `INSERT INTO grp (gid, gpk, basename, name, network, status, created, owner, anchor) VALUES (?, ?, ?, ?, ?, 'active', ?, ?, ?)`,
    ).run(gid, NO_GROUP_KEY, GROUP_BASENAME, added.name, network, act.at, owner, id);
    recordChange(db, 'group', gid);
  }
  appendAudit(db, {
    ...act,
    owner,
    action: 'pki.add',
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
  prepare(db, 'UPDATE anchor SET removed = ?, listed = 0, revoked = 0 WHERE id = ?').run(act.at, id);
  for (const table of ['listed_device', 'revoked_certificate', 'revocation_list'])
    prepare(db, `DELETE FROM ${table} WHERE anchor = ?`).run(id);
  for (const { gid } of groupsOf(db, id)) {
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
  const prefixes = new Set(groupsOf(db, id).map(({ network }) => toHex(network.address.subarray(0, 8))));
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

function changed(db: Database, anchor: number): void {
  for (const { gid } of groupsOf(db, anchor)) recordChange(db, 'group', gid);
}

/** @throws Failure `pki.unknown-ca` */
export function issuersOf(db: Database, scope: Scope, id: number): Uint8Array {
  requireAnchor(db, scope, id);
  const row = prepare(db, 'SELECT certificate, others FROM anchor WHERE id = ?').get(id) as {
    certificate: Uint8Array;
    others: Uint8Array;
  };
  return concat(row.certificate, row.others);
}

/** What the owner has revoked, whoever has issued it. */
const ANY_ISSUER = new Uint8Array(0);

/** @throws Failure `pki.unknown-ca` */
export function takeList(db: Database, scope: Scope, act: Act, id: number, list: RevocationList): boolean {
  const { name, owner } = requireAnchor(db, scope, id);
  const { issuerHash } = list;
  const known = prepare(db, 'SELECT this_update FROM revocation_list WHERE anchor = ? AND issuer = ?')
    .pluck()
    .get(id, issuerHash) as number | undefined;
  if (known !== undefined && known >= list.thisUpdate * 1_000) return false;
  prepare(
    db,
    `INSERT INTO revocation_list (anchor, issuer, this_update, next_update) VALUES (?, ?, ?, ?)
     ON CONFLICT (anchor, issuer) DO UPDATE SET this_update = excluded.this_update, next_update = excluded.next_update`,
  ).run(
    id,
    issuerHash,
    list.thisUpdate * 1_000,
    list.nextUpdate === undefined ? null : list.nextUpdate * 1_000,
  );
  prepare(db, 'DELETE FROM revoked_certificate WHERE anchor = ? AND issuer = ?').run(id, issuerHash);
  const insert = prepare(
    db,
    `INSERT INTO revoked_certificate (anchor, issuer, serial, at, reason) VALUES (?, ?, ?, ?, '') ON CONFLICT DO NOTHING`,
  );
  let entries = 0;
  for (let at = 0; at < list.revoked.length; entries++) {
    const end = at + 1 + list.revoked[at]!;
    insert.run(id, issuerHash, list.revoked.subarray(at + 1, end), act.at);
    at = end;
  }
  countRevoked(db, id);
  changed(db, id);
  appendAudit(db, { ...act, owner, action: 'pki.crl', subject: String(id), detail: { name, entries } });
  return true;
}

/** @throws Failure `pki.unknown-ca` */
export function revokeSerial(
  db: Database,
  scope: Scope,
  act: Act,
  id: number,
  { serial, reason }: { readonly serial: Uint8Array; readonly reason: string },
): boolean {
  const { name, owner } = requireAnchor(db, scope, id);
  const { changes } = prepare(
    db,
    'INSERT INTO revoked_certificate (anchor, issuer, serial, at, reason) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  ).run(id, ANY_ISSUER, serial, act.at, reason);
  if (changes === 0) return false;
  countRevoked(db, id);
  changed(db, id);
  appendAudit(db, {
    ...act,
    owner,
    action: 'pki.revoke',
    subject: String(id),
    detail: { name, serial: toHex(serial), reason },
  });
  return true;
}

const countRevoked = (db: Database, id: number): void => {
  prepare(
    db,
    'UPDATE anchor SET revoked = (SELECT count(*) FROM revoked_certificate WHERE anchor = anchor.id) WHERE id = ?',
  ).run(id);
};
