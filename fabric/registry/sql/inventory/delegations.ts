import { toHex } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../../../protocol/ipv6.ts';
import { EVERYTHING, type Scope } from '../../../access/scope.ts';
import { type Delegation, nthPrefix, prefixesIn, type Receiver } from '../../delegations.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import type { Act, Device } from '../../records.ts';
import { inScope } from '../base/owned.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { requireFreePool, requireLent } from '../people/owners.ts';
import { appendAudit } from '../trail/audit.ts';
import { recordChange } from '../trail/changes.ts';
import { findDevice, requireDevice, requireInUse } from './devices.ts';
import { requireGroup } from './groups.ts';
import { requireNetwork } from './networks.ts';

/*
 * Prefixes that are delegated to devices: /64s out of the pool of their network. Who gets one is granted to a group or a device; which one it is stays the
 * device's until it is retired, also while nothing is granted, so that nobody else is ever reached at its addresses.
 */

interface PoolRow {
  prefix: Uint8Array;
  length: number;
}

const poolIn = (row: PoolRow): Prefix => ({ address: bytes(row.prefix), length: row.length });

/** The pool of a network; undefined if it has none, or is not in the scope. */
export function findPool(db: Database, scope: Scope, network: Prefix): Prefix | undefined {
  const own = inScope(scope, 'network.owner');
  const row = prepare(
    db,
    `SELECT pool.prefix, pool.length FROM pool JOIN network ON network.id = pool.network
     WHERE network.prefix = ? AND ${own.sql}`,
  ).get(network.address, ...own.values) as PoolRow | undefined;
  return row && poolIn(row);
}

/**
 * Gives a network the pool out of which prefixes are delegated to its devices, in place of the one that it had, or takes that away.
 * @throws Failure `fabric.unknown-network`, `fabric.prefix-not-lent`, `fabric.prefix-in-use`, `fabric.pool-in-use`
 */
export function setPool(
  db: Database,
  scope: Scope,
  act: Act,
  network: Prefix,
  pool: Prefix | undefined,
): void {
  const { id, owner } = requireNetwork(db, scope, network);
  const before = findPool(db, EVERYTHING, network);
  const text = pool === undefined ? null : formatPrefix(pool);
  if ((before === undefined ? null : formatPrefix(before)) === text) return;
  // First whose it is: of what is somebody else's nothing is said but that.
  if (pool !== undefined) requireLent(db, owner, pool);
  if (before !== undefined) {
    if (prepare(db, 'SELECT 1 FROM delegation_grant WHERE network = ? LIMIT 1').get(id) !== undefined)
      throw poolInUse(before);
    prepare(db, 'DELETE FROM delegation WHERE network = ?').run(id);
    prepare(db, 'DELETE FROM pool WHERE network = ?').run(id);
  }
  if (pool !== undefined) {
    requireFreePool(db, owner, pool);
    prepare(db, 'INSERT INTO pool (network, prefix, length) VALUES (?, ?, ?)').run(
      id,
      pool.address,
      pool.length,
    );
    prepare(db, 'UPDATE network SET delegates = 1 WHERE id = ?').run(id);
  }
  recordChange(db, 'network', network.address);
  appendAudit(db, {
    ...act,
    owner,
    action: 'network.pool',
    subject: formatPrefix(network),
    detail: { pool: text },
  });
}

const poolInUse = (pool: Prefix): Failure =>
  new Failure(
    'fabric.pool-in-use',
    'operator',
    `prefixes of ${formatPrefix(pool)} are granted to groups or devices`,
    {
      action:
        'Withdraw them first: "enf-fabric group withdraw" and "enf-fabric device withdraw"; the addresses behind these devices end with that.',
    },
  );

/** The network of a group or device, and whose it is. */
interface Home {
  readonly network: number;
  readonly owner: number;
  readonly key: Uint8Array;
  readonly subject: string;
  readonly pool: Prefix | undefined;
}

function homeOf(db: Database, scope: Scope, receiver: Receiver): Home {
  const known =
    receiver.kind === 'group'
      ? requireGroup(db, scope, receiver.gid)
      : requireDevice(db, scope, receiver.address);
  if (receiver.kind === 'device') requireInUse(known as Device);
  const { id: network, owner } = requireNetwork(db, EVERYTHING, known.network);
  const key = receiver.kind === 'group' ? receiver.gid : receiver.address;
  const subject = receiver.kind === 'group' ? toHex(receiver.gid) : formatIpv6(receiver.address);
  return { network, owner, key, subject, pool: findPool(db, EVERYTHING, known.network) };
}

/**
 * Grants the devices of a group, or one device, a prefix each, or withdraws that; a device gets its prefix with this, those of a group when they next have a
 * tunnel. False if that was so already.
 * @throws Failure `fabric.unknown-group`, `fabric.unknown-device`, `fabric.device-retired`, `fabric.no-pool`, `fabric.pool-full`
 */
export function setGrant(
  db: Database,
  scope: Scope,
  act: Act,
  receiver: Receiver,
  granted: boolean,
): boolean {
  const { network, owner, key, subject, pool } = homeOf(db, scope, receiver);
  if (granted && pool === undefined) throw noPool();
  const { changes } = granted
    ? prepare(
        db,
        'INSERT INTO delegation_grant (receiver, network) VALUES (?, ?) ON CONFLICT DO NOTHING',
      ).run(key, network)
    : prepare(db, 'DELETE FROM delegation_grant WHERE receiver = ?').run(key);
  if (changes === 0) return false;
  const prefix =
    granted && receiver.kind === 'device'
      ? formatPrefix(allot(db, network, pool!, receiver.address))
      : undefined;
  recordChange(db, receiver.kind, key);
  appendAudit(db, {
    ...act,
    owner,
    action: `${receiver.kind}.${granted ? 'delegate' : 'withdraw'}`,
    subject,
    detail: prefix === undefined ? {} : { prefix },
  });
  return true;
}

const noPool = (): Failure =>
  new Failure('fabric.no-pool', 'operator', 'the network has no prefixes to delegate', {
    action: 'Give it some: "enf-fabric network delegate NETWORK fd00:8f80:9000::/48".',
  });

/** Gives a device to which one is granted its prefix, if it has none yet. @throws Failure `fabric.pool-full` */
export function delegate(db: Database, act: Act, address: Uint8Array): void {
  const device = findDevice(db, EVERYTHING, address);
  const pool = device && findPool(db, EVERYTHING, device.network);
  if (device === undefined || pool === undefined || !isGranted(db, device)) return;
  if (prefixKept(db, address) !== undefined) return;
  const { id, owner } = requireNetwork(db, EVERYTHING, device.network);
  const prefix = allot(db, id, pool, address);
  recordChange(db, 'device', address);
  appendAudit(db, {
    ...act,
    owner,
    action: 'device.delegate',
    subject: formatIpv6(address),
    detail: { prefix: formatPrefix(prefix), gid: toHex(device.gid) },
  });
}

/** The prefix that is the device's, which it keeps if it has had one. @throws Failure `fabric.pool-full` */
function allot(db: Database, network: number, pool: Prefix, address: Uint8Array): Prefix {
  const kept = prefixKept(db, address);
  if (kept !== undefined) return kept;
  const number = nextNumber(db, network, prefixesIn(pool));
  if (number === undefined) {
    throw new Failure('fabric.pool-full', 'operator', `every /64 of ${formatPrefix(pool)} is a device's`, {
      action: 'Retire devices that are gone: their prefixes are free then.',
    });
  }
  const prefix = nthPrefix(pool, number);
  prepare(db, 'INSERT INTO delegation (network, number, prefix, address) VALUES (?, ?, ?, ?)').run(
    network,
    number,
    prefix.address,
    address,
  );
  return prefix;
}

/** Behind all that were given, so that what is free again stays unused for as long as possible; then the first one that is free. */
function nextNumber(db: Database, network: number, most: number): number | undefined {
  const last = prepare(db, 'SELECT max(number) FROM delegation WHERE network = ?').pluck().get(network);
  if (last === null) return 0;
  if ((last as number) + 1 < most) return (last as number) + 1;
  if (prepare(db, 'SELECT 1 FROM delegation WHERE network = ? AND number = 0').get(network) === undefined)
    return 0;
  return prepare(
    db,
    `SELECT number + 1 FROM delegation AS before WHERE network = ? AND number + 1 < ? AND NOT EXISTS
       (SELECT 1 FROM delegation WHERE network = before.network AND number = before.number + 1) ORDER BY number LIMIT 1`,
  )
    .pluck()
    .get(network, most) as number | undefined;
}

function prefixKept(db: Database, address: Uint8Array): Prefix | undefined {
  const prefix = prepare(db, 'SELECT prefix FROM delegation WHERE address = ?').pluck().get(address) as
    | Uint8Array
    | undefined;
  return prefix && { address: bytes(prefix), length: 64 };
}

const isGranted = (db: Database, { address, gid }: Pick<Device, 'address' | 'gid'>): boolean =>
  prepare(db, 'SELECT 1 FROM delegation_grant WHERE receiver IN (?, ?)').get(address, gid) !== undefined;

/** Is one granted to the group? */
export const isGroupGranted = (db: Database, gid: Uint8Array): boolean =>
  prepare(db, 'SELECT 1 FROM delegation_grant WHERE receiver = ?').get(gid) !== undefined;

/** The prefix that a device has now, if it has one. */
export const delegatedTo = (db: Database, device: Pick<Device, 'address' | 'gid'>): Prefix | undefined =>
  isGranted(db, device) ? prefixKept(db, device.address) : undefined;

/** The address of the device behind which an address is, if it is in a prefix that is delegated now. */
export function deviceBehind(db: Database, scope: Scope, address: Uint8Array): Uint8Array | undefined {
  const own = inScope(scope, 'device.owner');
  const prefix = address.map((byte, i) => (i < 8 ? byte : 0));
  const found = prepare(
    db,
    `SELECT device.address FROM delegation JOIN device ON device.address = delegation.address
     WHERE prefix = ? AND ${own.sql} AND EXISTS (SELECT 1 FROM delegation_grant WHERE receiver IN (device.address, device.gid))`,
  )
    .pluck()
    .get(prefix, ...own.values) as Uint8Array | undefined;
  return found && bytes(found);
}

interface Row {
  number: number;
  prefix: Uint8Array;
  address: Uint8Array;
  name: string | null;
  granted: number;
}

/** A page of the prefixes of a network's devices, in their order; none if it is not in the scope. */
export function listDelegations(
  db: Database,
  scope: Scope,
  network: Prefix,
  page: PageRequest,
): Page<Delegation> {
  const own = inScope(scope, 'network.owner');
  const after = parseNumberCursor('delegations', page.after) ?? -1;
  const rows = prepare(
    db,
    `SELECT delegation.number, delegation.prefix, delegation.address, device.name,
       EXISTS (SELECT 1 FROM delegation_grant WHERE receiver IN (device.address, device.gid)) AS granted
     FROM delegation JOIN network ON network.id = delegation.network JOIN device ON device.address = delegation.address
     WHERE network.prefix = ? AND ${own.sql} AND number > ? ORDER BY number LIMIT ?`,
  ).all(network.address, ...own.values, after, page.limit + 1) as Row[];
  const { rows: shown, next } = pageOf('delegations', page, rows, ({ number }) => number);
  return { rows: shown.map(delegation), next };
}

const delegation = ({ prefix, address, name, granted }: Row): Delegation => ({
  prefix: { address: bytes(prefix), length: 64 },
  address: bytes(address),
  ...(name !== null && { name }),
  inForce: granted === 1,
});

/** What a device that is retired had is free. */
export function endDelegation(db: Database, address: Uint8Array): void {
  prepare(db, 'DELETE FROM delegation_grant WHERE receiver = ?').run(address);
  prepare(db, 'DELETE FROM delegation WHERE address = ?').run(address);
}

/** Of a group that ends. */
export const endGroupGrant = (db: Database, gid: Uint8Array): void => {
  prepare(db, 'DELETE FROM delegation_grant WHERE receiver = ?').run(gid);
};

/** Of a network that ends: none of its groups is left, and so no grant. */
export function endPool(db: Database, network: number): void {
  prepare(db, 'DELETE FROM delegation WHERE network = ?').run(network);
  prepare(db, 'DELETE FROM pool WHERE network = ?').run(network);
}
