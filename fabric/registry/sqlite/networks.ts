import { randomBytes } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { concat } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatPrefix, type Prefix } from '../../../protocol/ipv6.ts';
import { fittingPage, LOOKED_AT, type Page, type PageRequest, pageOf, parseNumberCursor } from '../pages.ts';
import { type Act, type Network, parseNetwork, type TextFilter, textKey, writingsOf } from '../records.ts';
import { bytes } from './file/database.ts';
import { prepare } from './file/statements.ts';
import { unknownNetwork } from './groups.ts';
import { appendAudit } from './trail/audit.ts';
import { recordChange } from './trail/changes.ts';

/** Adds a network with a fresh key for its interface identifiers. @throws Failure `fabric.network-exists` */
export function addNetwork(db: Database, act: Act, prefix: Prefix, name: string): Network {
  const added = prepare(
    db,
    'INSERT INTO network (prefix, name, key, created) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  ).run(prefix.address, name, randomBytes(32), act.at);
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
  appendAudit(db, { ...act, action: 'network.add', subject: formatPrefix(prefix), detail: { name } });
  return { prefix, name, created: act.at };
}

/** The network with this prefix, or of this name. @throws Failure `fabric.unknown-network`, `fabric.ambiguous-network`, `fabric.bad-network`, `ipv6.bad-prefix` */
export function networkNamed(db: Database, text: string): Prefix {
  if (text.includes(':')) {
    const prefix = parseNetwork(text);
    if (!hasNetwork(db, prefix.address)) throw unknownNetwork(prefix);
    return prefix;
  }
  const [only, another] = prepare(db, 'SELECT prefix FROM network WHERE name IN (?, ?, ?) LIMIT 2').all(
    ...writingsOf(text),
  ) as {
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

/** @throws Failure `fabric.unknown-network` */
export function renameNetwork(db: Database, act: Act, prefix: Prefix, name: string): void {
  const known = prepare(db, 'UPDATE network SET name = ? WHERE prefix = ?').run(name, prefix.address);
  if (known.changes === 0) throw unknownNetwork(prefix);
  recordChange(db, 'network', prefix.address);
  appendAudit(db, { ...act, action: 'network.rename', subject: formatPrefix(prefix), detail: { name } });
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
  created: number;
}

/** A page of networks, oldest first. */
export function listNetworks(db: Database, page: PageRequest, { text }: TextFilter = {}): Page<Network> {
  const after = parseNumberCursor('networks', page.after) ?? 0;
  const rows = prepare(
    db,
    'SELECT id, prefix, name, created FROM network WHERE id > ? ORDER BY id LIMIT ?',
  ).all(after, text === undefined ? page.limit + 1 : LOOKED_AT) as Row[];
  const keyOf = (row: Row): number => row.id;
  const { rows: shown, next } =
    text === undefined
      ? pageOf('networks', page, rows, keyOf)
      : fittingPage('networks', page, rows, { fits: (row) => fits(network(row), text), keyOf });
  return { rows: shown.map(network), next };
}

const network = ({ prefix, name, created }: Row): Network => ({
  prefix: { address: bytes(prefix), length: 64 },
  name,
  created,
});

const fits = ({ name, prefix }: Network, text: string): boolean =>
  textKey(name).includes(text) || formatPrefix(prefix).includes(text);
