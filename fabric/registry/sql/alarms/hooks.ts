import { randomUUID } from 'node:crypto';
import { Failure } from '../../../../protocol/failure.ts';
import { HOST, type Scope } from '../../../access/scope.ts';
import type { Attempt, Delivery, DueDelivery, Hook } from '../../alarms.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import type { Act } from '../../records.ts';
import { inScope } from '../base/owned.ts';
import { type Database, prepare } from '../base/statements.ts';
import { appendAudit } from '../trail/audit.ts';

/** Of one owner, and of the host. */
const MOST_HOOKS = 20;
/** Of all together, as many as are listed. */
const MOST_LISTED = 1_000;
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
export function listHooks(db: Database, scope: Scope): Hook[] {
  const own = inScope(scope);
  const rows = prepare(
    db,
    `SELECT ${COLUMNS} FROM hook WHERE removed IS NULL AND ${own.sql} ORDER BY id LIMIT ${MOST_LISTED}`,
  );
  return (rows.all(...own.values) as HookRow[]).map(hookOf);
}

/** @throws Failure `fabric.too-many-hooks` */
export function addHook(
  db: Database,
  { owner }: Scope,
  { at, actor }: Act,
  { name, url, secret }: { readonly name: string; readonly url: string; readonly secret: string },
): Hook {
  if (ownHooks(db, owner) >= MOST_HOOKS) {
    throw new Failure('fabric.too-many-hooks', 'operator', `there are ${MOST_HOOKS} hooks already`, {
      action: 'Remove one with "enf-fabric hook remove".',
    });
  }
  const row = prepare(
    db,
    `INSERT INTO hook (name, url, secret, created_by, created, owner) VALUES (?, ?, ?, ?, ?, ?) RETURNING ${COLUMNS}`,
  ).get(name, url, secret, actor, at, owner) as HookRow;
  const detail = { name, to: destination(url) };
  appendAudit(db, { at, actor, owner, action: 'hook.add', subject: `hook ${row.id}`, detail });
  return hookOf(row);
}

const ownHooks = (db: Database, owner: number): number =>
  prepare(db, 'SELECT count(*) FROM hook WHERE removed IS NULL AND owner = ?').pluck().get(owner) as number;

/** Without path and query, which may hold a secret. */
const destination = (url: string): string => (url.startsWith('mailto:') ? url : new URL(url).origin);

/** @throws Failure `fabric.unknown-hook` */
export function removeHook(db: Database, scope: Scope, { at, actor }: Act, id: number): void {
  const { name, owner } = requireHook(db, scope, id);
  send(db, at, id, 'hook.removed', { by: actor });
  prepare(db, 'UPDATE hook SET removed = ? WHERE id = ?').run(at, id);
  appendAudit(db, { at, actor, owner, action: 'hook.remove', subject: `hook ${id}`, detail: { name } });
  announce(db, { at, owner }, 'hook.removed', { hook: { id, name }, by: actor });
}

/** @throws Failure `fabric.unknown-hook` */
export function testHook(db: Database, scope: Scope, { at, actor }: Act, id: number): void {
  requireHook(db, scope, id);
  send(db, at, id, 'hook.test', { by: actor });
}

/** @throws Failure `fabric.unknown-hook` */
function requireHook(
  db: Database,
  scope: Scope,
  id: number,
  which = 'removed IS NULL',
): HookRow & { readonly owner: number } {
  const own = inScope(scope);
  const row = prepare(db, `SELECT ${COLUMNS}, owner FROM hook WHERE id = ? AND ${which} AND ${own.sql}`).get(
    id,
    ...own.values,
  );
  if (row !== undefined) return row as HookRow & { owner: number };
  throw new Failure('fabric.unknown-hook', 'operator', `there is no hook ${id}`, {
    action: 'See "enf-fabric hook list".',
  });
}

/** Tells of an event what hears of it: hooks of its owner and of the host; all, while there is one owner. */
export function announce(
  db: Database,
  { at, owner }: { readonly at: number; readonly owner: number },
  event: string,
  what: Readonly<Record<string, unknown>>,
): void {
  const ids = prepare(
    db,
    `SELECT id FROM hook WHERE removed IS NULL AND (owner IN (?, ${HOST}) OR (SELECT count(*) = 1 FROM owner)) ORDER BY id`,
  )
    .pluck()
    .all(owner) as number[];
  for (const id of ids) send(db, at, id, event, what);
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
export function listDeliveries(db: Database, scope: Scope, page: PageRequest, hook: number): Page<Delivery> {
  const before = parseNumberCursor('deliveries', page.after) ?? Number.MAX_SAFE_INTEGER;
  requireHook(db, scope, hook, 'true');
  const rows = prepare(
    db,
    `SELECT id, hook, event, body, created, attempts, status, at, error FROM delivery
     WHERE hook = ? AND id < ? ORDER BY id DESC LIMIT ?`,
  ).all(hook, before, page.limit + 1) as DeliveryRow[];
  const { rows: shown, next } = pageOf('deliveries', page, rows, (row) => row.id);
  return { rows: shown.map(deliveryOf), next };
}

/**
 * The oldest delivery that is due of each hook: one that does not answer holds the others up for one attempt. Owners take turns, those behind the
 * owner `after` first, so that the hooks of one never keep those of another from being tried. `last`: the owner whose turn it was last.
 */
export function dueDeliveries(
  db: Database,
  at: number,
  { most, after }: { readonly most: number; readonly after: number },
): { readonly due: DueDelivery[]; readonly last: number } {
  const rows = prepare(
    db,
    `SELECT id, hook, event, body, created, attempts, status, at, error, url, secret, owner FROM
       (SELECT delivery.*, url, secret, owner, row_number() OVER (PARTITION BY owner ORDER BY attempts, delivery.id) AS turn
        FROM delivery JOIN hook ON hook.id = delivery.hook
        WHERE delivery.id IN (SELECT min(id) FROM delivery WHERE status = 'waiting' AND at <= ? GROUP BY hook)) AS waiting
     ORDER BY turn, owner <= ?, owner LIMIT ?`,
  ).all(at, after, most) as (DeliveryRow & { url: string; secret: string; owner: number })[];
  const last = rows.at(-1)?.owner ?? after;
  return { due: rows.map(({ owner: _, ...row }) => deliveryOf(row)), last };
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
export function retryDelivery(db: Database, scope: Scope, at: number, id: number): void {
  const own = inScope(scope);
  const { changes } = prepare(
    db,
    `UPDATE delivery SET status = 'waiting', at = ?, created = ?
     WHERE id = ? AND status <> 'waiting' AND hook IN (SELECT id FROM hook WHERE ${own.sql})`,
  ).run(at, at, id, ...own.values);
  if (changes > 0) return;
  throw new Failure('fabric.unknown-delivery', 'operator', `no delivery ${id} has come to an end`, {
    action: 'See "enf-fabric hook deliveries".',
  });
}
