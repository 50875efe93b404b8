import type { Prefix } from '../../../protocol/ipv6.ts';
import type { Scope } from '../../access/scope.ts';
import { cursorOf, type Page, type PageRequest, pageOf, parseNumberCursor } from '../pages.ts';
import type { Device, DeviceFilter, DeviceKind, GroupStatus } from '../records.ts';
import { all, type Condition, lastLookedAt, listSql } from './base/filters.ts';
import { inScope, isIndexed, NUMBERS, numbers } from './base/owned.ts';
import { bytes, type Database, prepare } from './base/statements.ts';
import { attachedOf, deviceStanding, kindOf } from './inventory/devices.ts';
import { nodeNumber } from './nodes/nodes.ts';
import { OUTSIDE } from './roster/listed.ts';
import type { Found } from './search/found.ts';

/**
 * What a list of a million devices spends its time on are the driver's objects: so a row comes as an array, its four keys and addresses
 * as one value, and its group once for the page. That is four times as fast as a join with named columns.
 */
const COLUMNS = `id, CAST(address || gid || pseudonym || longterm_key AS BLOB), banned, evicted, created, handshake_at, handshake_from,
  tunnel_at, tunnel_from, tunnel_ended, reported_at, agent_version, failure_code, failure_at, name, country, retired, note, node, generation`;

/** In the order of COLUMNS. */
type Row = readonly [
  id: number,
  keys: Uint8Array,
  banned: number,
  evicted: number,
  created: number,
  handshakeAt: number,
  handshakeFrom: string,
  tunnelAt: number | null,
  tunnelFrom: string | null,
  tunnelEnded: number | null,
  reportedAt: number | null,
  agentVersion: string | null,
  failureCode: string | null,
  failureAt: number | null,
  name: string | null,
  country: string | null,
  retired: number | null,
  note: string | null,
  node: number | null,
  generation: number,
];
const NODE = 18;

interface DeviceGroup {
  readonly kind: DeviceKind;
  readonly groupName: string;
  readonly groupStatus: GroupStatus;
  readonly owner: string;
  readonly network: Prefix;
}

/** Devices that are looked for on a roster in one call: each in two places of the file. */
const LOOKED_UP = 1_000;

/** A page of devices, oldest first, whatever is searched for; a narrowed one has been looked for in a bounded number of rows. */
export function listDevices(
  db: Database,
  scope: Scope,
  page: PageRequest,
  filter: DeviceFilter = {},
): Page<Device> {
  const after = placeIn(page);
  const { indexed, others } = conditionsOf(db, scope, filter);
  const size = filter.roster === undefined ? undefined : LOOKED_UP;
  const listed = { table: 'device', key: 'id', indexed, ...(size !== undefined && { size }) };
  const place = [...indexed.values, after];
  const looked = others.flatMap(({ values }) => values);
  const rows = prepare(db, listSql(listed, COLUMNS, others))
    .raw()
    .all(...place, ...looked, page.limit + 1) as Row[];
  const narrowed = others.length > 0 && rows.length <= page.limit;
  const seen = narrowed ? lastLookedAt(db, listed, place) : undefined;
  const found = pageOf('devices', page, rows, ([id]) => id);
  const { rows: shown } = found;
  const next = seen === undefined ? found.next : cursorOf('devices', seen);
  return { rows: devicesOf(db, shown), next };
}

/** A page of the devices that a search has found behind the cursor, and that fulfil the rest of the filter. */
export function listFound(
  db: Database,
  scope: Scope,
  page: PageRequest,
  { filter, found }: { filter: DeviceFilter; found: Found },
): Page<Device> {
  const behind = found.upTo === undefined ? undefined : cursorOf('devices', found.upTo);
  if (found.ids.length === 0) return { rows: [], next: behind };
  const { indexed, others } = conditionsOf(db, scope, filter);
  const conditions = [indexed, ...others];
  const rows = prepare(
    db,
    `SELECT ${COLUMNS} FROM device NOT INDEXED WHERE id IN ${NUMBERS} AND ${all(conditions)} ORDER BY id LIMIT ?`,
  )
    .raw()
    .all(numbers(found.ids), ...conditions.flatMap(({ values }) => values), page.limit + 1) as Row[];
  const { rows: shown, next } = pageOf('devices', page, rows, ([id]) => id);
  return { rows: devicesOf(db, shown), next: next ?? behind };
}

/** Devices of a search that are looked at for those which fulfil the rest of a filter. */
const LOOKED_AT = 1_000;

/** As many devices of a search are needed for a page. */
export const mostFound = (
  page: PageRequest,
  { everything }: Scope,
  { search: _, ...rest }: DeviceFilter,
): number => (everything && Object.keys(rest).length === 0 ? page.limit + 1 : LOOKED_AT);

/** Behind which device a page of a list begins. @throws Failure `fabric.bad-cursor` */
export const placeIn = (page: PageRequest): number => parseNumberCursor('devices', page.after) ?? 0;

const EVERY: Condition = { sql: 'true', values: [] };

/** What a filter asks of a row: first what an index answers, then what is looked at in the rows that it finds. */
function conditionsOf(
  db: Database,
  scope: Scope,
  filter: DeviceFilter,
): {
  readonly indexed: Condition;
  readonly others: readonly Condition[];
} {
  const { gid, network, kind, standing, tunnel, failure, node, roster } = filter;
  const wanted: Condition[] = [
    ...(standing === undefined || !RARE.includes(standing) ? [] : [{ sql: STANDING[standing], values: [] }]),
    ...(gid === undefined ? [] : [{ sql: 'gid = ?', values: [gid] }]),
    ...(node === undefined ? [] : [{ sql: 'node = ?', values: [nodeNumber(db, node)] }]),
    ...(isIndexed(scope) ? [inScope(scope)] : []),
    ...(standing === undefined || RARE.includes(standing) ? [] : [{ sql: STANDING[standing], values: [] }]),
    ...(tunnel === undefined || tunnel === 'offline' ? [] : [{ sql: TUNNEL[tunnel], values: [] }]),
  ];
  const [indexed = EVERY, ...others] = wanted;
  return {
    indexed,
    others: [
      ...others,
      ...(scope.everything || isIndexed(scope) ? [] : [inScope(scope)]),
      ...(tunnel === 'offline' ? [{ sql: TUNNEL.offline, values: [] }] : []),
      ...(failure === undefined ? [] : [failed(failure)]),
      ...(network === undefined ? [] : [within(network)]),
      ...(roster === undefined ? [] : [{ sql: OUTSIDE, values: [] }]),
      ...(kind === undefined ? [] : [{ sql: KIND[kind], values: [] }]),
    ],
  };
}

/** The standings with an index of their own, which fewer rows have than a group has devices. */
const RARE: readonly DeviceFilter['standing'][] = ['banned', 'evicted', 'retired'];
const NOT_SUSPENDED = "gid NOT IN (SELECT gid FROM grp WHERE status = 'suspended')";
const STANDING: Readonly<Record<NonNullable<DeviceFilter['standing']>, string>> = {
  banned: 'banned = 1',
  evicted: 'evicted = 1 AND banned = 0',
  retired: 'retired IS NOT NULL',
  suspended:
    "banned = 0 AND evicted = 0 AND retired IS NULL AND gid IN (SELECT gid FROM grp WHERE status = 'suspended')",
  active: `banned = 0 AND evicted = 0 AND retired IS NULL AND ${NOT_SUSPENDED}`,
};
const TUNNEL: Readonly<Record<NonNullable<DeviceFilter['tunnel']>, string>> = {
  open: 'tunnel_at IS NOT NULL AND tunnel_ended IS NULL',
  ended: 'tunnel_ended IS NOT NULL',
  never: 'tunnel_at IS NULL',
  offline: '(tunnel_at IS NULL OR tunnel_ended IS NOT NULL)',
};

/** Few groups are not of TPMs. */
const OF_CAS = 'gid IN (SELECT gid FROM grp WHERE anchor IS NOT NULL)';
const OF_KEYS = 'gid IN (SELECT gid FROM grp WHERE keys = 1)';
const KIND: Readonly<Record<DeviceKind, string>> = {
  pki: OF_CAS,
  key: OF_KEYS,
  tpm: `NOT ${OF_CAS} AND NOT ${OF_KEYS}`,
};

const failed = (code: string): Condition =>
  code === 'any'
    ? { sql: 'failure_code IS NOT NULL', values: [] }
    : { sql: 'failure_code = ?', values: [code] };

function within({ address, length }: Prefix): Condition {
  const last = address.map((byte, i) => (i * 8 >= length ? 0xff : byte));
  return { sql: 'address BETWEEN ? AND ?', values: [address, last] };
}

function devicesOf(db: Database, rows: readonly Row[]): Device[] {
  const groups = groupsOf(db, rows);
  const nodes = nodesOf(db, rows);
  return rows.map((row) => device(row, groups, nodes));
}

const latin1 = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString('latin1');

const gidOf = ([, keys]: Row): string => latin1(keys.subarray(16, 48));

/** The groups of a page's devices, by the bytes of their ids: in one statement, since each is a round trip to a server. */
function groupsOf(db: Database, rows: readonly Row[]): ReadonlyMap<string, DeviceGroup> {
  const gids = [...new Set(rows.map(gidOf))];
  if (gids.length === 0) return new Map();
  const found = prepare(
    db,
    `SELECT gid, grp.name, grp.status, network.prefix, owner.name AS owner, anchor, keys FROM grp JOIN network ON network.id = grp.network
       JOIN owner ON owner.id = grp.owner WHERE gid IN (SELECT unhex(value) FROM json_each(?))`,
  ).all(JSON.stringify(gids.map((gid) => Buffer.from(gid, 'latin1').toString('hex')))) as GroupRow[];
  return new Map(found.map((row) => [latin1(row.gid), groupOf(row)]));
}

interface GroupRow {
  readonly gid: Uint8Array;
  readonly name: string;
  readonly status: GroupStatus;
  readonly prefix: Uint8Array;
  readonly owner: string;
  readonly anchor: number | null;
  readonly keys: number;
}

const groupOf = ({ name, status, prefix, owner, anchor, keys }: GroupRow): DeviceGroup => ({
  kind: kindOf({ anchor, keys }),
  groupName: name,
  groupStatus: status,
  owner,
  network: { address: bytes(prefix), length: 64 },
});

/** The names of the nodes that have a page's devices. */
function nodesOf(db: Database, rows: readonly Row[]): ReadonlyMap<number, string> {
  const ids = rows.map((row) => row[NODE]).filter((id) => id !== null);
  if (ids.length === 0) return new Map();
  const found = prepare(db, `SELECT id, name FROM node WHERE id IN ${NUMBERS}`).all(numbers(ids));
  return new Map((found as { id: number; name: string }[]).map(({ id, name }) => [id, name]));
}

function device(
  row: Row,
  groups: ReadonlyMap<string, DeviceGroup>,
  nodes: ReadonlyMap<number, string>,
): Device {
  const [, allKeys, banned, evicted, created, handshakeAt, from, tunnelAt, tunnelFrom, ended] = row;
  const [
    ,
    ,
    ,
    ,
    ,
    ,
    ,
    ,
    ,
    ,
    reportedAt,
    version,
    code,
    failedAt,
    name,
    country,
    retired,
    note,
    node,
    generation,
  ] = row;
  const keys = bytes(allKeys);
  const gid = keys.subarray(16, 48);
  return {
    address: keys.subarray(0, 16),
    ...(name !== null && { name }),
    ...(note !== null && { note }),
    gid,
    ...groups.get(gidOf(row))!,
    pseudonym: keys.subarray(48, 113),
    longtermKey: keys.subarray(113),
    standing: deviceStanding(retired, banned, evicted),
    created,
    handshake: { at: handshakeAt, from },
    ...(country !== null && { country }),
    ...(tunnelAt !== null &&
      tunnelFrom !== null && {
        tunnel: { at: tunnelAt, from: tunnelFrom, ...(ended !== null && { ended }) },
      }),
    ...attachedOf(generation, node === null ? null : nodes.get(node)!),
    ...(reportedAt !== null &&
      version !== null && {
        agent: {
          at: reportedAt,
          version,
          ...(code !== null && failedAt !== null && { failure: { code, at: failedAt } }),
        },
      }),
  };
}
