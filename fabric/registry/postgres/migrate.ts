import { Failure } from '../../../protocol/failure.ts';
import { newerSchema } from '../sqlite/schema.ts';
import type { Link } from './link.ts';
import { COUNTS } from './schema/counts.ts';
import { DEVICES } from './schema/devices.ts';
import { FUNCTIONS } from './schema/functions.ts';
import { grantsSql, isRoleName, type Role, type RoleNames, STORED_ROLES } from './schema/grants.ts';
import { PEOPLE } from './schema/people.ts';
import { STEPS } from './schema/steps.ts';

/** The version that a new schema begins with, as SQLite's migrations count them. */
const BASELINE = 34;

/** The version that this program knows. */
export const SERVER_VERSION = BASELINE + STEPS.length;

const SEARCH = `
CREATE INDEX device_text ON device USING gin (described(name, note) gin_trgm_ops) WHERE name IS NOT NULL OR note IS NOT NULL;
`;

const BEGINNING = `
CREATE TABLE migration (version bigint PRIMARY KEY, name text NOT NULL, applied bigint NOT NULL);
INSERT INTO counter VALUES ('change', 0), ('audit', 0), ('alarm', 0);
INSERT INTO owner (name, status, created) VALUES ('default', 'active', 0);
`;

type Asked = Pick<Link, 'ask'>;

/** Nobody else makes or changes the schema meanwhile. */
const LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('enf schema', 0))";

/** The version of the schema; undefined if there is none. */
export function serverVersion(link: Asked, name: 'read' | 'write' = 'read'): number | undefined {
  const there = link.ask(name, { sql: "SELECT to_regclass('enf.migration') IS NOT NULL" });
  if (there.rows[0]?.[0] !== 't') return undefined;
  return Number(link.ask(name, { sql: 'SELECT max(version) FROM enf.migration' }).rows[0]?.[0] ?? 0);
}

/** A registry is being copied into the database, or that was begun and has ended before it was whole. */
export type UnfinishedMove = 'running' | 'interrupted';

/** Whoever copies a registry into the database holds this lock as long as the connection lasts. */
export const MOVE_KEY = "hashtextextended('enf move', 0)";

const IS_MOVED = `SELECT EXISTS (SELECT FROM pg_locks
  WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = ${MOVE_KEY})`;

/** Undefined if the database has a whole registry, or none. */
export function unfinishedMove(link: Asked, name: 'read' | 'write' = 'read'): UnfinishedMove | undefined {
  if (serverVersion(link, name) !== UNFINISHED) return undefined;
  return link.ask(name, { sql: IS_MOVED }).rows[0]?.[0] === 't' ? 'running' : 'interrupted';
}

/** What to say of that, and how to go on. */
export const unfinished = (move: UnfinishedMove): Failure =>
  new Failure(
    'registry.moving',
    'retry',
    move === 'running'
      ? 'a registry is being moved into the database that "registry.url" names'
      : 'the move of a registry into the database that "registry.url" names was interrupted',
    {
      action:
        move === 'running'
          ? 'Wait until "enf-fabric registry move" has ended; the node then starts by itself.'
          : 'Give the same "enf-fabric registry move" again on the host that has "registry.db" in its data folder: it goes on where it was interrupted, and until then that file is the registry. To stay with it, remove "registry.url" there.',
    },
  );

/** Makes a new registry, in a database that has none. @throws Failure `registry.exists` */
export function makeSchema(link: Link, now: number): void {
  inTransaction(link, (link) => {
    if (serverVersion(link, 'write') !== undefined) throw alreadyThere();
    makeTables(link);
    noteBaseline(link, now);
  });
}

/** What a registry is copied into counts as none until it is finished. True unless it was there, as after an interruption. @throws Failure `registry.exists` */
export function makeUnfinishedSchema(link: Link, now: number): boolean {
  let made = false;
  inTransaction(link, (link) => {
    const version = serverVersion(link, 'write');
    if (version === UNFINISHED) return;
    if (version !== undefined) throw alreadyThere();
    makeTables(link);
    noteVersion(link, { version: UNFINISHED, name: 'a registry is copied' }, now);
    made = true;
  });
  return made;
}

export const finishSchema = (link: Link, now: number): void =>
  inTransaction(link, (link) => {
    // The server would look at the tables by itself, some minutes later; until then it would plan for few rows.
    link.ask('write', { sql: 'ANALYZE' });
    noteBaseline(link, now);
  });

/** The version of a schema into which a registry is copied. */
const UNFINISHED = 0;

const alreadyThere = (): Failure =>
  new Failure('registry.exists', 'operator', 'the database has a registry already', {
    action:
      'Name another database; or, if it is the one of this fabric, put its address into the file "registry.url".',
  });

function makeTables(link: Asked): void {
  const run = (sql: string): unknown => link.ask('write', { sql });
  run('CREATE SCHEMA IF NOT EXISTS enf');
  run('CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA enf');
  for (const sql of [PEOPLE, DEVICES, FUNCTIONS, COUNTS, SEARCH, BEGINNING]) run(sql);
  for (const { sql } of STEPS) run(sql);
}

function noteBaseline(link: Asked, now: number): void {
  noteVersion(link, { version: BASELINE, name: 'a registry on PostgreSQL' }, now);
  for (const [at, { name }] of STEPS.entries()) noteVersion(link, { version: BASELINE + at + 1, name }, now);
}

/** Brings the schema up to date, if that is this user's. @throws Failure `registry.absent`, `registry.moving`, `registry.newer-schema`, `registry.older-schema` */
export function migrateServer(link: Link, now: number): void {
  const version = requireKnown(link);
  if (version === SERVER_VERSION) return;
  if (!isOwner(link)) throw olderSchema(version);
  migrateAsOwner(link, now);
}

/** What a migration has done. */
export interface Migrated {
  readonly before: number;
  readonly version: number;
  /** Whose rights were given anew. */
  readonly roles: RoleNames;
}

/**
 * The same, and gives the roles of nodes what they may do (schema/grants.ts). Each step is a transaction: what one locks, the next one, which may take long, does not
 * hold, and what was done before a failure stays. @throws Failure `registry.absent`, `registry.newer-schema`, `registry.not-permitted`
 */
export function migrateAsOwner(link: Link, now: number): Migrated {
  requireKnown(link);
  if (!isOwner(link)) throw notOwner();
  let before: number | undefined;
  let roles: RoleNames | undefined;
  while (roles === undefined) {
    inTransaction(link, (link) => {
      const version = requireKnown(link, 'write');
      before ??= version;
      if (version < SERVER_VERSION) applyStep(link, version, now);
      if (version + 1 >= SERVER_VERSION) roles = grantAnew(link);
    });
  }
  return { before: before!, version: SERVER_VERSION, roles };
}

function grantAnew(link: Asked): RoleNames {
  const { rows } = link.ask('write', { sql: STORED_ROLES });
  const roles = Object.fromEntries(
    (rows as [Role, string][]).filter(([, name]) => isRoleName(name)),
  ) as RoleNames;
  if (Object.keys(roles).length > 0) link.ask('write', { sql: grantsSql(roles) });
  return roles;
}

const isOwner = (link: Asked): boolean =>
  link.ask('read', {
    sql: "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = 'enf'",
  }).rows[0]?.[0] === 't';

const MIGRATE = 'Run "enf-fabric registry migrate FILE" with the address of its owner (docs/scale.md).';

const olderSchema = (version: number): Failure =>
  new Failure(
    'registry.older-schema',
    'retry',
    `the registry has schema ${version}, this version needs ${SERVER_VERSION}, and this user of the database may not change it`,
    { action: `${MIGRATE} This node then starts by itself.` },
  );

const notOwner = (): Failure =>
  new Failure('registry.not-permitted', 'operator', "this user of the database is not the registry's owner", {
    action: 'Give a file with the address of the user to whom the schema "enf" belongs.',
  });

function requireKnown(link: Asked, name: 'read' | 'write' = 'read'): number {
  const version = serverVersion(link, name);
  if (version === undefined) {
    throw new Failure(
      'registry.absent',
      'operator',
      'the database that "registry.url" names has no registry',
      {
        action: 'Move one there with "enf-fabric registry move", or correct the file.',
      },
    );
  }
  if (version === UNFINISHED) throw unfinished(unfinishedMove(link, name) ?? 'interrupted');
  if (version > SERVER_VERSION) throw newerSchema(version, SERVER_VERSION);
  return version;
}

/** The step that follows a version. */
function applyStep(link: Asked, version: number, now: number): void {
  const { name, sql } = STEPS[version - BASELINE]!;
  link.ask('write', { sql });
  noteVersion(link, { version: version + 1, name }, now);
}

const noteVersion = (
  link: Asked,
  { version, name }: { version: number; name: string },
  now: number,
): unknown =>
  link.ask('write', {
    sql: 'INSERT INTO enf.migration VALUES ($1, $2, $3)',
    values: [String(version), name, String(now)],
  });

let transactions = 0;

/** Steps read and write every row of what may be millions: the server does not end them, and they are waited for. */
const PATIENCE_MS = 3_600_000;
const PATIENTLY = 'SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0';

/** What `work` asks by the link that it is given fails if the connection was lost meanwhile: on another one it would not be part of the transaction. */
function inTransaction(link: Link, work: (link: Asked) => void): void {
  const number = --transactions;
  link.ask('write', { sql: `BEGIN; ${LOCK}; ${PATIENTLY}`, begins: number });
  try {
    work({
      ask: (name, query) => link.ask(name, { ...query, transaction: number, patienceMs: PATIENCE_MS }),
    });
    link.ask('write', { sql: 'COMMIT', transaction: number });
  } catch (error) {
    link.send('write', { sql: 'ROLLBACK', transaction: number }).catch(() => {});
    throw error;
  }
}
