import { toHex } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { formatIpv6, formatPrefix, matches, type Prefix } from '../../../../protocol/ipv6.ts';
import { EVERYTHING, type Scope } from '../../../access/scope.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import type { Act } from '../../records.ts';
import {
  MOST_RULES,
  MOST_RULES_OF_OWNER,
  type NewRule,
  type Rule,
  type RuleAction,
  type RuleDevices,
  type RuleDirection,
  type RuleOther,
  type RuleProtocol,
} from '../../rules.ts';
import { inScope } from '../base/owned.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { findDevice } from '../inventory/devices.ts';
import { findGroup } from '../inventory/groups.ts';
import { requireNetwork } from '../inventory/networks.ts';
import { appendAudit } from '../trail/audit.ts';
import { recordChange } from '../trail/changes.ts';

const SELECT = `
  SELECT rule.*, network.prefix, network.owner,
    own_group.name AS own_group_name, own_device.name AS own_device_name,
    other_group.name AS other_group_name, other_device.name AS other_device_name, other_network.name AS other_network_name,
    network_of_group.prefix AS other_group_prefix
  FROM rule JOIN network ON network.id = rule.network
    LEFT JOIN grp AS own_group ON devices_kind = 'group' AND own_group.gid = devices_key
    LEFT JOIN device AS own_device ON devices_kind = 'device' AND own_device.address = devices_key
    LEFT JOIN grp AS other_group ON other_kind = 'group' AND other_group.gid = other_key
    LEFT JOIN network AS network_of_group ON network_of_group.id = other_group.network
    LEFT JOIN device AS other_device ON other_kind = 'device' AND other_device.address = other_key
    LEFT JOIN network AS other_network ON other_kind = 'network' AND other_network.prefix = other_key`;

interface Row {
  id: number;
  network: number;
  owner: number;
  prefix: Uint8Array;
  place: number;
  action: RuleAction;
  direction: RuleDirection;
  devices_kind: RuleDevices['kind'];
  devices_key: Uint8Array | null;
  other_kind: RuleOther['kind'];
  other_key: Uint8Array | null;
  protocol: RuleProtocol;
  first_port: number | null;
  last_port: number | null;
  note: string | null;
  created: number;
  own_group_name: string | null;
  own_device_name: string | null;
  other_group_name: string | null;
  other_group_prefix: Uint8Array | null;
  other_device_name: string | null;
  other_network_name: string | null;
}

const prefixOf = (address: Uint8Array): Prefix => ({ address: bytes(address), length: 64 });

function ruleOf(row: Row): Rule {
  return {
    id: row.id,
    network: prefixOf(row.prefix),
    place: row.place,
    action: row.action,
    direction: row.direction,
    devices: devicesOf(row),
    other: otherOf(row),
    protocol: row.protocol,
    ...(row.first_port !== null && { ports: { first: row.first_port, last: row.last_port! } }),
    ...(row.note !== null && { note: row.note }),
    created: row.created,
  };
}

const called = (name: string | null): { readonly name?: string } => (name === null ? {} : { name });

function devicesOf(row: Row): RuleDevices {
  switch (row.devices_kind) {
    case 'any':
      return { kind: 'any' };
    case 'group': {
      const network = prefixOf(row.prefix);
      return { kind: 'group', gid: bytes(row.devices_key!), network, ...called(row.own_group_name) };
    }
    case 'device':
      return { kind: 'device', address: bytes(row.devices_key!), ...called(row.own_device_name) };
  }
}

function otherOf(row: Row): RuleOther {
  const { other_kind: kind, other_key: key } = row;
  switch (kind) {
    case 'group': {
      const network = prefixOf(row.other_group_prefix ?? row.prefix);
      return { kind, gid: bytes(key!), network, ...called(row.other_group_name) };
    }
    case 'device':
      return { kind, address: bytes(key!), ...called(row.other_device_name) };
    case 'network':
      return { kind, prefix: prefixOf(key!), ...called(row.other_network_name) };
    default:
      return { kind };
  }
}

/** What is stored of an end. */
function keyOf(end: RuleDevices | RuleOther): Uint8Array | null {
  if (end.kind === 'group') return end.gid;
  if (end.kind === 'device') return end.address;
  return end.kind === 'network' ? end.prefix.address : null;
}

/** A page of the rules of a network, in the order in which they are asked; none if it is not in the scope. */
export function listRules(db: Database, scope: Scope, network: Prefix, page: PageRequest): Page<Rule> {
  const own = inScope(scope, 'network.owner');
  const after = parseNumberCursor('rules', page.after) ?? 0;
  const rows = prepare(
    db,
    `${SELECT} WHERE network.prefix = ? AND ${own.sql} AND rule.place > ? ORDER BY rule.place LIMIT ?`,
  ).all(network.address, ...own.values, after, page.limit + 1) as Row[];
  const { rows: shown, next } = pageOf('rules', page, rows, ({ place }) => place);
  return { rows: shown.map(ruleOf), next };
}

/** @throws Failure `fabric.unknown-rule` */
function requireRule(db: Database, scope: Scope, id: number): Row {
  const own = inScope(scope, 'network.owner');
  const row = prepare(db, `${SELECT} WHERE rule.id = ? AND ${own.sql}`).get(id, ...own.values);
  if (row !== undefined) return row as Row;
  throw new Failure('fabric.unknown-rule', 'operator', `there is no rule ${id}`, {
    action: 'See "enf-fabric rule list".',
  });
}

/**
 * Adds a rule at a place, last unless given; those from there on come behind it.
 * @throws Failure `fabric.unknown-network`, `fabric.too-many-rules`, `fabric.bad-rule` if it names what is not in the network, or another owner's
 */
export function addRule(
  db: Database,
  scope: Scope,
  act: Act,
  network: Prefix,
  rule: NewRule,
  place?: number,
): Rule {
  const { id: number, owner } = requireNetwork(db, scope, network);
  const count = sizeOf(db, number);
  requireRoom(db, owner, count);
  requireNamed(db, owner, network, rule);
  const at = Math.min(place ?? count + 1, count + 1);
  prepare(db, 'UPDATE rule SET place = place + 1 WHERE network = ? AND place >= ?').run(number, at);
  const id = prepare(
    db,
    `INSERT INTO rule (network, place, action, direction, devices_kind, devices_key, other_kind, other_key, protocol, first_port, last_port,
       note, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
  )
    .pluck()
    .get(
      number,
      at,
      rule.action,
      rule.direction,
      rule.devices.kind,
      keyOf(rule.devices),
      rule.other.kind,
      keyOf(rule.other),
      rule.protocol,
      rule.ports?.first ?? null,
      rule.ports?.last ?? null,
      rule.note ?? null,
      act.at,
    ) as number;
  const added = ruleOf(requireRule(db, EVERYTHING, id));
  changed(db, act, owner, 'rule.add', added, { place: at, ...detailOf(added) });
  return added;
}

const sizeOf = (db: Database, network: number): number =>
  prepare(db, 'SELECT count(*) FROM rule WHERE network = ?').pluck().get(network) as number;

function requireRoom(db: Database, owner: number, count: number): void {
  const ofOwner = prepare(
    db,
    'SELECT count(*) FROM rule WHERE network IN (SELECT id FROM network WHERE owner = ?)',
  )
    .pluck()
    .get(owner) as number;
  const full =
    count >= MOST_RULES
      ? `the network has ${MOST_RULES} rules already`
      : ofOwner >= MOST_RULES_OF_OWNER
        ? `there are ${MOST_RULES_OF_OWNER} rules in all networks of this owner already`
        : undefined;
  if (full === undefined) return;
  throw new Failure('fabric.too-many-rules', 'operator', full, {
    action: 'Remove some with "enf-fabric rule remove": one rule for a group stands for many for devices.',
  });
}

/** Whose devices a rule is for is in its network, and what is at the other end is of the same owner. */
function requireNamed(db: Database, owner: number, network: Prefix, { devices, other }: NewRule): void {
  const own: Scope = { owner, everything: false };
  const homes = (end: RuleDevices | RuleOther): Prefix | undefined => {
    if (end.kind === 'group') return findGroup(db, end.gid, own)?.network;
    if (end.kind === 'device') return findDevice(db, own, end.address)?.network;
    if (end.kind !== 'network') return network;
    return prepare(db, 'SELECT 1 FROM network WHERE prefix = ? AND owner = ?').get(end.prefix.address, owner)
      ? end.prefix
      : undefined;
  };
  const home = homes(devices);
  if (home === undefined || !matches(network, home.address))
    throw badRule(`${textOf(devices)} is not in the network ${formatPrefix(network)}`);
  if (homes(other) === undefined)
    throw badRule(`${textOf(other)} is not of the owner of ${formatPrefix(network)}`);
}

function badRule(why: string): Failure {
  return new Failure('fabric.bad-rule', 'operator', `the rule cannot be: ${why}`, {
    action: 'A rule is for devices of its network; at the other end it names what is of the same owner.',
  });
}

/** As people write it. */
export function textOf(end: RuleDevices | RuleOther): string {
  if (end.kind === 'group') return `group:${toHex(end.gid)}`;
  if (end.kind === 'device') return `device:${formatIpv6(end.address)}`;
  return end.kind === 'network' ? `network:${formatPrefix(end.prefix)}` : end.kind;
}

/** What the audit trail says of a rule. */
function detailOf(rule: Rule): Record<string, unknown> {
  const { action, direction, devices, other, protocol, ports, note } = rule;
  return {
    network: formatPrefix(rule.network),
    ...{ action, direction, devices: textOf(devices), with: textOf(other), protocol },
    ...(ports !== undefined && {
      ports: ports.first === ports.last ? `${ports.first}` : `${ports.first}-${ports.last}`,
    }),
    ...(note !== undefined && { note }),
  };
}

function changed(
  db: Database,
  act: Act,
  owner: number,
  action: string,
  rule: Rule,
  detail: Record<string, unknown>,
): void {
  recordChange(db, 'network', rule.network.address);
  appendAudit(db, { ...act, owner, action, subject: `rule ${rule.id}`, detail });
}

/** Moves a rule to a place, at most the last one; the others keep their order. False if it was there. @throws Failure `fabric.unknown-rule` */
export function moveRule(
  db: Database,
  scope: Scope,
  act: Act,
  id: number,
  place: number,
): { rule: Rule; changed: boolean } {
  const row = requireRule(db, scope, id);
  const to = Math.min(place, sizeOf(db, row.network));
  const rule = ruleOf(row);
  if (to === row.place) return { rule, changed: false };
  const [from, until, step] = to < row.place ? [to, row.place - 1, 1] : [row.place + 1, to, -1];
  prepare(db, 'UPDATE rule SET place = place + ? WHERE network = ? AND place BETWEEN ? AND ?').run(
    step,
    row.network,
    from,
    until,
  );
  prepare(db, 'UPDATE rule SET place = ? WHERE id = ?').run(to, id);
  const detail = { network: formatPrefix(rule.network), from: row.place, to };
  changed(db, act, row.owner, 'rule.move', rule, detail);
  return { rule: { ...rule, place: to }, changed: true };
}

/** @throws Failure `fabric.unknown-rule` */
export function removeRule(db: Database, scope: Scope, act: Act, id: number): Rule {
  const row = requireRule(db, scope, id);
  const rule = ruleOf(row);
  prepare(db, 'DELETE FROM rule WHERE id = ?').run(id);
  prepare(db, 'UPDATE rule SET place = place - 1 WHERE network = ? AND place > ?').run(
    row.network,
    row.place,
  );
  changed(db, act, row.owner, 'rule.remove', rule, { place: row.place, ...detailOf(rule) });
  return rule;
}

/** Removes the rules of a network that ends; how many there were. */
export const removeRulesOf = (db: Database, network: number): number =>
  prepare(db, 'DELETE FROM rule WHERE network = ?').run(network).changes;

/** Removes the rules that name a network or a group that ends; how many there were. */
export function removeRulesNaming(db: Database, kind: 'network' | 'group', key: Uint8Array): number {
  const networks = prepare(
    db,
    `DELETE FROM rule WHERE (other_kind = ? AND other_key = ?) OR (devices_kind = ? AND devices_key = ?) RETURNING network`,
  )
    .pluck()
    .all(kind, key, kind, key) as number[];
  for (const network of new Set(networks)) {
    prepare(
      db,
      `UPDATE rule SET place = ordered.n FROM (SELECT id, row_number() OVER (ORDER BY place) AS n FROM rule WHERE network = ?) AS ordered
       WHERE ordered.id = rule.id`,
    ).run(network);
    const { prefix } = prepare(db, 'SELECT prefix FROM network WHERE id = ?').get(network) as {
      prefix: Uint8Array;
    };
    recordChange(db, 'network', prefix);
  }
  return networks.length;
}
