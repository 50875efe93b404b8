import { Failure } from '../../../../protocol/failure.ts';
import { newerSchema } from '../../sqlite/file/schema.ts';
import type { Link } from '../link.ts';
import { ADMISSION_FUNCTION } from './admission.ts';
import { COUNTS } from './counts.ts';
import { DEVICES } from './devices.ts';
import { FUNCTIONS } from './functions.ts';
import { PEOPLE } from './people.ts';

/** The version that a new schema begins with, as SQLite's migrations count them. */
const BASELINE = 34;

/** Later steps, in order: what SQLite's migration of the same number does. */
const STEPS: readonly { readonly name: string; readonly sql: string }[] = [];

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

/** Nobody else makes or changes the schema meanwhile. */
const LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('enf schema', 0))";

/** The version of the schema; undefined if there is none. */
export function serverVersion(link: Link, name: 'read' | 'write' = 'read'): number | undefined {
  const there = link.ask(name, { sql: "SELECT to_regclass('enf.migration') IS NOT NULL" });
  if (there.rows[0]?.[0] !== 't') return undefined;
  return Number(link.ask(name, { sql: 'SELECT max(version) FROM enf.migration' }).rows[0]?.[0] ?? 0);
}

/** Makes a new registry, in a database that has none. `begin` writes what it begins with. @throws Failure `registry.exists` */
export function makeSchema(link: Link, now: number): void {
  inTransaction(link, () => {
    if (serverVersion(link, 'write') !== undefined) {
      throw new Failure('registry.exists', 'operator', 'the database has a registry already', {
        action:
          'Name another database, or take a new data folder of this fabric that names this one ("enf-fabric join").',
      });
    }
    const run = (sql: string): unknown => link.ask('write', { sql });
    run('CREATE SCHEMA IF NOT EXISTS enf');
    run('CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA enf');
    for (const sql of [PEOPLE, DEVICES, FUNCTIONS, COUNTS, ADMISSION_FUNCTION, SEARCH, BEGINNING]) run(sql);
    noteVersion(link, { version: BASELINE, name: 'a registry on PostgreSQL' }, now);
    applySteps(link, BASELINE, now);
  });
}

/** Brings the schema up to date. @throws Failure `registry.absent`, `registry.newer-schema` */
export function migrateServer(link: Link, now: number): void {
  const version = requireKnown(serverVersion(link));
  if (version === SERVER_VERSION) return;
  inTransaction(link, () => applySteps(link, requireKnown(serverVersion(link, 'write')), now));
}

function requireKnown(version: number | undefined): number {
  if (version === undefined) {
    throw new Failure(
      'registry.absent',
      'operator',
      'the database that "registry.url" names has no registry',
      {
        action: 'Move one there with "enf-fabric registry move --to URL", or correct the file.',
      },
    );
  }
  if (version > SERVER_VERSION) throw newerSchema(version, SERVER_VERSION);
  return version;
}

function applySteps(link: Link, version: number, now: number): void {
  for (const [at, { name, sql }] of STEPS.slice(version - BASELINE).entries()) {
    link.ask('write', { sql });
    noteVersion(link, { version: version + at + 1, name }, now);
  }
}

const noteVersion = (
  link: Link,
  { version, name }: { version: number; name: string },
  now: number,
): unknown =>
  link.ask('write', {
    sql: 'INSERT INTO enf.migration VALUES ($1, $2, $3)',
    values: [String(version), name, String(now)],
  });

let transactions = 0;

function inTransaction(link: Link, work: () => void): void {
  const number = --transactions;
  link.ask('write', { sql: `BEGIN; ${LOCK}`, begins: number });
  try {
    work();
    link.ask('write', { sql: 'COMMIT' });
  } catch (error) {
    link.send('write', { sql: 'ROLLBACK', transaction: number }).catch(() => {});
    throw error;
  }
}
