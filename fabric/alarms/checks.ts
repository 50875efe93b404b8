import { X509Certificate } from 'node:crypto';
import { toHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { HOST } from '../access/scope.ts';
import type { AlarmKind, Alarms, Finding } from '../registry/alarms.ts';
import { DRAINING_LONG_MS, type Node, type NodesReader, ROUTES_LOST_LONG_MS } from '../registry/nodes.ts';
import { eachRow } from '../registry/pages.ts';
import type { Handshake } from '../registry/records.ts';
import type { OwnedReader, Registry } from '../registry/registry.ts';
import { failing } from './failing.ts';
import { serversAmiss } from './servers.ts';
import { trailCheck } from './trail.ts';

/** What is looked at now and then. */
export interface AlarmCheck {
  readonly kinds: readonly AlarmKind[];
  readonly everyMs: number;
  /** What was not found for so long is over; ten minutes unless given. */
  readonly holdMs?: number;
  find(): Promise<readonly Finding[]>;
}

/** What the checks ask of the fabric. */
export interface CheckSources {
  readonly registry: Pick<Registry, 'leads' | 'missing' | 'verifyAuditPart'> &
    Pick<NodesReader, 'nodes'> &
    Pick<OwnedReader, 'census' | 'group' | 'groupNumbers' | 'handshakes' | 'networks'> &
    Pick<
      Alarms,
      'beyondLimits' | 'casEnding' | 'failures' | 'listsEnding' | 'overAnnounced' | 'servers' | 'tokensEnding'
    >;
  /** PEM by name of the file. */
  readonly certificates: () => Promise<Readonly<Record<string, string>>>;
  /** Bytes that are free on the disk of the registry, and all. */
  readonly disk: () => Promise<{ readonly path: string; readonly free: number; readonly all: number }>;
  /** When the newest backup was made; undefined if none is known. */
  readonly backupAt: () => Promise<number | undefined>;
  /** The databases of places in use, each with when it was made, and after how many days one is old (0: never). */
  readonly places: () => readonly {
    readonly file: string;
    readonly source: string;
    readonly built: number;
  }[];
  readonly placesOldDays: number;
  readonly now: () => number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export const CERTIFICATE_DAYS = 30;
export const TOKEN_DAYS = 14;
const BACKUP_DAYS = 7;
const FIRST_BACKUP_DAYS = 2;
/** Until somebody acknowledges it: whoever has to do again what was lost may be away for a weekend. */
const FAILOVER_DAYS = 7;
/** Refused handshakes that are looked at, and how many make a group knock. */
const REFUSALS = 200;
const KNOCKS = 3;
const MOST_KNOCKING = 10;
/** Tunnels are counted each minute and compared with the most of the five minutes before. */
const SAMPLES = 5;
const LEAST_FLEET = 10;
const DROPPED = 0.2;
const LEAST_FREE = 0.05;
const LEAST_FREE_BYTES = 200 * 1024 * 1024;

export function alarmChecks({
  registry,
  certificates,
  disk,
  backupAt,
  places,
  placesOldDays,
  now,
}: CheckSources): readonly AlarmCheck[] {
  const tunnels: number[] = [];
  return [
    {
      // The audit trail told of it, as of what follows: nobody sees whether it is so still.
      kinds: ['device.twins', 'device.two-countries', 'claim.objection'],
      everyMs: MINUTE_MS,
      holdMs: DAY_MS,
      find: async () => [],
    },
    {
      kinds: ['registry.failover'],
      everyMs: HOUR_MS,
      holdMs: FAILOVER_DAYS * DAY_MS,
      find: async () => [],
    },
    {
      kinds: ['group.over-announced'],
      everyMs: 10_000,
      find: () => registry.overAnnounced(),
    },
    {
      kinds: ['group.over-limit', 'country.unexpected', 'group.off-roster'],
      everyMs: 10_000,
      find: () => registry.beyondLimits(now() - DAY_MS),
    },
    {
      kinds: ['device.failing'],
      everyMs: MINUTE_MS,
      find: () => failing(registry, now() - HOUR_MS),
    },
    {
      kinds: ['group.knocking'],
      everyMs: MINUTE_MS,
      async find() {
        const { rows } = await registry.handshakes(
          { limit: REFUSALS },
          { result: 'fabric.group-not-admitted' },
        );
        const found = knocking(rows.filter(({ at }) => at > now() - DAY_MS));
        const admitted = await Promise.all(found.map(({ subject }) => isAdmitted(registry, subject)));
        return found.filter((_, i) => !admitted[i]);
      },
    },
    {
      kinds: ['fleet.dropped'],
      everyMs: MINUTE_MS,
      async find() {
        const { connected } = await registry.census();
        const found = dropped(tunnels, connected);
        tunnels.push(connected);
        if (tunnels.length > SAMPLES) tunnels.shift();
        return found;
      },
    },
    {
      kinds: ['certificate.expiring'],
      everyMs: HOUR_MS,
      find: async () =>
        Object.entries(await certificates()).flatMap(([subject, pem]) => expiring(subject, pem, now())),
    },
    {
      kinds: ['ca.expiring'],
      everyMs: HOUR_MS,
      find: () => registry.casEnding(CERTIFICATE_DAYS),
    },
    {
      kinds: ['token.expiring'],
      everyMs: HOUR_MS,
      find: () => registry.tokensEnding(now() + TOKEN_DAYS * DAY_MS),
    },
    {
      kinds: ['crl.expiring'],
      everyMs: MINUTE_MS,
      find: () => registry.listsEnding(),
    },
    {
      kinds: ['registry.behind'],
      everyMs: MINUTE_MS,
      async find() {
        const missing = registry.missing();
        if (missing === undefined) return [];
        return [
          { kind: 'registry.behind', owner: HOST, subject: 'registry', detail: { message: missing.message } },
        ];
      },
    },
    {
      kinds: ['registry.two-primaries', 'registry.server-lost', 'registry.standby-behind'],
      everyMs: MINUTE_MS,
      async find() {
        const servers = registry.servers();
        // Of several nodes one says what it sees.
        return servers.length > 0 && registry.leads() ? serversAmiss(servers) : [];
      },
    },
    {
      kinds: ['disk.full-soon'],
      everyMs: MINUTE_MS,
      async find() {
        const { path, free, all } = await disk();
        const enough = free >= LEAST_FREE_BYTES && free >= all * LEAST_FREE;
        return enough ? [] : [{ kind: 'disk.full-soon', owner: HOST, subject: path, detail: { free, all } }];
      },
    },
    {
      kinds: ['backup.old'],
      everyMs: HOUR_MS,
      async find() {
        const [first] = (await registry.networks({ limit: 1 })).rows;
        return first === undefined ? [] : backupOld(await backupAt(), first.created, now());
      },
    },
    {
      kinds: ['places.old'],
      everyMs: MINUTE_MS,
      find: async () => places().flatMap((each) => placesOld(each, placesOldDays, now())),
    },
    {
      kinds: ['node.lost', 'node.draining', 'node.routes-lost'],
      everyMs: 10_000,
      async find() {
        const found: Finding[] = [];
        for await (const node of eachRow(registry.nodes)) found.push(...nodeAmiss(node, now()));
        return found;
      },
    },
    {
      kinds: ['audit.broken'],
      everyMs: 10_000,
      find: trailCheck(registry, now),
    },
  ];
}

/** A node is lost, other nodes learn nothing of its devices, or these do not leave it though they are to. */
export function nodeAmiss(
  { name, state, seen, draining, routesLost, tunnels }: Node,
  now: number,
): readonly Finding[] {
  const about = { owner: HOST, subject: name };
  const carried = tunnels === undefined ? {} : { tunnels };
  if (state === 'lost')
    return [{ kind: 'node.lost', ...about, detail: { seen: new Date(seen).toISOString(), ...carried } }];
  if (state === 'stopped') return [];
  const since = (at: number) => ({ since: new Date(at).toISOString(), ...carried });
  return [
    ...(routesLost !== undefined && now - routesLost >= ROUTES_LOST_LONG_MS
      ? [{ kind: 'node.routes-lost', ...about, detail: since(routesLost) } as const]
      : []),
    ...(draining !== undefined && now - draining >= DRAINING_LONG_MS
      ? [{ kind: 'node.draining', ...about, detail: since(draining) } as const]
      : []),
  ];
}

/** The newest backup is older than a week, or none was made in the first days of the oldest network. */
export function backupOld(at: number | undefined, firstNetwork: number, now: number): readonly Finding[] {
  const old =
    at === undefined ? firstNetwork < now - FIRST_BACKUP_DAYS * DAY_MS : at < now - BACKUP_DAYS * DAY_MS;
  const detail = at === undefined ? {} : { made: new Date(at).toISOString() };
  return old ? [{ kind: 'backup.old', owner: HOST, subject: 'fabric', detail }] : [];
}

/** A database of places was made so many days ago, or more; 0: none is old. */
export function placesOld(
  { file, source, built }: { readonly file: string; readonly source: string; readonly built: number },
  days: number,
  now: number,
): readonly Finding[] {
  if (days === 0 || built > now - days * DAY_MS) return [];
  return [
    {
      kind: 'places.old',
      owner: HOST,
      subject: file,
      detail: { source, made: new Date(built).toISOString() },
    },
  ];
}

/** Since then somebody may have brought its label. */
const isAdmitted = (registry: Pick<OwnedReader, 'group'>, gid: string): Promise<boolean> =>
  registry.group(gid).then(
    () => true,
    (error: unknown) => {
      if (isFailure(error) && error.code === 'fabric.unknown-group') return false;
      throw error;
    },
  );

/** The groups that refused handshakes claim, those with the most first. Anybody can claim any: there are ten at most. */
export function knocking(refusals: readonly Handshake[]): readonly Finding[] {
  const groups = new Map<string, Handshake[]>();
  for (const each of refusals) {
    if (each.gid === undefined) continue;
    const gid = toHex(each.gid);
    groups.set(gid, [...(groups.get(gid) ?? []), each]);
  }
  return [...groups]
    .filter(([, all]) => all.length >= KNOCKS)
    .sort(([, a], [, b]) => b.length - a.length)
    .slice(0, MOST_KNOCKING)
    .map(([subject, all]) => ({
      kind: 'group.knocking',
      owner: HOST,
      subject,
      detail: { times: all.length, last: new Date(all[0]!.at).toISOString(), from: all[0]!.source },
    }));
}

/** How many tunnels there were in the minutes before, and how many are left, if that is much less. */
export function dropped(before: readonly number[], now: number): readonly Finding[] {
  const most = Math.max(0, ...before);
  if (most < LEAST_FLEET || now > most * (1 - DROPPED)) return [];
  return [{ kind: 'fleet.dropped', owner: HOST, subject: 'fabric', detail: { before: most, now } }];
}

export function expiring(subject: string, pem: string, now: number): readonly Finding[] {
  const { validTo } = new X509Certificate(pem);
  const end = Date.parse(validTo);
  if (end > now + CERTIFICATE_DAYS * DAY_MS) return [];
  return [
    { kind: 'certificate.expiring', owner: HOST, subject, detail: { ends: new Date(end).toISOString() } },
  ];
}
