import { HOST } from '../../access/scope.ts';
import type { News, NewsPosition, NewsSince } from '../news.ts';
import type { RecordedChange } from '../records.ts';
import type { TunnelNews } from '../tunnels/news.ts';
import { bytes, type Database, prepare } from './base/statements.ts';
import { handshakesBetween } from './inventory/handshakes.ts';
import { entriesBetween } from './trail/audit.ts';
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

/** How far news go at once: whose they are is looked up for each. */
const WINDOW = 1_000;

const KINDS = ['change', 'handshake', 'audit', 'tunnel'] as const;

function newsSince(db: Database, tunnels: TunnelNews, since: NewsPosition, most: number): NewsSince {
  const newest = positionOf(db, tunnels);
  // Another registry, or another process.
  const isOther = KINDS.some((kind) => newest[kind] < since[kind]);
  const upTo = (kind: keyof NewsPosition): number =>
    isOther ? newest[kind] : Math.min(newest[kind], since[kind] + WINDOW);
  const position = {
    change: upTo('change'),
    handshake: upTo('handshake'),
    audit: upTo('audit'),
    tunnel: upTo('tunnel'),
  };
  const changed = changesBetween(db, since.change, position.change);
  const connected = tunnels.between(since.tunnel, position.tunnel);
  const audit = entriesBetween(db, since.audit, position.audit, most);
  const handshakes = handshakesBetween(db, since.handshake, position.handshake, most);
  const isWhole =
    !isOther && changed.length === position.change - since.change && audit.isWhole && connected !== undefined;
  const [changes, left] = split(changed, most);
  const [began, leftTunnels] = split((connected ?? []).map(deviceAt), most);
  const owners = [...left, ...leftTunnels].map((change) => ownerOf(db, change));
  return {
    position,
    changes: [...changes, ...began].map((change) => ({ ...change, owner: ownerOf(db, change) })),
    handshakes,
    skipped: Math.max(0, position.handshake - since.handshake - handshakes.length),
    audit: audit.rows,
    missed: isWhole ? [...new Set([...owners, ...audit.left])] : 'all',
  };
}

const deviceAt = (address: Uint8Array): RecordedChange => ({ kind: 'device', address });

/** The newest, at most `most`, and the others. */
function split<T>(rows: readonly T[], most: number): readonly [readonly T[], readonly T[]] {
  const from = Math.max(0, rows.length - most);
  return [rows.slice(from), rows.slice(0, from)];
}

/** Whose it is now; `HOST` if it is not there any more. */
function ownerOf(db: Database, change: RecordedChange): number {
  if (change.kind === 'node') return HOST;
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

/** The changes behind a number up to another, oldest first, of which some may be gone. */
function changesBetween(db: Database, after: number, upTo: number): RecordedChange[] {
  const rows = prepare(db, 'SELECT kind, subject FROM change WHERE seq > ? AND seq <= ? ORDER BY seq').all(
    after,
    upTo,
  ) as { kind: RecordedChange['kind']; subject: Uint8Array }[];
  return rows.map(({ kind, subject }) => changeOf(kind, bytes(subject)));
}
