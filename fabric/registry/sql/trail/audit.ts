import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { concat, equal } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { parseIpv6 } from '../../../../protocol/ipv6.ts';
import type { Scope } from '../../../access/scope.ts';
import { type ChainRow, canonicalText, GENESIS } from '../../audit-chain.ts';
import { cursorOf, type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import type { AuditEntry, AuditHead } from '../../records.ts';
import { ownTurn } from '../../turns.ts';
import { all, type Condition, newestFirst } from '../base/filters.ts';
import { inScope, isIndexed, ownersShown } from '../base/owned.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';

interface Row {
  seq: number;
  at: number;
  actor: string;
  action: string;
  subject: string;
  detail: string;
  hash: Uint8Array;
  owner: number;
}

/** What the audit trail calls the admission of a new device. */
export const ADMISSION = 'device.admit';
/** What the audit trail calls two devices with one key. */
export const TWINS = 'device.twins';

const chained = (previous: Uint8Array, row: ChainRow): Uint8Array =>
  bytes(createHash('sha256').update(previous).update(canonicalText(row), 'utf8').digest());

/** As every engine gives it back: UTF-8 has no half surrogate pairs, and PostgreSQL no zeros; a hash over one would never fit again. */
const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');

/** The number of the next entry, and the hash of the one before it, which there is none of at first. */
const NEXT = `UPDATE counter SET value = value + 1 WHERE name = 'audit'
  RETURNING value, (SELECT hash FROM audit WHERE seq = value - 1)`;

/** Appends an entry, in the caller's transaction with the change that it describes. */
export function appendAudit(
  db: Database,
  entry: {
    at: number;
    actor: string;
    /** Who may read it beside the host: the number of an owner, or `HOST`. */
    owner: number;
    action: string;
    subject: string;
    detail?: Record<string, unknown>;
  },
): void {
  const [seq, last] = prepare(db, NEXT).raw().get() as [seq: number, last: Uint8Array | null];
  const row = {
    seq,
    at: entry.at,
    actor: storable(entry.actor),
    action: entry.action,
    subject: storable(entry.subject),
    detail: JSON.stringify(entry.detail ?? {}),
  };
  const hash = chained(last ?? GENESIS, row);
  prepare(
    db,
    'INSERT INTO audit (seq, at, actor, action, subject, detail, hash, owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  ).run(row.seq, row.at, row.actor, row.action, row.subject, row.detail, hash, entry.owner);
}

/** The hash of an entry; undefined if there is none. */
export function auditHash(db: Database, seq: number): Uint8Array | undefined {
  const row = prepare(db, 'SELECT hash FROM audit WHERE seq = ?').get(seq) as
    | { hash: Uint8Array }
    | undefined;
  return row === undefined ? undefined : bytes(row.hash);
}

/** The newest entry; 0 and zeros of a trail that is empty. */
export function auditHead(db: Database): AuditHead {
  const row = prepare(db, 'SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1').get();
  const { seq, hash } = (row as { seq: number; hash: Uint8Array } | undefined) ?? { seq: 0, hash: GENESIS };
  return { seq, hash: bytes(hash) };
}

/** When two devices were last found to have the key of the one at this address, as text. */
export function lastTwins(db: Database, subject: string): AuditEntry | undefined {
  // The action is written out: the index holds these entries alone.
  const row = prepare(
    db,
    `SELECT * FROM audit WHERE action = '${TWINS}' AND subject = ? ORDER BY seq DESC LIMIT 1`,
  ).get(subject) as Row | undefined;
  return row === undefined ? undefined : entriesOf(db, [row])[0];
}

/** Whose the rows are is read once for all. */
function entriesOf(db: Database, rows: readonly Row[]): AuditEntry[] {
  const shown = ownersShown(db, rows);
  return rows.map(({ owner, ...row }) => ({
    ...row,
    ...shown(owner),
    detail: JSON.parse(row.detail) as Record<string, unknown>,
    hash: bytes(row.hash),
  }));
}

/**
 * The entries behind a number up to another, oldest first, of which at most `most` are given, the newest; `left`: the owners of the others, `isWhole`:
 * none of them is missing.
 */
export function entriesBetween(
  db: Database,
  after: number,
  upTo: number,
  most: number,
): {
  readonly rows: (AuditEntry & { readonly owner: number })[];
  readonly left: readonly number[];
  readonly isWhole: boolean;
} {
  if (upTo <= after) return { rows: [], left: [], isWhole: true };
  const from = Math.max(after, upTo - most);
  const rows = prepare(db, 'SELECT * FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq').all(
    from,
    upTo,
  ) as Row[];
  const left = prepare(db, 'SELECT DISTINCT owner FROM audit WHERE seq > ? AND seq <= ?')
    .pluck()
    .all(after, from) as number[];
  return {
    rows: entriesOf(db, rows).map((entry, at) => ({ ...entry, owner: rows[at]!.owner })),
    left,
    isWhole: rows.length === upTo - from,
  };
}

/** A page of entries in a scope, of one subject if that is given, newest first; it has been looked for in a bounded number of rows. */
export function listAudit(db: Database, scope: Scope, page: PageRequest, subject?: string): Page<AuditEntry> {
  const before = parseNumberCursor('audit', page.after) ?? Number.MAX_SAFE_INTEGER;
  const of: Condition[] =
    subject === undefined ? [] : [{ sql: `subject = ? AND action <> '${ADMISSION}'`, values: [subject] }];
  const looksForOwn = !scope.everything && !isIndexed(scope);
  const indexed = looksForOwn ? of : [...of, inScope(scope)];
  const others = looksForOwn ? [inScope(scope)] : [];
  const narrowing: Condition = {
    sql: all([EVERY, ...indexed]),
    values: indexed.flatMap(({ values }) => values),
  };
  const { rows, seen } = newestFirst<Row>(
    db,
    { table: 'audit', key: 'seq', indexed: narrowing, others },
    { before, limit: page.limit },
  );
  const admission = subject === undefined ? undefined : admissionOf(db, scope, subject);
  if (admission !== undefined && admission.seq < before && admission.seq >= (seen ?? 0)) {
    rows.push(admission);
    rows.sort((one, other) => other.seq - one.seq).splice(page.limit + 1);
  }
  const { rows: shown, next } = pageOf('audit', page, rows, (row) => row.seq);
  const entries = entriesOf(db, shown);
  return {
    rows: scope.everything ? entries : entries.map(({ hash: _, ...entry }) => entry),
    next: seen === undefined ? next : cursorOf('audit', seen),
  };
}

/**
 * That a device was admitted, of a subject that is its address: found by the time that is in the device's row, too. The index of subjects has no
 * admissions, which would write it in another place each time.
 */
function admissionOf(db: Database, scope: Scope, subject: string): Row | undefined {
  if (!isIPv6(subject)) return undefined;
  const own = inScope(scope);
  return prepare(
    db,
    `SELECT * FROM audit WHERE action = '${ADMISSION}' AND at = (SELECT created FROM device WHERE address = ?)
       AND subject = ? AND ${own.sql}`,
  ).get(concat(parseIpv6(subject)), subject, ...own.values) as Row | undefined;
}

const EVERY: Condition = { sql: 'true', values: [] };

/** Rows verified at once. */
const VERIFIED = 100;

/** In one statement: that reads both at one moment, and is one round trip to a server. */
const TRAIL = `SELECT counter.value AS written, part.* FROM counter
  LEFT JOIN (SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ${VERIFIED}) AS part ON true
  WHERE counter.name = 'audit' ORDER BY part.seq`;

/** The entries after `last`, oldest first, and the number of entries that were written. */
function readTrail(db: Database, last: number): { rows: Row[]; written: number } {
  const rows = prepare(db, TRAIL).all(last) as (Row & { readonly written: number })[];
  // Without an entry there is still the counter.
  return { rows: rows.filter(({ seq }) => seq !== null), written: rows[0]!.written };
}

/**
 * Recomputes the next part of the chain, behind an entry whose hash was recomputed before, or its first one. Returns how far it came, and whether that
 * was the end; `expected` is an entry whose hash was kept elsewhere. @throws Failure `audit.broken`
 */
export function verifyAuditPart(
  db: Database,
  from?: AuditHead,
  expected?: AuditHead,
): { readonly head: AuditHead; readonly end: boolean } {
  const { rows, written } = readTrail(db, from?.seq ?? Number.MIN_SAFE_INTEGER);
  let { seq, hash } = from ?? { seq: 0, hash: GENESIS };
  for (const row of rows) {
    seq++;
    if (row.seq !== seq) throw broken(seq, `is missing (the next one is ${row.seq})`);
    hash = chained(hash, row);
    if (!equal(hash, row.hash)) throw broken(seq, 'does not fit its hash');
    if (expected?.seq === seq && !equal(hash, expected.hash))
      throw broken(seq, 'is not the one whose hash was kept');
  }
  const end = rows.length < VERIFIED;
  const least = Math.max(written, expected?.seq ?? 0);
  if (end && (written !== seq || seq < least)) throw broken(seq + 1, `is missing, ${least} were written`);
  return { head: { seq, hash }, end };
}

/**
 * Recomputes the whole chain, including what is appended meanwhile; other work goes on between two pages. Somebody who
 * can write the file can also rewrite the chain or cut its tail together with the counter; only a head kept elsewhere
 * finds that: pass it as `expected`. `read` runs each access to the file. @throws Failure `audit.broken`
 */
export async function verifyAudit(
  db: Database,
  read: <T>(work: () => T) => T,
  expected?: AuditHead,
): Promise<{ entries: number; head: Uint8Array }> {
  let from: AuditHead | undefined;
  for (;;) {
    const { head, end } = read(() => verifyAuditPart(db, from, expected));
    if (end) return { entries: head.seq, head: head.hash };
    from = head;
    await ownTurn();
  }
}

function broken(seq: number, what: string): Failure {
  return new Failure('audit.broken', 'operator', `audit entry ${seq} ${what}`, {
    action: 'The registry was changed by something else than this program: compare it with a backup.',
  });
}
