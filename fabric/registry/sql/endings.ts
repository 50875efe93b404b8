import { randomBytes } from 'node:crypto';
import { toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../../protocol/ipv6.ts';
import type { Scope } from '../../access/scope.ts';
import type { Act, Device } from '../records.ts';
import { endAlarmsOfGroup } from './alarms/alarms.ts';
import { type Database, prepare } from './base/statements.ts';
import { cityId } from './counts/cities.ts';
import { endDelegation, endGroupGrant, endPool } from './inventory/delegations.ts';
import { deviceBanned, requireDevice, requireInUse, tunnelDown } from './inventory/devices.ts';
import { requireGroup } from './inventory/groups.ts';
import { groupOwner } from './inventory/handshakes.ts';
import { requireNetwork } from './inventory/networks.ts';
import { dropRoster, findRoster } from './roster/rosters.ts';
import { removeRateOfGroup, removeRatesOf } from './traffic/rates.ts';
import { removeRulesNaming, removeRulesOf } from './traffic/rules.ts';
import { appendAudit } from './trail/audit.ts';
import { recordChange } from './trail/changes.ts';

/** What ends for good: networks and groups that are empty, and devices, whose addresses nobody gets again. */

/** @throws Failure `fabric.unknown-network`, `fabric.network-not-empty` */
export function removeNetwork(db: Database, scope: Scope, act: Act, prefix: Prefix): void {
  const known = requireNetwork(db, scope, prefix);
  if (prepare(db, 'SELECT 1 FROM grp WHERE network = ? LIMIT 1').get(known.id) !== undefined) {
    throw new Failure(
      'fabric.network-not-empty',
      'operator',
      `the network ${formatPrefix(prefix)} has groups`,
      { action: 'Remove its groups first, see "enf-fabric group list"; a group that has devices stays.' },
    );
  }
  endPool(db, known.id);
  const rules = removeRulesOf(db, known.id) + removeRulesNaming(db, 'network', prefix.address);
  removeRatesOf(db, known.id);
  prepare(db, 'DELETE FROM network WHERE id = ?').run(known.id);
  recordChange(db, 'network', prefix.address);
  appendAudit(db, {
    ...act,
    owner: known.owner,
    action: 'network.remove',
    subject: formatPrefix(prefix),
    detail: { name: known.name, ...(rules > 0 && { rules }) },
  });
}

/** @throws Failure `fabric.unknown-group`, `fabric.group-not-empty` */
export function removeGroup(db: Database, scope: Scope, act: Act, gid: Uint8Array): void {
  const known = requireGroup(db, scope, gid);
  if (prepare(db, 'SELECT 1 FROM device WHERE gid = ? LIMIT 1').get(gid) !== undefined) {
    throw new Failure(
      'fabric.group-not-empty',
      'operator',
      `the group "${known.name}" has devices, whose addresses stay theirs`,
      { action: 'Suspend it with "enf-fabric group suspend": then none of its devices gets in.' },
    );
  }
  const rules = removeRulesNaming(db, 'group', gid);
  removeRateOfGroup(db, gid);
  const roster = findRoster(db, gid);
  if (roster !== undefined) dropRoster(db, roster.id);
  endGroupGrant(db, gid);
  prepare(db, 'DELETE FROM group_size WHERE gid = ?').run(gid);
  prepare(db, 'DELETE FROM grp WHERE gid = ?').run(gid);
  recordChange(db, 'group', gid);
  appendAudit(db, {
    ...act,
    owner: known.owner,
    action: 'group.remove',
    subject: toHex(gid),
    detail: { name: known.name, network: formatPrefix(known.network), ...(rules > 0 && { rules }) },
  });
  endAlarmsOfGroup(db, act.at, known.owner, toHex(gid));
}

/**
 * Refuses a device for ever; its address stays reserved, its name is free again. False if it was retired already. `asked`: who wanted that, if
 * it was not the actor.
 * @throws Failure `fabric.unknown-device`
 */
export function retireDevice(
  db: Database,
  scope: Scope,
  act: Act,
  address: Uint8Array,
  asked?: 'device',
): boolean {
  const known = requireDevice(db, scope, address);
  if (known.standing === 'retired') return false;
  end(db, act.at, known, undefined);
  appendAudit(db, {
    ...act,
    owner: groupOwner(db, known.gid),
    action: 'device.retire',
    subject: formatIpv6(address),
    detail: {
      before: known.standing,
      ...(known.name !== undefined && { name: known.name }),
      ...(asked !== undefined && { asked }),
    },
  });
  return true;
}

const end = (db: Database, at: number, { address }: Device, movedTo: Uint8Array | undefined): void => {
  prepare(
    db,
    'UPDATE device SET retired = ?, moved_to = ?, banned = 0, evicted = 0, name = NULL WHERE address = ?',
  ).run(at, movedTo ?? null, address);
  endDelegation(db, address);
  recordChange(db, 'device', address);
};

/**
 * The chip of the device at `to` takes over the address `from`, with its name and note; the chip that had it is retired, and has
 * the address that is given up. Whoever connects with the identity of that one is told to provision again, and gets the other.
 * @throws Failure `fabric.unknown-device`, `fabric.same-device`, `fabric.other-network`, `pki.no-chip`, `fabric.device-retired`, `fabric.device-banned`
 */
export function replaceDevice(db: Database, scope: Scope, act: Act, from: Uint8Array, to: Uint8Array): void {
  const [old, fresh] = [requireDevice(db, scope, from), requireDevice(db, scope, to)];
  requireReplaceable(old, fresh);
  for (const { address } of [old, fresh]) tunnelDown(db, act.at, address);
  // Before they change groups, which count them: the one begins anew, the other is retired.
  prepare(db, 'UPDATE device SET banned = 0, evicted = 0 WHERE address IN (?, ?)').run(from, to);
  const setChip = prepare(
    db,
    `UPDATE device SET gid = ?, pseudonym = ?, longterm_key = ?, handshake_at = ?, handshake_from = ?, country = ?, place = ?
     WHERE address = ?`,
  );
  const give = (address: Uint8Array, chip: Device): void => {
    const { gid, pseudonym, handshake, country = null } = chip;
    const place = cityId(db, chip.city);
    setChip.run(gid, pseudonym, fresh.longtermKey, handshake.at, handshake.from, country, place, address);
  };
  // No two rows may have one chip, not even for a moment.
  prepare(db, 'UPDATE device SET pseudonym = ? WHERE address = ?').run(randomBytes(65), from);
  give(to, old);
  give(from, fresh);
  recordChange(db, 'device', from);
  end(db, act.at, fresh, from);
  appendAudit(db, {
    ...act,
    owner: groupOwner(db, fresh.gid),
    action: 'device.replace',
    subject: formatIpv6(from),
    detail: { by: formatIpv6(to), before: old.standing, gid: toHex(fresh.gid) },
  });
}

function requireReplaceable(old: Device, fresh: Device): void {
  const [from, to] = [formatIpv6(old.address), formatIpv6(fresh.address)];
  if (from === to) {
    throw new Failure('fabric.same-device', 'operator', `both addresses are ${from}`, {
      action: 'Give the device that is replaced, and then the new one.',
    });
  }
  if (formatPrefix(old.network) !== formatPrefix(fresh.network)) {
    throw new Failure('fabric.other-network', 'operator', `${from} is in another network than ${to}`, {
      action: 'Use a device of the same network: addresses cannot leave theirs.',
    });
  }
  if (old.kind !== 'tpm' || fresh.kind !== 'tpm') {
    const { kind } = old.kind !== 'tpm' ? old : fresh;
    throw new Failure(
      'pki.no-chip',
      'operator',
      `${old.kind !== 'tpm' ? from : to} has a ${kind === 'pki' ? 'certificate' : 'registered key'}, and no chip`,
      {
        action:
          kind === 'pki'
            ? 'Give the new machine a certificate with the address of the old one.'
            : 'Register the key of the new machine for the address of the old one.',
      },
    );
  }
  for (const device of [old, fresh]) requireInUse(device);
  if (fresh.standing === 'banned') throw deviceBanned(fresh);
}
