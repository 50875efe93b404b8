import { randomBytes } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { Failure } from '../../../protocol/failure.ts';
import { formatPrefix, matches, type Prefix, parsePrefix } from '../../../protocol/ipv6.ts';
import type { Act, Network } from '../records.ts';
import { appendAudit } from './audit.ts';
import { recordChange } from './changes.ts';
import { bytes } from './database.ts';
import { prepare } from './statements.ts';

const UNICAST: readonly Prefix[] = [parsePrefix('2000::/3'), parsePrefix('fc00::/7')];

/** Parses the prefix of a network: a /64 of global or unique local unicast. @throws Failure `fabric.bad-network`, `ipv6.bad-prefix`, `ipv6.bad-address` */
export function parseNetwork(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix.length !== 64 || !UNICAST.some((range) => matches(range, prefix.address))) {
    throw new Failure(
      'fabric.bad-network',
      'operator',
      `a network is a /64 in 2000::/3 or fc00::/7, got ${formatPrefix(prefix)}`,
      { action: 'Give a prefix such as fd00:8f80:8000:1::/64.' },
    );
  }
  return prefix;
}

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
      `the network ${formatPrefix(prefix)} is there already`,
      {
        action: 'See "enf-fabric network list".',
      },
    );
  }
  recordChange(db, 'network', prefix.address);
  appendAudit(db, { ...act, action: 'network.add', subject: formatPrefix(prefix), detail: { name } });
  return { prefix, name, created: act.at };
}

/** All networks, oldest first. */
export function listNetworks(db: Database): Network[] {
  const rows = prepare(db, 'SELECT prefix, name, created FROM network ORDER BY id').all() as {
    prefix: Uint8Array;
    name: string;
    created: number;
  }[];
  return rows.map((row) => ({ ...row, prefix: { address: bytes(row.prefix), length: 64 } }));
}
