import { rmSync } from 'node:fs';
import { HOST } from '../../access/scope.ts';
import type { Registry, RegistryOptions, RegistryReader } from '../registry.ts';
import { prepare } from '../sql/base/statements.ts';
import { readerOn } from '../sql/reader.ts';
import { registryOn } from '../sql/registry.ts';
import { appendAudit } from '../sql/trail/audit.ts';
import { headFile } from '../sql/trail/kept-head.ts';
import { admitOnServer } from './admit.ts';
import { serverQueue } from './commit-queue.ts';
import { type ServerDatabase, serverDatabase } from './connection.ts';
import { openLink } from './link.ts';
import {
  type Migrated,
  makeSchema,
  migrateAsOwner,
  migrateServer,
  SERVER_VERSION,
  serverVersion,
} from './migrate.ts';
import { standbyDatabase } from './replica.ts';
import { noteSchema, schemaNote } from './schema-note.ts';
import { readKnown, refusalBy, serverHead } from './server-head.ts';

/**
 * Opens the registry on the servers of `urls` (link.ts); `path` is the file of the data folder that names them, beside which the newest audit entry is
 * kept. @throws Failure `registry.absent`, `registry.moving`, `registry.newer-schema`, `registry.older-schema`, `registry.unreachable`, `registry.not-writable`
 */
export function openServerRegistry(
  urls: readonly string[],
  path: string,
  options: RegistryOptions = {},
): Registry {
  const { now = Date.now, onError = () => {}, givesUp = false } = options;
  const link = openLink(urls, { known: readKnown(path) });
  const head = serverHead(link, path, onError);
  try {
    if (givesUp) head.giveUp();
    migrateServer(link, now());
    noteSchema(path, onError);
    const db = serverDatabase(link);
    return registryOn(
      {
        ...{ db, head, now: serverClock(db) },
        read: (work) => work(),
        ...(urls.length > 1 && { standby: standbyDatabase(link) }),
        servers: () => link.servers,
        writing(afterCommit) {
          const queue = serverQueue(db, link, (newest) => {
            head.seen(newest);
            afterCommit();
          });
          return {
            queue,
            admitting(work) {
              const kind = admitOnServer(db, work);
              return (applicant) => queue.submitTogether(kind, applicant);
            },
          };
        },
        listen: (changed) =>
          link.listen((anew) => {
            head.look(db);
            changed(anew);
          }),
        onLoss: head.onLoss,
        close: db.close,
      },
      options,
    );
  } catch (error) {
    link.close();
    throw error;
  }
}

/** The server's clock: milliseconds since 1970. */
const serverClock =
  (db: ServerDatabase): (() => number) =>
  () =>
    prepare(db, 'SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)')
      .pluck()
      .get() as number;

/** Brings the schema of the registry on the servers of `urls` up to date, as its owner. @throws Failure see `migrateAsOwner` */
export function migrateServers(urls: readonly string[], now: number): Migrated {
  const link = openLink(urls);
  try {
    return migrateAsOwner(link, now);
  } finally {
    link.close();
  }
}

/** Forgets what was seen of the registry on the servers that `path` names: another one is moved there. */
export function forgetServers(path: string): void {
  for (const name of [headFile(path), schemaNote(path)]) rmSync(name, { force: true });
}

/** What a registry on servers keeps in the data folder, whose file `path` names them. */
export const serverFiles = (path: string): readonly string[] => [path, headFile(path), schemaNote(path)];

/** Opens the same to read, be it at a standby; undefined if its schema is not the one that this program knows. */
export function openServerReader(urls: readonly string[], path: string): RegistryReader | undefined {
  const link = openLink(urls, { known: readKnown(path) });
  try {
    if (serverVersion(link) === SERVER_VERSION) {
      const db = serverDatabase(link);
      return readerOn(db, (work) => work(), { missing: () => refusalBy(link), nodesNow: serverClock(db) });
    }
  } catch (error) {
    link.close();
    throw error;
  }
  link.close();
  return undefined;
}

/** Makes an empty registry on a server; its audit trail begins with the actor who made it. @throws Failure `registry.exists`, and those of opening */
export async function makeServerRegistry(urls: readonly string[], actor: string, at: number): Promise<void> {
  const link = openLink(urls);
  try {
    makeSchema(link, at);
    const db = serverDatabase(link);
    const queue = serverQueue(db, link, () => {});
    await queue.submit(() =>
      appendAudit(db, { at, actor, owner: HOST, action: 'fabric.init', subject: 'registry' }),
    );
  } finally {
    link.close();
  }
}
