import { Failure } from '../../../../protocol/failure.ts';
import { HOST, type Scope } from '../../../access/scope.ts';
import type { Alarm, AlarmKind, Finding } from '../../alarms.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import type { Act } from '../../records.ts';
import { FABRIC } from '../../registry.ts';
import { inScope, ownersShown } from '../base/owned.ts';
import { type Database, prepare } from '../base/statements.ts';
import { appendAudit, TWINS } from '../trail/audit.ts';
import { FAILOVER, type Loss } from '../trail/restored.ts';
import { announce } from './hooks.ts';

/** Open alarms of one kind at most for one owner: what anybody can cause must not fill the disk. */
const MOST_OF_KIND = 50;
/** How exactly it is kept when an alarm was last found. */
const RENEWED_MS = 60_000;
/** Ended alarms that are kept of one owner. */
const ENDED_KEPT = 1_000;
/** Entries of the trail that are looked at in one call. */
const ENTRIES = 2_000;

interface Row {
  id: number;
  kind: AlarmKind;
  owner: number;
  subject: string;
  detail: string;
  opened: number;
  seen: number;
  acknowledged_by: string | null;
  acknowledged_at: number | null;
  ended: number | null;
}

const alarm = (row: Row): Alarm => ({
  ...{
    id: row.id,
    kind: row.kind,
    owner: row.owner,
    subject: row.subject,
    opened: row.opened,
    seen: row.seen,
  },
  detail: JSON.parse(row.detail) as Record<string, unknown>,
  ...(row.acknowledged_by !== null &&
    row.acknowledged_at !== null && { acknowledged: { by: row.acknowledged_by, at: row.acknowledged_at } }),
  ...(row.ended !== null && { ended: row.ended }),
});

/** A page of alarms, newest first: those that are open, or those that have ended. */
export function listAlarms(db: Database, scope: Scope, page: PageRequest, open: boolean): Page<Alarm> {
  const own = inScope(scope);
  const before = parseNumberCursor('alarms', page.after) ?? Number.MAX_SAFE_INTEGER;
  const rows = prepare(
    db,
    `SELECT * FROM alarm WHERE ended IS ${open ? '' : 'NOT'} NULL AND ${own.sql} AND id < ? ORDER BY id DESC LIMIT ?`,
  ).all(...own.values, before, page.limit + 1) as Row[];
  const { rows: shown, next } = pageOf('alarms', page, rows, (row) => row.id);
  const whose = ownersShown(db, shown);
  return { rows: shown.map((row) => ({ ...alarm(row), ...whose(row.owner) })), next };
}

export function newAlarms(db: Database, scope: Scope): number {
  const own = inScope(scope);
  const row = prepare(
    db,
    `SELECT count(*) AS n FROM alarm WHERE ended IS NULL AND acknowledged_at IS NULL AND ${own.sql}`,
  ).get(...own.values) as { n: number };
  return row.n;
}

/** Whether an alarm of one of these kinds is open. */
export const anyOpen = (db: Database, kinds: readonly AlarmKind[]): boolean =>
  kinds.some(
    (kind) =>
      prepare(db, 'SELECT 1 FROM alarm WHERE ended IS NULL AND kind = ? LIMIT 1').get(kind) !== undefined,
  );

/** Opens what is found and not open, renews what is; see `Alarms`. */
export function recordFindings(
  db: Database,
  at: number,
  kinds: readonly AlarmKind[],
  findings: readonly Finding[],
  holdMs: number,
): void {
  for (const finding of findings) open(db, at, finding);
  for (const kind of kinds) {
    const over = prepare(db, 'SELECT * FROM alarm WHERE ended IS NULL AND kind = ? AND seen <= ?').all(
      kind,
      at - holdMs,
    ) as Row[];
    for (const row of over) end(db, at, row);
  }
}

const openOne = (db: Database, { kind, subject, owner }: Omit<Finding, 'detail'>): Row | undefined =>
  prepare(db, 'SELECT * FROM alarm WHERE ended IS NULL AND kind = ? AND subject = ? AND owner = ?').get(
    kind,
    subject,
    owner,
  ) as Row | undefined;

function open(db: Database, at: number, finding: Finding): void {
  const { kind, owner, subject, detail } = finding;
  const text = JSON.stringify(detail);
  const known = openOne(db, finding);
  if (known !== undefined) {
    if (at - known.seen < RENEWED_MS && known.detail === text) return;
    prepare(db, 'UPDATE alarm SET seen = ?, detail = ? WHERE id = ?').run(at, text, known.id);
    return;
  }
  const { n } = prepare(
    db,
    'SELECT count(*) AS n FROM alarm WHERE ended IS NULL AND kind = ? AND owner = ?',
  ).get(kind, owner) as { n: number };
  if (n >= MOST_OF_KIND) return;
  const row = prepare(
    db,
    'INSERT INTO alarm (kind, owner, subject, detail, opened, seen) VALUES (?, ?, ?, ?, ?, ?) RETURNING *',
  ).get(kind, owner, subject, text, at, at) as Row;
  tell(db, at, 'alarm.opened', row);
}

function end(db: Database, at: number, row: Row): void {
  prepare(db, 'UPDATE alarm SET ended = ? WHERE id = ?').run(at, row.id);
  tell(db, at, 'alarm.ended', { ...row, ended: at });
  prepare(
    db,
    `DELETE FROM alarm WHERE ended IS NOT NULL AND owner = ? AND id <=
       (SELECT id FROM alarm WHERE ended IS NOT NULL AND owner = ? ORDER BY id DESC LIMIT 1 OFFSET ${ENDED_KEPT})`,
  ).run(row.owner, row.owner);
}

/** Kinds whose subject is a group of an owner, or something in it. */
const OF_GROUP =
  "'group.over-announced', 'group.over-limit', 'group.off-roster', 'country.unexpected', 'claim.objection', 'device.failing'";

/** Ends what is open about a group, for its owner and the host, by its id in hex, which is there no more; it may come back as another owner's. */
export function endAlarmsOfGroup(db: Database, at: number, owner: number, gid: string): void {
  const rows = prepare(
    db,
    // Its id alone, or with a space and more behind it.
    `SELECT * FROM alarm WHERE ended IS NULL AND kind IN (${OF_GROUP}) AND subject >= ? AND subject < ? || '!' AND owner IN (?, ${HOST})`,
  ).all(gid, gid, owner) as Row[];
  for (const row of rows) end(db, at, row);
}

/** What people call the subject of an alarm, if it says so. */
function namedIn({ detail }: Pick<Row, 'detail'>): { readonly name?: string } {
  const { name } = JSON.parse(detail) as { name?: unknown };
  return typeof name === 'string' ? { name } : {};
}

/** Tells the audit trail, by which the console learns of it, and the hooks. */
function tell(db: Database, at: number, event: 'alarm.opened' | 'alarm.ended', row: Row): void {
  const { id, kind, owner, subject } = row;
  const detail = { alarm: id, kind, ...namedIn(row) };
  appendAudit(db, { at, actor: FABRIC, owner, action: event, subject, detail });
  announce(db, { at, owner }, event, { alarm: alarmEvent(alarm(row)) });
}

const iso = (at: number): string => new Date(at).toISOString();

/** An alarm as hooks hear of it. */
const alarmEvent = ({
  opened,
  seen,
  ended,
  acknowledged,
  owner: _,
  ...rest
}: Alarm): Record<string, unknown> => ({
  ...rest,
  opened: iso(opened),
  seen: iso(seen),
  ended: ended === undefined ? null : iso(ended),
  acknowledged: acknowledged === undefined ? null : { by: acknowledged.by, at: iso(acknowledged.at) },
});

/** What nobody can see the end of: whoever has dealt with it says so. */
const ENDS_WHEN_ACKNOWLEDGED: readonly AlarmKind[] = ['registry.failover'];

/** False if somebody has acknowledged it already. @throws Failure `fabric.unknown-alarm` */
export function acknowledgeAlarm(db: Database, scope: Scope, { at, actor }: Act, id: number): boolean {
  const own = inScope(scope);
  const row = prepare(db, `SELECT * FROM alarm WHERE id = ? AND ${own.sql}`).get(id, ...own.values) as
    | Row
    | undefined;
  if (row === undefined) {
    throw new Failure('fabric.unknown-alarm', 'operator', `there is no alarm ${id}`, {
      action: 'See "enf-fabric alarm list".',
    });
  }
  if (row.acknowledged_at !== null) return false;
  prepare(db, 'UPDATE alarm SET acknowledged_by = ?, acknowledged_at = ? WHERE id = ?').run(actor, at, id);
  const { kind, owner, subject } = row;
  const detail = { alarm: id, kind, ...namedIn(row) };
  appendAudit(db, { at, actor, owner, action: 'alarm.acknowledge', subject, detail });
  const acknowledged = { ...row, acknowledged_by: actor, acknowledged_at: at };
  announce(db, { at, owner }, 'alarm.acknowledged', { alarm: alarmEvent(alarm(acknowledged)) });
  if (row.ended === null && ENDS_WHEN_ACKNOWLEDGED.includes(kind)) end(db, at, acknowledged);
  return true;
}

/** What an entry of the trail tells of its subject: that something is so, or that an owner has dealt with it. */
const TELLS: Readonly<Record<string, AlarmKind>> = {
  [TWINS]: 'device.twins',
  'device.moves': 'device.two-countries',
};
const DEALT_WITH = ['device.evict', 'device.ban', 'device.retire', 'device.replace'];
const ACTIONS = [...Object.keys(TELLS), FAILOVER, ...DEALT_WITH].map((action) => `'${action}'`).join(', ');

/** Up to which entry of the trail alarms were looked for, and the newest one. */
export function trailPosition(db: Database): { readonly seen: number; readonly newest: number } {
  const counter = (name: string): number =>
    (prepare(db, 'SELECT value FROM counter WHERE name = ?').get(name) as { value: number }).value;
  return { seen: counter('alarm'), newest: counter('audit') };
}

/** Opens and ends what the next entries of the audit trail tell of; true if there are more of them. */
export function followTrail(db: Database, at: number): boolean {
  const { seen, newest } = trailPosition(db);
  const upTo = Math.min(newest, seen + ENTRIES);
  const rows = prepare(
    db,
    `SELECT at, action, owner, subject, detail FROM audit WHERE seq > ? AND seq <= ? AND action IN (${ACTIONS}) ORDER BY seq`,
  ).all(seen, upTo) as { at: number; action: string; owner: number; subject: string; detail: string }[];
  for (const { at: when, action, owner, subject, detail } of rows) {
    const kind = TELLS[action];
    if (action === FAILOVER) openLoss(db, at, when, JSON.parse(detail));
    else if (kind !== undefined) open(db, at, { kind, owner, subject, detail: JSON.parse(detail) });
    else for (const row of openOf(db, subject, owner)) end(db, at, row);
  }
  prepare(db, "UPDATE counter SET value = ? WHERE name = 'alarm'").run(upTo);
  return upTo < newest;
}

/** Of several nodes that saw entries which are lost each may say so: the one that saw the most counts. */
function openLoss(db: Database, at: number, until: number, { seen, newest, timeline }: Loss): void {
  const finding = { kind: 'registry.failover', owner: HOST, subject: `timeline ${timeline}` } as const;
  const missing = seen - newest;
  const said = openOne(db, finding);
  if (said !== undefined && (JSON.parse(said.detail) as { missing: number }).missing >= missing) return;
  const since = prepare(db, 'SELECT at FROM audit WHERE seq = ?').pluck().get(newest) as number | undefined;
  open(db, at, {
    ...finding,
    detail: { missing, seen, newest, ...(since !== undefined && { since: iso(since) }), until: iso(until) },
  });
}

const openOf = (db: Database, subject: string, owner: number): Row[] =>
  Object.values(TELLS).flatMap((kind) => openOne(db, { kind, subject, owner }) ?? []);

/** Tokens that end before `until`. */
export function tokensEnding(db: Database, at: number, until: number): Finding[] {
  const rows = prepare(
    db,
    `SELECT id, owner, name, role, expires FROM
       (SELECT *, row_number() OVER (PARTITION BY owner ORDER BY expires) AS n FROM token
        WHERE revoked IS NULL AND expires > ? AND expires <= ?) AS numbered WHERE n <= ${MOST_OF_KIND}`,
  ).all(at, until) as { id: number; owner: number; name: string; role: string; expires: number }[];
  return rows.map(({ id, owner, name, role, expires }) => ({
    kind: 'token.expiring',
    owner,
    subject: `token ${id}`,
    detail: { name, role, expires: iso(expires) },
  }));
}

export function casEnding(db: Database, at: number, days: number): Finding[] {
  const rows = prepare(
    db,
    `SELECT id, owner, name, not_after, issue_days FROM
       (SELECT *, row_number() OVER (PARTITION BY owner ORDER BY not_after) AS n FROM anchor
        WHERE removed IS NULL AND not_after <= ? + max(?, coalesce(issue_days, 0)) * 86400000) AS numbered WHERE n <= ${MOST_OF_KIND}`,
  ).all(at, days) as {
    id: number;
    owner: number;
    name: string;
    not_after: number;
    issue_days: number | null;
  }[];
  return rows.map(({ id, owner, name, not_after: ends, issue_days: issues }) => ({
    kind: 'ca.expiring',
    owner,
    subject: `CA ${id}`,
    detail: { name, ends: iso(ends), issuing: issues !== null },
  }));
}
