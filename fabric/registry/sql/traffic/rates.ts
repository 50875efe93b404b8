import { Failure } from '../../../../protocol/failure.ts';
import { formatPrefix, matches, type Prefix } from '../../../../protocol/ipv6.ts';
import type { Scope } from '../../../access/scope.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import {
  changedRates,
  isBoundless,
  MOST_RATES,
  MOST_RATES_OF_OWNER,
  RATE_FIELDS,
  type RateLimit,
  type RateParty,
  type Rates,
} from '../../rates.ts';
import type { Act, Device } from '../../records.ts';
import { inScope } from '../base/owned.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { findDevice } from '../inventory/devices.ts';
import { findGroup } from '../inventory/groups.ts';
import { requireNetwork } from '../inventory/networks.ts';
import { appendAudit } from '../trail/audit.ts';
import { recordChange } from '../trail/changes.ts';
import { textOf } from './rules.ts';

/** As the table has them: those of more devices come first. */
const KINDS = ['max', 'any', 'group', 'device'] as const;
/** Numbers of limits are below it, so that with that of the kind they stand in one cursor. */
const KIND_STEP = 10 ** 12;
const PLACE = `rate_limit.kind * ${KIND_STEP} + rate_limit.id`;

const SELECT = `
  SELECT rate_limit.*, ${PLACE} AS place, network.prefix, grp.name AS group_name, device.name AS device_name
  FROM rate_limit JOIN network ON network.id = rate_limit.network
    LEFT JOIN grp ON rate_limit.kind = 2 AND grp.gid = rate_limit.key
    LEFT JOIN device ON rate_limit.kind = 3 AND device.address = rate_limit.key`;

interface Row {
  id: number;
  kind: number;
  key: Uint8Array;
  place: number;
  prefix: Uint8Array;
  packets_in: number | null;
  bytes_in: number | null;
  packets_out: number | null;
  bytes_out: number | null;
  changed: number;
  group_name: string | null;
  device_name: string | null;
}

function limitOf(row: Row): RateLimit {
  const network: Prefix = { address: bytes(row.prefix), length: 64 };
  const rates = { in: {}, out: {} } as Record<'in' | 'out', Record<string, number>>;
  for (const [direction, what] of RATE_FIELDS) {
    const value = row[`${what}_${direction}`];
    if (value !== null) rates[direction][what] = value;
  }
  return { network, devices: partyOf(row, network), rates, changed: row.changed };
}

function partyOf({ kind: number, key, group_name, device_name }: Row, network: Prefix): RateParty {
  const kind = KINDS[number]!;
  if (kind === 'group')
    return { kind, gid: bytes(key), network, ...(group_name !== null && { name: group_name }) };
  if (kind === 'device')
    return { kind, address: bytes(key), ...(device_name !== null && { name: device_name }) };
  return { kind };
}

const NO_KEY = new Uint8Array(0);
const keyOf = (party: RateParty): Uint8Array =>
  party.kind === 'group' ? party.gid : party.kind === 'device' ? party.address : NO_KEY;

/** A page of the limits of a network, those of more devices first; none if it is not in the scope. */
export function listRates(db: Database, scope: Scope, network: Prefix, page: PageRequest): Page<RateLimit> {
  const own = inScope(scope, 'network.owner');
  const after = parseNumberCursor('limits', page.after) ?? -1;
  const rows = prepare(
    db,
    `${SELECT} WHERE network.prefix = ? AND ${own.sql} AND ${PLACE} > ? ORDER BY place LIMIT ?`,
  ).all(network.address, ...own.values, after, page.limit + 1) as Row[];
  const { rows: shown, next } = pageOf('limits', page, rows, ({ place }) => place);
  return { rows: shown.map(limitOf), next };
}

/** Those that say what a device may. */
export function ratesFor(db: Database, { network, gid, address }: Device): readonly RateLimit[] {
  const rows = prepare(
    db,
    `${SELECT} WHERE network.prefix = ? AND rate_limit.key IN (x'', ?, ?) ORDER BY place`,
  ).all(network.address, gid, address) as Row[];
  return rows.map(limitOf);
}

function findRate(db: Database, network: number, party: RateParty): Row | undefined {
  return prepare(
    db,
    `${SELECT} WHERE rate_limit.network = ? AND rate_limit.kind = ? AND rate_limit.key = ?`,
  ).get(network, KINDS.indexOf(party.kind), keyOf(party)) as Row | undefined;
}

/**
 * Changes the values that are given; what then says nothing of all devices is gone. Returns what is so now.
 * @throws Failure `fabric.unknown-network`, `fabric.bad-limit` if it names what is not in the network, `fabric.limit-above-max`, `fabric.too-many-limits`
 */
export function setRate(
  db: Database,
  scope: Scope,
  act: Act,
  network: Prefix,
  party: RateParty,
  change: Rates,
): RateLimit {
  const { id, owner } = requireNetwork(db, scope, network);
  requireNamed(db, owner, network, party);
  if (party.kind !== 'max') requireBelow(db, id, change);
  const known = findRate(db, id, party);
  const before = known === undefined ? { in: {}, out: {} } : limitOf(known).rates;
  const rates = changedRates(before, change);
  const isOfAll = party.kind === 'max' || party.kind === 'any';
  if (isOfAll && isBoundless(rates)) prepare(db, 'DELETE FROM rate_limit WHERE id = ?').run(known?.id ?? 0);
  else {
    if (known === undefined && !isOfAll) requireRoom(db, id, owner);
    prepare(
      db,
      `INSERT INTO rate_limit (network, kind, key, packets_in, bytes_in, packets_out, bytes_out, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (network, kind, key) DO UPDATE SET packets_in = excluded.packets_in, bytes_in = excluded.bytes_in,
         packets_out = excluded.packets_out, bytes_out = excluded.bytes_out, changed = excluded.changed`,
    ).run(
      ...[id, KINDS.indexOf(party.kind), keyOf(party)],
      ...RATE_FIELDS.map(([direction, what]) => rates[direction][what] ?? null),
      act.at,
    );
  }
  const action = party.kind === 'max' ? 'limit.max' : 'limit.set';
  noted(db, act, { owner, network, action, party, rates: change });
  const row = findRate(db, id, party);
  return row === undefined ? { network, devices: party, rates, changed: act.at } : limitOf(row);
}

/** @throws Failure `fabric.unknown-network`, `fabric.unknown-limit` */
export function removeRate(
  db: Database,
  scope: Scope,
  act: Act,
  network: Prefix,
  party: RateParty,
): RateLimit {
  const { id, owner } = requireNetwork(db, scope, network);
  const row = findRate(db, id, party);
  if (row === undefined) {
    throw new Failure(
      'fabric.unknown-limit',
      'operator',
      `${partyText(party)} has no rate limit of its own in ${formatPrefix(network)}`,
      { action: 'See "enf-fabric limit list".' },
    );
  }
  prepare(db, 'DELETE FROM rate_limit WHERE id = ?').run(row.id);
  const limit = limitOf(row);
  noted(db, act, { owner, network, action: 'limit.remove', party, rates: limit.rates });
  return limit;
}

const partyText = (party: RateParty): string => (party.kind === 'max' ? party.kind : textOf(party));

function noted(
  db: Database,
  act: Act,
  {
    owner,
    network,
    action,
    party,
    rates,
  }: { owner: number; network: Prefix; action: string; party: RateParty; rates: Rates },
): void {
  recordChange(db, 'network', network.address);
  const values = RATE_FIELDS.flatMap(([direction, what]) => {
    const value = rates[direction][what];
    return value === undefined ? [] : [[`${what}-${direction}`, value] as const];
  });
  const detail = { devices: partyText(party), ...Object.fromEntries(values) };
  appendAudit(db, { ...act, owner, action, subject: formatPrefix(network), detail });
}

function requireNamed(db: Database, owner: number, network: Prefix, party: RateParty): void {
  const own: Scope = { owner, everything: false };
  if (party.kind === 'max' || party.kind === 'any') return;
  const home =
    party.kind === 'group'
      ? findGroup(db, party.gid, own)?.network
      : findDevice(db, own, party.address)?.network;
  if (home !== undefined && matches(network, home.address)) return;
  throw new Failure(
    'fabric.bad-limit',
    'operator',
    `${textOf(party)} is not in the network ${formatPrefix(network)}`,
    { action: 'Name a group or a device of the network whose limit it is.' },
  );
}

/** No value may be above what the host allows. */
function requireBelow(db: Database, network: number, change: Rates): void {
  const row = findRate(db, network, { kind: 'max' });
  if (row === undefined) return;
  const most = limitOf(row).rates;
  for (const [direction, what] of RATE_FIELDS) {
    const [value, limit] = [change[direction][what] ?? 0, most[direction][what] ?? 0];
    if (limit === 0 || value <= limit) continue;
    throw new Failure(
      'fabric.limit-above-max',
      'operator',
      `${value} ${what} in a second (${direction}): whoever runs the fabric allows ${limit} in this network`,
      { action: 'Give less, or ask whoever runs the fabric.' },
    );
  }
}

function requireRoom(db: Database, network: number, owner: number): void {
  const count = (where: string, id: number): number =>
    prepare(db, `SELECT count(*) FROM rate_limit WHERE kind >= 2 AND ${where}`).pluck().get(id) as number;
  const full =
    count('network = ?', network) >= MOST_RATES
      ? `the network has ${MOST_RATES} rate limits of groups and devices already`
      : count('network IN (SELECT id FROM network WHERE owner = ?)', owner) >= MOST_RATES_OF_OWNER
        ? `there are ${MOST_RATES_OF_OWNER} rate limits of groups and devices in all networks of this owner already`
        : undefined;
  if (full === undefined) return;
  throw new Failure('fabric.too-many-limits', 'operator', full, {
    action: 'Remove some with "enf-fabric limit remove": one of a group stands for those of its devices.',
  });
}

/** Removes the limits of a network that ends. */
export const removeRatesOf = (db: Database, network: number): void =>
  void prepare(db, 'DELETE FROM rate_limit WHERE network = ?').run(network);

/** Removes the limit of a group that ends, in the network where it is. */
export const removeRateOfGroup = (db: Database, gid: Uint8Array): void =>
  void prepare(db, 'DELETE FROM rate_limit WHERE kind = 2 AND key = ?').run(gid);
