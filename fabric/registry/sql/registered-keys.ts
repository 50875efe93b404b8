import { createHash } from 'node:crypto';
import { ascii, concat, equal, toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../../protocol/ipv6.ts';
import { EVERYTHING, type Scope } from '../../access/scope.ts';
import { type Identifier, isReserved } from '../address.ts';
import type { Act, Device } from '../records.ts';
import type { NewKey } from '../registry.ts';
import { bytes, type Database, prepare } from './base/statements.ts';
import { requireWithinLimits } from './counts/limits.ts';
import { deviceBanned, findDevice, requireInUse } from './inventory/devices.ts';
import { findGroup, NO_GROUP_KEY } from './inventory/groups.ts';
import { requireNetwork } from './inventory/networks.ts';
import { requireActive } from './people/owners.ts';
import { requireAnyTaken } from './roster/listed.ts';
import { appendAudit } from './trail/audit.ts';
import { recordChange } from './trail/changes.ts';

/*
 * Devices whose keys their owner has registered, for machines with neither a chip nor a CA. The router knows them as it knows those of chips: the
 * certificate names the address, and holds the key that is registered for it. Those of a network are a group, so that all that is done by group
 * goes for them.
 */

const GROUP_NAME = 'registered keys';
const GROUP_BASENAME = ascii('key');
/** More addresses than this are not taken by chance. */
const MAX_COUNTER = 1_000;

/** @throws Failure see `OwnedRegistry.registerKey` */
export function registerKey(
  db: Database,
  scope: Scope,
  act: Act,
  { network: prefix, address, key }: NewKey,
  identifier: Identifier,
): Device {
  const network = requireNetwork(db, scope, prefix);
  requireActive(db, network.owner);
  const gid = requireKeyGroup(db, act, prefix, network);
  requireAnyTaken(db, { gid, name: GROUP_NAME }, 'nobody says so of a registered key');
  const at = address ?? freeAddress(db, prefix, key, identifier);
  if (isReserved(at.subarray(8))) throw addressTaken(at, "is not a device's");
  const known = findDevice(db, EVERYTHING, at);
  if (known === undefined) add(db, act, { gid, address: at, key, owner: network.owner });
  else if (known.kind !== 'key')
    throw addressTaken(at, `is that of a device with a ${known.kind === 'pki' ? 'certificate' : 'TPM'}`);
  else change(db, act, known, { key, owner: network.owner });
  return findDevice(db, EVERYTHING, at)!;
}

interface Registered {
  readonly gid: Uint8Array;
  readonly address: Uint8Array;
  readonly key: Uint8Array;
  readonly owner: number;
}

function add(db: Database, act: Act, { gid, address, key, owner }: Registered): void {
  requireWithinLimits(db, findGroup(db, gid, EVERYTHING)!, undefined);
  prepare(
    db,
    `INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from, owner)
     VALUES (?, ?, ?, ?, ?, ?, '', ?)`,
  ).run(gid, pseudonymOf(address), address, key, act.at, act.at, owner);
  told(db, act, { address, key, owner }, {});
}

/** The device gets another key, and out of its eviction with that; the same key changes nothing. @throws Failure `fabric.device-banned`, `fabric.device-retired`, `fabric.device-evicted` */
function change(
  db: Database,
  act: Act,
  known: Device,
  { key, owner }: Pick<Registered, 'key' | 'owner'>,
): void {
  const { address, standing } = known;
  requireInUse(known);
  if (standing === 'banned') throw deviceBanned(known);
  if (equal(known.longtermKey, key)) {
    if (standing === 'evicted') throw keyEvicted(address);
    return;
  }
  prepare(db, 'UPDATE device SET longterm_key = ?, evicted = 0, handshake_at = ? WHERE address = ?').run(
    key,
    act.at,
    address,
  );
  told(db, act, { address, key, owner }, { before: fingerprint(known.longtermKey) });
}

function told(
  db: Database,
  act: Act,
  { address, key, owner }: Omit<Registered, 'gid'>,
  more: Readonly<Record<string, string>>,
): void {
  recordChange(db, 'device', address);
  appendAudit(db, {
    ...act,
    owner,
    action: 'device.register',
    subject: formatIpv6(address),
    detail: { key: fingerprint(key), ...more },
  });
}

/** SHA-256 of the 65 bytes. */
const fingerprint = (key: Uint8Array): string => createHash('sha256').update(key).digest('hex');

/** No chip has such a one, and no other device in the group. */
const pseudonymOf = (address: Uint8Array): Uint8Array =>
  concat(new Uint8Array(1), address, new Uint8Array(48));

/** The group of such devices in a network; it is made with the first of them. */
function requireKeyGroup(
  db: Database,
  act: Act,
  prefix: Prefix,
  { id, owner }: { readonly id: number; readonly owner: number },
): Uint8Array {
  const gid = groupIdOf(prefix);
  if (findGroup(db, gid, EVERYTHING) !== undefined) return gid;
  prepare(
    db,
    `INSERT INTO grp (gid, gpk, basename, name, network, status, created, owner, keys) VALUES (?, ?, ?, ?, ?, 'active', ?, ?, 1)`,
  ).run(gid, NO_GROUP_KEY, GROUP_BASENAME, GROUP_NAME, id, act.at, owner);
  recordChange(db, 'group', gid);
  appendAudit(db, {
    ...act,
    owner,
    action: 'group.add',
    subject: toHex(gid),
    detail: { name: GROUP_NAME, network: formatPrefix(prefix) },
  });
  return gid;
}

/** No group of TPMs has such an id: those are hashes of another text. */
const groupIdOf = ({ address }: Prefix): Uint8Array =>
  bytes(createHash('sha256').update('enf registered keys\n').update(address).digest());

/** The address of this key in the network: whoever repeats a request gets the same device. @throws Failure `fabric.network-full` */
function freeAddress(db: Database, prefix: Prefix, key: Uint8Array, identifier: Identifier): Uint8Array {
  const secret = prepare(db, 'SELECT key FROM network WHERE prefix = ?')
    .pluck()
    .get(prefix.address) as Uint8Array;
  for (let counter = 0; counter < MAX_COUNTER; counter++) {
    const id = identifier(secret, key, counter);
    if (isReserved(id)) continue;
    const address = concat(prefix.address.subarray(0, 8), id);
    const known = findDevice(db, EVERYTHING, address);
    if (known === undefined || (known.kind === 'key' && equal(known.longtermKey, key))) return address;
  }
  throw new Failure('fabric.network-full', 'operator', `no free address after ${MAX_COUNTER} attempts`, {
    action: 'Verify the registry with "enf-fabric audit"; this does not happen by chance in a /64.',
  });
}

const keyEvicted = (address: Uint8Array): Failure =>
  new Failure(
    'fabric.device-evicted',
    'operator',
    `the device ${formatIpv6(address)} was evicted with this key`,
    {
      action: 'Make a new key on the machine, and register that for the address.',
    },
  );

const addressTaken = (address: Uint8Array, why: string): Failure =>
  new Failure('fabric.address-taken', 'operator', `the address ${formatIpv6(address)} ${why}`, {
    action: 'Register the key for another address, or let the fabric choose one.',
  });
