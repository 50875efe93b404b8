import type { RevocationList } from '../../../crypto/certificates.ts';
import { concat, toHex } from '../../../protocol/bytes.ts';
import type { Scope } from '../../access/scope.ts';
import type { Finding } from '../alarms.ts';
import type { Anchor, DueList, FetchOutcome, ListTaken } from '../pki.ts';
import type { Act } from '../records.ts';
import { type Database, prepare } from './base/statements.ts';
import { anchorOf, changed, requireAnchor } from './pki-anchors.ts';
import { appendAudit } from './trail/audit.ts';
import { recordChange } from './trail/changes.ts';

/** What is revoked of the certificates of a CA: lists of their issuers, uploaded or fetched, and what the owner has revoked itself. */

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
export function takeList(db: Database, scope: Scope, act: Act, id: number, list: RevocationList): ListTaken {
  const { name, owner } = requireAnchor(db, scope, id);
  const { issuerHash } = list;
  const known = prepare(db, 'SELECT this_update FROM revocation_list WHERE anchor = ? AND issuer = ?')
    .pluck()
    .get(id, issuerHash) as number | undefined;
  if (known !== undefined && known >= list.thisUpdate * 1_000)
    return known === list.thisUpdate * 1_000 ? 'same' : 'older';
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
  const serials = serialsOf(list.revoked);
  const json = JSON.stringify(serials);
  // Mostly few have changed; and thousands take a fraction of the time in one statement.
  prepare(
    db,
    `DELETE FROM revoked_certificate
     WHERE anchor = ? AND issuer = ? AND serial NOT IN (SELECT unhex(value) FROM json_each(?))`,
  ).run(id, issuerHash, json);
  prepare(
    db,
    `INSERT INTO revoked_certificate (anchor, issuer, serial, at, reason)
     SELECT ?, ?, unhex(value), ?, '' FROM json_each(?) WHERE true ORDER BY value ON CONFLICT DO NOTHING`,
  ).run(id, issuerHash, act.at, json);
  countRevoked(db, id);
  changed(db, id);
  appendAudit(db, {
    ...act,
    owner,
    action: 'pki.crl',
    subject: String(id),
    detail: { name, entries: serials.length },
  });
  return 'taken';
}

/** In hex. */
function serialsOf(revoked: Uint8Array): string[] {
  const serials: string[] = [];
  for (let at = 0; at < revoked.length; ) {
    const end = at + 1 + revoked[at]!;
    serials.push(toHex(revoked.subarray(at + 1, end)));
    at = end;
  }
  return serials;
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
  prepare(db, 'UPDATE anchor SET revoked = revoked + 1 WHERE id = ?').run(id);
  const address = prepare(db, 'SELECT address FROM issued WHERE serial = ? AND anchor = ?')
    .pluck()
    .get(serial, id) as Uint8Array | undefined;
  // One that the fabric has issued is that of one device.
  if (address === undefined) changed(db, id);
  else recordChange(db, 'device', address);
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

/** It is fetched at once, also if the address is as it was. @throws Failure `pki.unknown-ca` */
export function setListSource(
  db: Database,
  scope: Scope,
  act: Act,
  id: number,
  url: string | undefined,
): Anchor {
  const row = requireAnchor(db, scope, id);
  if (url === undefined) prepare(db, 'DELETE FROM list_source WHERE anchor = ?').run(id);
  else {
    prepare(
      db,
      `INSERT INTO list_source (anchor, url, due) VALUES (?, ?, ?)
       ON CONFLICT (anchor) DO UPDATE SET url = excluded.url, due = excluded.due, fetched = NULL, failures = 0, error = NULL`,
    ).run(id, url, act.at);
  }
  appendAudit(db, {
    ...act,
    owner: row.owner,
    action: 'pki.crl-from',
    subject: String(id),
    detail: { name: row.name, ...(url !== undefined && { from: url }) },
  });
  return anchorOf(db, row);
}

export const dueLists = (db: Database, at: number, most: number): DueList[] =>
  prepare(db, 'SELECT anchor, url, failures FROM list_source WHERE due <= ? ORDER BY due LIMIT ?').all(
    at,
    most,
  ) as DueList[];

/** Nothing if the address is another one meanwhile. */
export function recordFetch(db: Database, at: number, { anchor, url }: DueList, outcome: FetchOutcome): void {
  if (outcome.kind === 'fetched') {
    prepare(
      db,
      'UPDATE list_source SET due = ?, fetched = ?, failures = 0, error = NULL WHERE anchor = ? AND url = ?',
    ).run(outcome.due, at, anchor, url);
  } else {
    prepare(
      db,
      'UPDATE list_source SET due = ?, failures = failures + 1, error = ? WHERE anchor = ? AND url = ?',
    ).run(outcome.due, outcome.error, anchor, url);
  }
}

/** A list ends soon when a day is left of it, or a quarter of a short one. */
const SOON_MS = 86_400_000;
/** One that never came is told of once it could not be fetched so often. */
const LEAST_FAILURES = 3;
/** Of all owners; each has a few CAs. */
const MOST_ENDING = 1_000;

/** Lists that are overdue or soon are, and those that never could be fetched. */
export function listsEnding(db: Database, at: number): Finding[] {
  const rows = prepare(
    db,
    `SELECT id, owner, name, ends, error FROM
       (SELECT anchor.id, anchor.owner, anchor.name, error, coalesce(failures, 0) AS failures,
          (SELECT count(*) FROM revocation_list WHERE anchor = anchor.id) AS lists,
          (SELECT min(next_update) FROM revocation_list
           WHERE anchor = anchor.id AND next_update - min(?, (next_update - this_update) / 4) <= ?) AS ends
        FROM anchor LEFT JOIN list_source ON list_source.anchor = anchor.id WHERE removed IS NULL) AS listed
     WHERE ends IS NOT NULL OR (lists = 0 AND failures >= ?) ORDER BY id LIMIT ?`,
  ).all(SOON_MS, at, LEAST_FAILURES, MOST_ENDING) as {
    id: number;
    owner: number;
    name: string;
    ends: number | null;
    error: string | null;
  }[];
  return rows.map(({ id, owner, name, ends, error }) => ({
    kind: 'crl.expiring',
    owner,
    subject: `CA ${id}`,
    detail: {
      name,
      ...(ends !== null && { ends: new Date(ends).toISOString(), overdue: ends <= at }),
      ...(error !== null && { error }),
    },
  }));
}
