import { toHex } from '../../../../protocol/bytes.ts';
import { type Endpoint, LOOKED_UP_AT_ONCE } from '../../admission.ts';
import type { GroupStatus } from '../../records.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { attachedOf, deviceStanding } from './devices.ts';

/** All that the router needs of a device, in one statement: on PostgreSQL each is a round trip in which the router does nothing else. */
const SELECT = `
  SELECT device.address, device.gid, longterm_key, retired, banned, evicted, moved_to, handshake_at, generation, node.name AS node_name,
    grp.status AS group_status, network.prefix AS network, network.delegates, delegation.prefix AS delegated,
    EXISTS (SELECT 1 FROM delegation_grant WHERE receiver IN (device.address, device.gid)) AS granted
  FROM device JOIN grp ON grp.gid = device.gid JOIN network ON network.id = grp.network
    LEFT JOIN node ON node.id = device.node LEFT JOIN delegation ON delegation.address = device.address`;

interface Row {
  address: Uint8Array;
  gid: Uint8Array;
  longterm_key: Uint8Array;
  retired: number | null;
  banned: number;
  evicted: number;
  moved_to: Uint8Array | null;
  handshake_at: number;
  generation: number;
  node_name: string | null;
  group_status: GroupStatus;
  network: Uint8Array;
  delegates: number;
  delegated: Uint8Array | null;
  granted: number;
}

/** For how many addresses there are statements: each is planned once. */
const SIZES = [1, 16, LOOKED_UP_AT_ONCE];

/** The rows in which a column has one of these values, of which there are 1 to `LOOKED_UP_AT_ONCE`. */
function rowsOf(db: Database, column: string, values: readonly Uint8Array[]): Row[] {
  const size = SIZES.find((most) => values.length <= most)!;
  const places = Array.from({ length: size }, () => '?').join(', ');
  const padded = Array.from({ length: size }, (_, i) => values[Math.min(i, values.length - 1)]);
  return prepare(db, `${SELECT} WHERE ${column} IN (${places})`).all(...padded) as Row[];
}

function endpoint(row: Row, restoredAt: number | undefined): Endpoint {
  const { group_status: group, moved_to: movedTo } = row;
  const own = deviceStanding(row.retired, row.banned, row.evicted);
  const standing = own === 'active' && group === 'suspended' ? group : own;
  const outdated = restoredAt !== undefined && row.handshake_at <= restoredAt;
  return {
    ...{ address: bytes(row.address), longtermKey: bytes(row.longterm_key), gid: bytes(row.gid) },
    network: { address: bytes(row.network), length: 64 },
    // The chip that has this identity has another one now, for which it has to come.
    standing: movedTo === null ? standing : 'evicted',
    ...(outdated && { outdated }),
    ...attachedOf(row.generation, row.node_name),
    ...delegatedOf(row),
  };
}

function delegatedOf({ granted, delegated, delegates }: Row): Pick<Endpoint, 'delegated'> {
  if (granted === 1)
    return { delegated: delegated === null ? 'awaited' : { address: bytes(delegated), length: 64 } };
  return delegates === 1 ? { delegated: 'none' } : {};
}

/** Whether it is the first address of a /64, which no device has for itself. */
const isFirst = (address: Uint8Array): boolean => address.subarray(8).every((byte) => byte === 0);

/** The device with this 16-byte address. Keys that are as old as `restoredAt`, or older, are outdated. */
export function endpointOf(
  db: Database,
  address: Uint8Array,
  restoredAt: number | undefined,
): Endpoint | undefined {
  const [row] = rowsOf(db, 'device.address', [address]);
  return row && endpoint(row, restoredAt);
}

/** As `Admission.holders`, with one statement for devices, and one for /64s. */
export function holders(
  db: Database,
  addresses: readonly Uint8Array[],
  restoredAt: number | undefined,
): readonly (Endpoint | undefined)[] {
  if (addresses.length > LOOKED_UP_AT_ONCE)
    throw new Error(`${addresses.length} addresses are looked up at once`);
  const found = new Map<string, Endpoint>();
  const [firsts, own] = [addresses.filter(isFirst), addresses.filter((address) => !isFirst(address))];
  if (own.length > 0)
    for (const row of rowsOf(db, 'device.address', own))
      found.set(toHex(row.address), endpoint(row, restoredAt));
  if (firsts.length > 0)
    for (const row of rowsOf(db, 'delegation.prefix', firsts))
      if (row.granted === 1) found.set(toHex(row.delegated!), endpoint(row, restoredAt));
  return addresses.map((address) => found.get(toHex(address)));
}
