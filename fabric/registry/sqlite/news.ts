import type { Database } from 'better-sqlite3';
import { HOST } from '../../access/scope.ts';
import type { News, NewsPosition, NewsSince } from '../news.ts';
import type { Change } from '../records.ts';
import type { TunnelNews } from '../tunnel-news.ts';
import { bytes } from './file/database.ts';
import { prepare } from './file/statements.ts';
import { newestHandshakes } from './handshakes.ts';
import { newestEntries } from './trail/audit.ts';
import { changeOf, lastChange } from './trail/changes.ts';

/** What is new, by the numbers that rows have anyway. */
export function newsPart(db: Database, read: <T>(work: () => T) => T, tunnels: TunnelNews): News {
  return {
    newsPosition: async () => read(() => positionOf(db, tunnels)),
    newsSince: async (since, most) => read(() => newsSince(db, tunnels, since, most)),
  };
}

function positionOf(db: Database, tunnels: TunnelNews): NewsPosition {
  const last = (sql: string): number => (prepare(db, sql).get() as { last: number | null }).last ?? 0;
  return {
    change: lastChange(db),
    handshake: last('SELECT max(id) AS last FROM handshake'),
    audit: last('SELECT max(seq) AS last FROM audit'),
    tunnel: tunnels.position,
  };
}

function newsSince(db: Database, tunnels: TunnelNews, since: NewsPosition, most: number): NewsSince {
  const position = positionOf(db, tunnels);
  const moved = (kind: keyof NewsPosition): number => position[kind] - since[kind];
  const changes = changesAfter(db, since.change, most);
  const connected = tunnels.since(since.tunnel);
  const audit = moved('audit') > 0 ? newestEntries(db, clamp(moved('audit'), most)) : [];
  const count = clamp(moved('handshake'), most);
  const handshakes = count > 0 ? newestHandshakes(db, count) : [];
  return {
    position,
    changes: [
      ...changes,
      ...(connected ?? []).slice(0, most).map((address) => ({ kind: 'device', address }) as const),
    ].map((change) => ({ ...change, owner: ownerOf(db, change) })),
    handshakes: handshakes.toReversed(),
    skipped: Math.max(0, moved('handshake') - count),
    audit: audit.toReversed(),
    missed:
      changes.length !== moved('change') ||
      audit.length !== moved('audit') ||
      connected === undefined ||
      connected.length > most,
  };
}

/** Whose it is now; `HOST` if it is not there any more. */
function ownerOf(db: Database, change: Change): number {
  const [sql, key] =
    change.kind === 'device'
      ? ['SELECT owner FROM device WHERE address = ?', change.address]
      : change.kind === 'group'
        ? ['SELECT owner FROM grp WHERE gid = ?', change.gid]
        : ['SELECT owner FROM network WHERE prefix = ?', change.prefix.address];
  return (
    (prepare(db, sql as string)
      .pluck()
      .get(key) as number | undefined) ?? HOST
  );
}

const clamp = (count: number, most: number): number => Math.max(0, Math.min(count, most));

/** The changes after a number, oldest first, of which some may be gone. */
function changesAfter(db: Database, seq: number, most: number) {
  const rows = prepare(db, 'SELECT kind, subject FROM change WHERE seq > ? ORDER BY seq LIMIT ?').all(
    seq,
    most,
  ) as { kind: 'device' | 'group' | 'network'; subject: Uint8Array }[];
  return rows.map(({ kind, subject }) => changeOf(kind, bytes(subject)));
}
