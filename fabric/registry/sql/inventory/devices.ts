import { concat, toHex } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { formatIpv6 } from '../../../../protocol/ipv6.ts';
import type { Report } from '../../../../protocol/tunnel/report.ts';
import type { Scope } from '../../../access/scope.ts';
import type {
  Act,
  AgentReport,
  Device,
  DeviceKind,
  DeviceStanding,
  GroupStatus,
  StandingChange,
} from '../../records.ts';
import type { DeviceNames } from '../../registry.ts';
import { inScope, NUMBERS, numbers } from '../base/owned.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { type CityRow, cityOf } from '../counts/cities.ts';
import { appendAudit } from '../trail/audit.ts';
import { recordChange } from '../trail/changes.ts';

const SELECT = `
  SELECT device.*, grp.name AS group_name, grp.status AS group_status, owner.name AS owner_name, grp.anchor AS anchor, grp.keys AS keys,
    network.prefix, node.name AS node_name,
    place.country AS place_country, place.region, place.city, place.latitude, place.longitude, place.radius_km
  FROM device JOIN grp ON grp.gid = device.gid JOIN network ON network.id = grp.network
    JOIN owner ON owner.id = grp.owner LEFT JOIN place ON place.id = device.place LEFT JOIN node ON node.id = device.node`;

interface Row extends Omit<CityRow, 'country'> {
  place_country: string | null;
  id: number;
  address: Uint8Array;
  gid: Uint8Array;
  group_name: string;
  group_status: GroupStatus;
  owner_name: string;
  anchor: number | null;
  keys: number;
  pseudonym: Uint8Array;
  longterm_key: Uint8Array;
  prefix: Uint8Array;
  evicted: number;
  banned: number;
  created: number;
  handshake_at: number;
  handshake_from: string;
  tunnel_at: number | null;
  tunnel_from: string | null;
  tunnel_ended: number | null;
  reported_at: number | null;
  agent_version: string | null;
  failure_code: string | null;
  failure_at: number | null;
  name: string | null;
  note: string | null;
  country: string | null;
  retired: number | null;
  moved_to: Uint8Array | null;
  generation: number;
  node_name: string | null;
}

function device(row: Row): Device {
  const { tunnel_at: at, tunnel_from: from, tunnel_ended: ended } = row;
  const agent = agentOf(row);
  return {
    address: bytes(row.address),
    kind: kindOf(row),
    ...(row.name === null ? {} : { name: row.name }),
    ...(row.note === null ? {} : { note: row.note }),
    gid: bytes(row.gid),
    groupName: row.group_name,
    groupStatus: row.group_status,
    owner: row.owner_name,
    pseudonym: bytes(row.pseudonym),
    longtermKey: bytes(row.longterm_key),
    network: { address: bytes(row.prefix), length: 64 },
    standing: deviceStanding(row.retired, row.banned, row.evicted),
    ...(row.moved_to === null ? {} : { movedTo: bytes(row.moved_to) }),
    created: row.created,
    handshake: { at: row.handshake_at, from: row.handshake_from },
    ...(row.country === null ? {} : { country: row.country }),
    ...(row.place_country === null ? {} : { city: cityOf({ ...row, country: row.place_country }) }),
    ...(at === null || from === null ? {} : { tunnel: { at, from, ...(ended === null ? {} : { ended }) } }),
    ...attachedOf(row.generation, row.node_name),
    ...(agent === undefined ? {} : { agent }),
  };
}

/** How the devices of a group prove themselves, by its columns. */
export const kindOf = ({ anchor, keys }: Pick<Row, 'anchor' | 'keys'>): DeviceKind =>
  anchor !== null ? 'pki' : keys === 1 ? 'key' : 'tpm';

/** From the columns of a row. */
export function deviceStanding(retired: number | null, banned: number, evicted: number): DeviceStanding {
  if (retired !== null) return 'retired';
  return banned === 1 ? 'banned' : evicted === 1 ? 'evicted' : 'active';
}

/** Which tunnel is the newest one, and where it ends. */
export const attachedOf = (generation: number, node: string | null): Pick<Device, 'attached'> =>
  generation === 0 ? {} : { attached: { generation, ...(node === null ? {} : { node }) } };

function agentOf(row: Row): AgentReport | undefined {
  const { reported_at: at, agent_version: version, failure_code: code, failure_at: failed } = row;
  if (at === null || version === null) return undefined;
  return { at, version, ...(code === null || failed === null ? {} : { failure: { code, at: failed } }) };
}

/** The device with this 16-byte address. */
export function findDevice(db: Database, scope: Scope, address: Uint8Array): Device | undefined {
  const own = inScope(scope, 'device.owner');
  const row = prepare(db, `${SELECT} WHERE device.address = ? AND ${own.sql}`).get(address, ...own.values) as
    | Row
    | undefined;
  return row === undefined ? undefined : device(row);
}

/** The address of the device of this name. @throws Failure `fabric.unknown-device`, `fabric.ambiguous-device` */
export function deviceNamed(db: Database, scope: Scope, name: string): Uint8Array {
  const own = inScope(scope);
  const [only, another] = prepare(db, `SELECT address FROM device WHERE name = ? AND ${own.sql} LIMIT 2`).all(
    name,
    ...own.values,
  ) as { address: Uint8Array }[];
  if (another !== undefined) {
    throw new Failure(
      'fabric.ambiguous-device',
      'operator',
      `devices of several owners are called ${JSON.stringify(name)}`,
      { action: 'Give the address of the one that is meant, or say whose it is.' },
    );
  }
  if (only !== undefined) return bytes(only.address);
  throw new Failure('fabric.unknown-device', 'operator', `no device is called ${JSON.stringify(name)}`, {
    action: 'See "enf-fabric device list"; an address has colons.',
  });
}

/** The address of the device of this name in the network of which `prefix` is the first 8 bytes. */
export function addressIn(
  db: Database,
  scope: Scope,
  prefix: Uint8Array,
  name: string,
): Uint8Array | undefined {
  const own = inScope(scope);
  const [first, last] = [0x00, 0xff].map((byte) =>
    concat(prefix.subarray(0, 8), new Uint8Array(8).fill(byte)),
  );
  const found = prepare(
    db,
    `SELECT address FROM device WHERE name = ? AND address BETWEEN ? AND ? AND ${own.sql}`,
  ).get(name, first, last, ...own.values) as { address: Uint8Array } | undefined;
  return found && bytes(found.address);
}

/** A device that comes again: all that its admission needs. */
export interface KnownMember extends Pick<Device, 'address' | 'standing' | 'longtermKey' | 'country'> {
  /** When it came last. */
  readonly handshakeAt: number;
}

/**
 * The device of this chip in this group. Columns by their places, and of no other table: each handshake asks so, and all that there is of a device would
 * take longer than the search.
 */
export function findMember(db: Database, gid: Uint8Array, pseudonym: Uint8Array): KnownMember | undefined {
  const row = prepare(
    db,
    `SELECT address, longterm_key, retired, banned, evicted, handshake_at, country
     FROM device WHERE gid = ? AND pseudonym = ?`,
  )
    .raw()
    .get(gid, pseudonym) as MemberRow | undefined;
  if (row === undefined) return undefined;
  const [address, longtermKey, retired, banned, evicted, handshakeAt, country] = row;
  return {
    address: bytes(address),
    longtermKey,
    standing: deviceStanding(retired, banned, evicted),
    handshakeAt,
    ...(country !== null && { country }),
  };
}

type MemberRow = [
  ...[address: Uint8Array, longtermKey: Uint8Array, retired: number | null, banned: number, evicted: number],
  ...[handshakeAt: number, country: string | null],
];

/** A device can be banned and evicted at once: the end of the ban does not end the eviction. */
const CHANGE: Record<StandingChange, string> = {
  evict: 'evicted = 1 WHERE evicted = 0',
  ban: 'banned = 1 WHERE banned = 0',
  unban: 'banned = 0 WHERE banned = 1',
};

/** Evicts, bans or unbans a device; false if there was nothing to do. @throws Failure `fabric.unknown-device`, `fabric.device-retired` */
export function setStanding(
  db: Database,
  scope: Scope,
  act: Act,
  address: Uint8Array,
  change: StandingChange,
): boolean {
  const known = requireDevice(db, scope, address);
  requireInUse(known);
  const { changes } = prepare(db, `UPDATE device SET ${CHANGE[change]} AND address = ?`).run(address);
  if (changes === 0) return false;
  recordChange(db, 'device', address);
  appendAudit(db, {
    ...act,
    owner: ownerOf(db, address),
    action: `device.${change}`,
    subject: formatIpv6(address),
    detail: { before: known.standing },
  });
  return true;
}

/** Changes what is given; an empty text removes it. @throws Failure `fabric.unknown-device`, `fabric.name-exists` */
export function nameDevice(
  db: Database,
  scope: Scope,
  act: Act,
  address: Uint8Array,
  change: DeviceNames,
): void {
  const known = requireDevice(db, scope, address);
  const owner = ownerOf(db, address);
  const name = change.name ?? known.name ?? '';
  const note = change.note ?? known.note ?? '';
  const other = prepare(db, 'SELECT address FROM device WHERE name = ? AND owner = ? AND address <> ?').get(
    name,
    owner,
    address,
  ) as { address: Uint8Array } | undefined;
  if (other !== undefined) throw nameExists(name, bytes(other.address));
  prepare(db, "UPDATE device SET name = nullif(?, ''), note = nullif(?, '') WHERE address = ?").run(
    name,
    note,
    address,
  );
  recordChange(db, 'device', address);
  appendAudit(db, {
    ...act,
    owner,
    action: 'device.name',
    subject: formatIpv6(address),
    // What was not changed is not what somebody did.
    detail: {
      ...(name !== (known.name ?? '') && { name }),
      ...(note !== (known.note ?? '') && { note }),
    },
  });
}

/** Of a device that is there. */
const ownerOf = (db: Database, address: Uint8Array): number =>
  prepare(db, 'SELECT owner FROM device WHERE address = ?').pluck().get(address) as number;

export function nameExists(name: string, address: Uint8Array): Failure {
  return new Failure(
    'fabric.name-exists',
    'operator',
    `the device ${formatIpv6(address)} is called ${name}`,
    {
      action: 'Choose another name, or take it from that device first.',
    },
  );
}

/** @throws Failure `fabric.unknown-device` */
export function requireDevice(db: Database, scope: Scope, address: Uint8Array): Device {
  const known = findDevice(db, scope, address);
  if (known !== undefined) return known;
  throw new Failure('fabric.unknown-device', 'operator', `there is no device ${formatIpv6(address)}`, {
    action: 'See "enf-fabric device list".',
  });
}

/** @throws Failure `fabric.device-retired` */
export function requireInUse({ address, standing }: Pick<Device, 'address' | 'standing'>): void {
  if (standing !== 'retired') return;
  throw new Failure('fabric.device-retired', 'operator', `the device ${formatIpv6(address)} is retired`, {
    action: 'That has no end; another device can get in with its own chip.',
  });
}

export const deviceBanned = ({ address }: Pick<Device, 'address'>): Failure =>
  new Failure('fabric.device-banned', 'operator', `the device ${formatIpv6(address)} is banned`, {
    action: 'End the ban with "enf-fabric device unban".',
  });

/** Records that a device's tunnel is up. */
export function tunnelUp(db: Database, at: number, address: Uint8Array, from: string): void {
  prepare(db, 'UPDATE device SET tunnel_at = ?, tunnel_from = ?, tunnel_ended = NULL WHERE address = ?').run(
    at,
    from,
    address,
  );
}

/** Records that a device's tunnel ended. */
export function tunnelDown(db: Database, at: number, address: Uint8Array): void {
  prepare(
    db,
    'UPDATE device SET tunnel_ended = ?, node = NULL WHERE tunnel_at IS NOT NULL AND tunnel_ended IS NULL AND address = ?',
  ).run(at, address);
}

/** Tunnels ended at once. */
const ENDED = 200;

/**
 * Ends a part of the tunnels that are recorded as up, those of devices behind row `after` that have none here; `several`: but not those that a node has
 * attached. Returns the last row that was looked at; undefined if there are no more.
 */
export function endOpenTunnels(
  db: Database,
  at: number,
  after: number,
  isConnected: (address: Uint8Array) => boolean,
  several = false,
): number | undefined {
  const open = prepare(
    db,
    `SELECT id, address, node FROM device
     WHERE tunnel_at IS NOT NULL AND tunnel_ended IS NULL AND id > ? ORDER BY id LIMIT ?`,
  ).all(after, ENDED) as (Pick<Row, 'id' | 'address'> & { node: number | null })[];
  const ended = open.filter(({ address, node }) => !(several && node !== null) && !isConnected(address));
  prepare(db, `UPDATE device SET tunnel_ended = ?, node = NULL WHERE id IN ${NUMBERS}`).run(
    at,
    numbers(ended.map(({ id }) => id)),
  );
  return open.length < ENDED ? undefined : open.at(-1)!.id;
}

/** Records what a device has reported. */
export function keepReport(
  db: Database,
  at: number,
  address: Uint8Array,
  { version, failure }: Report,
): void {
  prepare(db, 'UPDATE device SET reported_at = ?, agent_version = ? WHERE address = ?').run(
    at,
    version,
    address,
  );
  if (failure === undefined) return;
  prepare(db, 'UPDATE device SET failure_code = ?, failure_at = ? WHERE address = ?').run(
    failure.code,
    Math.max(0, at - failure.seconds * 1_000),
    address,
  );
}

/** A pseudonym as the audit trail names it: its first 20 hex digits behind the 04. */
export function shortPseudonym(pseudonym: Uint8Array): string {
  return toHex(pseudonym.subarray(1, 11));
}
