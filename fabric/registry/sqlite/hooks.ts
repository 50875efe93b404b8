import { randomUUID } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { Failure } from '../../../protocol/failure.ts';
import type { Attempt, Delivery, DueDelivery, Hook } from '../alarms.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../pages.ts';
import type { Act } from '../records.ts';
import { prepare } from './file/statements.ts';
import { appendAudit } from './trail/audit.ts';

const MOST_HOOKS = 20;
/** Deliveries of one hook that are kept, and of these those that may wait. */
const KEPT = 500;
const MOST_WAITING = 200;

interface HookRow {
  id: number;
  name: string;
  url: string;
  created_by: string;
  created: number;
}

const COLUMNS = 'id, name, url, created_by, created';
const hookOf = ({ created_by: createdBy, ...rest }: HookRow): Hook => ({ ...rest, createdBy });

/** Oldest first. */
export function listHooks(db: Database): Hook[] {
  const rows = prepare(
    db,
    `SELECT ${COLUMNS} FROM hook WHERE removed IS NULL ORDER BY id LIMIT ${MOST_HOOKS}`,
  );
  return (rows.all() as HookRow[]).map(hookOf);
}

/** @throws Failure `fabric.too-many-hooks` */
export function addHook(
  db: Database,
  { at, actor }: Act,
  { name, url, secret }: { readonly name: string; readonly url: string; readonly secret: string },
): Hook {
  if (listHooks(db).length >= MOST_HOOKS) {
    throw new Failure('fabric.too-many-hooks', 'operator', `there are ${MOST_HOOKS} hooks already`, {
      action: 'Remove one with "enf-fabric hook remove".',
    });
  }
  const row = prepare(
    db,
    `INSERT INTO hook (name, url, secret, created_by, created) VALUES (?, ?, ?, ?, ?) RETURNING ${COLUMNS}`,
  ).get(name, url, secret, actor, at) as HookRow;
  const detail = { name, to: destination(url) };
  appendAudit(db, { at, actor, action: 'hook.add', subject: `hook ${row.id}`, detail });
  return hookOf(row);
}

/** Without path and query, which may hold a secret. */
const destination = (url: string): string => (url.startsWith('mailto:') ? url : new URL(url).origin);

/** @throws Failure `fabric.unknown-hook` */
export function removeHook(db: Database, { at, actor }: Act, id: number): void {
  const { name } = requireHook(db, id);
  send(db, at, id, 'hook.removed', { by: actor });
  prepare(db, 'UPDATE hook SET removed = ? WHERE id = ?').run(at, id);
  appendAudit(db, { at, actor, action: 'hook.remove', subject: `hook ${id}`, detail: { name } });
  announce(db, at, 'hook.removed', { hook: { id, name }, by: actor });
}

/** @throws Failure `fabric.unknown-hook` */
export function testHook(db: Database, { at, actor }: Act, id: number): void {
  requireHook(db, id);
  send(db, at, id, 'hook.test', { by: actor });
}

/** @throws Failure `fabric.unknown-hook` */
function requireHook(db: Database, id: number, which = 'removed IS NULL'): HookRow {
  const row = prepare(db, `SELECT ${COLUMNS} FROM hook WHERE id = ? AND ${which}`).get(id);
  if (row !== undefined) return row as HookRow;
  throw new Failure('fabric.unknown-hook', 'operator', `there is no hook ${id}`, {
    action: 'See "enf-fabric hook list".',
  });
}

/** Tells every hook of an event. */
export function announce(
  db: Database,
  at: number,
  event: string,
  what: Readonly<Record<string, unknown>>,
): void {
  for (const { id } of listHooks(db)) send(db, at, id, event, what);
}

function send(
  db: Database,
  at: number,
  hook: number,
  event: string,
  what: Readonly<Record<string, unknown>>,
): void {
  const body = JSON.stringify({ id: randomUUID(), event, at: new Date(at).toISOString(), ...what });
  prepare(
    db,
    "INSERT INTO delivery (hook, event, body, created, at, status) VALUES (?, ?, ?, ?, ?, 'waiting')",
  ).run(hook, event, body, at, at);
  prepare(
    db,
    `UPDATE delivery SET status = 'given-up', error = 'too many wait' WHERE hook = ? AND status = 'waiting' AND id <=
       (SELECT id FROM delivery WHERE hook = ? AND status = 'waiting' ORDER BY id DESC LIMIT 1 OFFSET ${MOST_WAITING})`,
  ).run(hook, hook);
  prepare(
    db,
    `DELETE FROM delivery WHERE hook = ? AND id <=
       (SELECT id FROM delivery WHERE hook = ? ORDER BY id DESC LIMIT 1 OFFSET ${KEPT})`,
  ).run(hook, hook);
}

interface DeliveryRow extends Omit<Delivery, 'error'> {
  error: string | null;
}

const deliveryOf = <Row extends DeliveryRow>({ error, ...rest }: Row): Omit<Row, 'error'> & Delivery => ({
  ...rest,
  ...(error !== null && { error }),
});

/** A page of deliveries of a hook, newest first, also of one that was removed. @throws Failure `fabric.unknown-hook` */
export function listDeliveries(db: Database, page: PageRequest, hook: number): Page<Delivery> {
  const before = parseNumberCursor('deliveries', page.after) ?? Number.MAX_SAFE_INTEGER;
  requireHook(db, hook, 'true');
  const rows = prepare(
    db,
    `SELECT id, hook, event, body, created, attempts, status, at, error FROM delivery
     WHERE hook = ? AND id < ? ORDER BY id DESC LIMIT ?`,
  ).all(hook, before, page.limit + 1) as DeliveryRow[];
  const { rows: shown, next } = pageOf('deliveries', page, rows, (row) => row.id);
  return { rows: shown.map(deliveryOf), next };
}

/** The oldest delivery that is due of each hook: one that does not answer holds the others up for one attempt. */
export function dueDeliveries(db: Database, at: number, most: number): DueDelivery[] {
  const rows = prepare(
    db,
    `SELECT delivery.id, hook, event, body, delivery.created, attempts, status, at, error, url, secret
     FROM delivery JOIN hook ON hook.id = delivery.hook
     WHERE delivery.id IN (SELECT min(id) FROM delivery WHERE status = 'waiting' AND at <= ? GROUP BY hook)
     ORDER BY delivery.id LIMIT ?`,
  ).all(at, most) as (DeliveryRow & { url: string; secret: string })[];
  return rows.map(deliveryOf);
}

export function recordAttempt(db: Database, at: number, id: number, attempt: Attempt): void {
  const [status, next, error] =
    attempt.kind === 'sent'
      ? (['sent', at, null] as const)
      : attempt.kind === 'later'
        ? (['waiting', attempt.next, attempt.error] as const)
        : (['given-up', at, attempt.error] as const);
  prepare(db, 'UPDATE delivery SET status = ?, at = ?, error = ?, attempts = attempts + 1 WHERE id = ?').run(
    status,
    next,
    error,
    id,
  );
}

/** @throws Failure `fabric.unknown-delivery` */
export function retryDelivery(db: Database, at: number, id: number): void {
  const { changes } = prepare(
    db,
    "UPDATE delivery SET status = 'waiting', at = ?, created = ? WHERE id = ? AND status <> 'waiting'",
  ).run(at, at, id);
  if (changes > 0) return;
  throw new Failure('fabric.unknown-delivery', 'operator', `no delivery ${id} has come to an end`, {
    action: 'See "enf-fabric hook deliveries".',
  });
}
