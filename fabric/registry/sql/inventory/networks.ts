import { randomBytes } from 'node:crypto';
import { concat } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { formatPrefix, type Prefix } from '../../../../protocol/ipv6.ts';
import { DEFAULT_OWNER, HOST, type Scope } from '../../../access/scope.ts';
import {
  fittingPage,
  LOOKED_AT,
  type Page,
  type PageRequest,
  pageOf,
  parseNumberCursor,
} from '../../pages.ts';
import { type Act, type Network, parseNetwork, type TextFilter, textKey, writingsOf } from '../../records.ts';
import { inScope } from '../base/owned.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { requireActive, requireLent, requireOutsidePools } from '../people/owners.ts';
import { appendAudit } from '../trail/audit.ts';
import { recordChange } from '../trail/changes.ts';
import { unknownNetwork } from './groups.ts';

/** What people call a network, and have noted of it. */
export interface Named {
  readonly name: string;
  readonly note?: string | undefined;
}

/**
 * Adds a network with a fresh key for its interface identifiers; the host's are the first owner's.
 * @throws Failure `fabric.network-exists`, `fabric.prefix-not-lent`, `fabric.prefix-in-use`, `fabric.unknown-owner`
 */
export function addNetwork(
  db: Database,
  scope: Scope,
  act: Act,
  prefix: Prefix,
  { name, note = '' }: Named,
): Network {
  const owner = scope.owner === HOST ? DEFAULT_OWNER : scope.owner;
  const { name: ownerName } = requireActive(db, owner);
  requireLent(db, owner, prefix);
  requireOutsidePools(db, prefix);
  const added = prepare(
    db,
    `INSERT INTO network (prefix, name, key, created, owner, note) VALUES (?, ?, ?, ?, ?, nullif(?, '')) ON CONFLICT DO NOTHING`,
  ).run(prefix.address, name, randomBytes(32), act.at, owner, note);
  if (added.changes === 0) {
    throw new Failure(
      'fabric.network-exists',
      'operator',
      `the network ${formatPrefix(prefix)} exists already`,
      {
        action: 'See "enf-fabric network list".',
      },
    );
  }
  recordChange(db, 'network', prefix.address);
  const noted = note === '' ? {} : { note };
  appendAudit(db, {
    ...act,
    owner,
    action: 'network.add',
    subject: formatPrefix(prefix),
    detail: { name, ...noted },
  });
  return { prefix, name, ...noted, owner: ownerName, residentOnly: false, created: act.at };
}

/** The network with this prefix, or of this name. @throws Failure `fabric.unknown-network`, `fabric.ambiguous-network`, `fabric.bad-network`, `ipv6.bad-prefix` */
export function networkNamed(db: Database, scope: Scope, text: string): Prefix {
  if (text.includes(':')) {
    const prefix = parseNetwork(text);
    requireNetwork(db, scope, prefix);
    return prefix;
  }
  const own = inScope(scope);
  const [only, another] = prepare(
    db,
    `SELECT prefix FROM network WHERE name IN (?, ?, ?) AND ${own.sql} LIMIT 2`,
  ).all(...writingsOf(text), ...own.values) as {
    prefix: Uint8Array;
  }[];
  if (only === undefined) {
    throw new Failure('fabric.unknown-network', 'operator', `no network is called ${JSON.stringify(text)}`, {
      action: 'See "enf-fabric network list", or give a prefix such as fd00:8f80:8000:1::/64.',
    });
  }
  if (another === undefined) return { address: bytes(only.prefix), length: 64 };
  throw new Failure(
    'fabric.ambiguous-network',
    'operator',
    `several networks are called ${JSON.stringify(text)}`,
    {
      action: 'Give the prefix of the one that is meant.',
    },
  );
}

/** Its note stays unless one is given. @throws Failure `fabric.unknown-network` */
export function renameNetwork(
  db: Database,
  scope: Scope,
  act: Act,
  prefix: Prefix,
  { name, note }: Named,
): void {
  const { id, owner } = requireNetwork(db, scope, prefix);
  prepare(db, "UPDATE network SET name = ?, note = nullif(coalesce(?, note), '') WHERE id = ?").run(
    name,
    note ?? null,
    id,
  );
  recordChange(db, 'network', prefix.address);
  appendAudit(db, {
    ...act,
    owner,
    action: 'network.rename',
    subject: formatPrefix(prefix),
    detail: { name, ...(note !== undefined && { note }) },
  });
}

/** Without `zone` its devices have no names in DNS any more. @throws Failure `fabric.unknown-network` */
export function setZone(
  db: Database,
  scope: Scope,
  act: Act,
  prefix: Prefix,
  zone: string | undefined,
): void {
  const { id, owner } = requireNetwork(db, scope, prefix);
  prepare(db, 'UPDATE network SET zone = ? WHERE id = ?').run(zone ?? null, id);
  recordChange(db, 'network', prefix.address);
  appendAudit(db, {
    ...act,
    owner,
    action: 'network.zone',
    subject: formatPrefix(prefix),
    detail: { zone: zone ?? null },
  });
}

/** See `OwnedRegistry`. @throws Failure `fabric.unknown-network` */
export function setResidentOnly(
  db: Database,
  scope: Scope,
  act: Act,
  prefix: Prefix,
  residentOnly: boolean,
): void {
  const { id, owner } = requireNetwork(db, scope, prefix);
  prepare(db, 'UPDATE network SET resident = ? WHERE id = ?').run(residentOnly ? 1 : 0, id);
  recordChange(db, 'network', prefix.address);
  appendAudit(db, {
    ...act,
    owner,
    action: 'network.resident',
    subject: formatPrefix(prefix),
    detail: { required: residentOnly },
  });
}

/** @throws Failure `fabric.unknown-network` */
export function requireNetwork(
  db: Database,
  scope: Scope,
  prefix: Prefix,
): { readonly id: number; readonly name: string; readonly owner: number } {
  const own = inScope(scope);
  const known = prepare(db, `SELECT id, name, owner FROM network WHERE prefix = ? AND ${own.sql}`).get(
    prefix.address,
    ...own.values,
  );
  if (known === undefined) throw unknownNetwork(prefix);
  return known as { id: number; name: string; owner: number };
}

/** True if the address (16 bytes) lies in one of the networks. */
export function hasNetwork(db: Database, address: Uint8Array): boolean {
  const prefix = concat(address.subarray(0, 8), new Uint8Array(8));
  return prepare(db, 'SELECT 1 FROM network WHERE prefix = ?').get(prefix) !== undefined;
}

interface Row {
  id: number;
  prefix: Uint8Array;
  name: string;
  owner: string;
  zone: string | null;
  note: string | null;
  resident: number;
  created: number;
  pool: Uint8Array | null;
  pool_length: number | null;
}

/** A page of networks, oldest first. */
export function listNetworks(
  db: Database,
  scope: Scope,
  page: PageRequest,
  { text }: TextFilter = {},
): Page<Network> {
  const own = inScope(scope, 'network.owner');
  const after = parseNumberCursor('networks', page.after) ?? 0;
  const rows = prepare(
    db,
    `SELECT network.id, network.prefix, network.name, network.zone, network.note, resident, network.created, owner.name AS owner,
       pool.prefix AS pool, pool.length AS pool_length
     FROM network JOIN owner ON owner.id = network.owner LEFT JOIN pool ON pool.network = network.id WHERE ${own.sql} AND network.id > ? ORDER BY network.id LIMIT ?`,
  ).all(...own.values, after, text === undefined ? page.limit + 1 : LOOKED_AT) as Row[];
  const keyOf = (row: Row): number => row.id;
  const { rows: shown, next } =
    text === undefined
      ? pageOf('networks', page, rows, keyOf)
      : fittingPage('networks', page, rows, { fits: (row) => fits(network(row), text), keyOf });
  return { rows: shown.map(network), next };
}

const network = ({
  prefix,
  name,
  owner,
  zone,
  note,
  resident,
  created,
  pool,
  pool_length,
}: Row): Network => ({
  prefix: { address: bytes(prefix), length: 64 },
  name,
  owner,
  ...(zone !== null && { zone }),
  ...(note !== null && { note }),
  residentOnly: resident === 1,
  ...(pool !== null && { pool: { address: bytes(pool), length: pool_length! } }),
  created,
});

const fits = ({ name, prefix }: Network, text: string): boolean =>
  textKey(name).includes(text) || formatPrefix(prefix).includes(text);
