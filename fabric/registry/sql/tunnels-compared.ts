import { toHex } from '../../../protocol/bytes.ts';
import type { TunnelHere } from '../tunnels/here.ts';
import { type Database, prepare } from './base/statements.ts';

export interface Comparing {
  /** The number of this node; asked only for tunnels that were attached. */
  readonly node: () => number;
  /** What is kept of an endpoint of a device of this owner. */
  readonly keep: (endpoint: string, owner: number) => string;
}

interface Row {
  id: number;
  address: Uint8Array;
  owner: number;
  generation: number;
  node: number | null;
  tunnel_at: number | null;
  tunnel_ended: number | null;
}

/** Compared at once: PostgreSQL changes as many rows in some 15 ms, while nobody else writes. */
export const COMPARED = 200;

const FIND = `SELECT id, address, owner, generation, node, tunnel_at, tunnel_ended FROM device
  WHERE address IN (SELECT unhex(value) FROM json_each(?))`;

/** A node that was removed meanwhile is none. */
const SAY = `UPDATE device SET tunnel_at = CAST(said.value ->> '$.at' AS BIGINT), tunnel_from = said.value ->> '$.from', tunnel_ended = NULL,
    node = (SELECT node.id FROM node WHERE node.id = CAST(said.value ->> '$.node' AS BIGINT))
  FROM json_each(?) AS said WHERE device.id = CAST(said.value ->> '$.id' AS BIGINT)`;

/** After a failover that has lost a tunnel another node may have got its generation. */
const isItsOwn = (row: Row, generation: number, own: number | null): boolean =>
  row.generation === generation && (row.node === null || row.node === own);

/**
 * Writes that these tunnels are up, at most `COMPARED`, where the registry has it otherwise. Returns the devices of which it knows another tunnel, or
 * nothing: of those nothing is changed.
 */
export function sayTheyAreUp(
  db: Database,
  tunnels: readonly TunnelHere[],
  { node, keep }: Comparing,
): readonly Uint8Array[] {
  if (tunnels.length === 0) return [];
  const names = tunnels.map(({ address }) => toHex(address));
  const rows = prepare(db, FIND).all(JSON.stringify(names)) as Row[];
  const known = new Map(rows.map((row) => [toHex(row.address), row]));
  const elsewhere: Uint8Array[] = [];
  const said: { id: number; at: number; from: string; node: number | null }[] = [];
  for (const [i, { address, at, from, generation }] of tunnels.entries()) {
    const row = known.get(names[i]!);
    const own = generation === undefined ? null : node();
    if (row === undefined || (generation !== undefined && !isItsOwn(row, generation, own))) {
      elsewhere.push(address);
      continue;
    }
    if (row.node === own && row.tunnel_at === at && row.tunnel_ended === null) continue;
    said.push({ id: row.id, at, from: keep(from, row.owner), node: own });
  }
  if (said.length > 0) prepare(db, SAY).run(JSON.stringify(said));
  return elsewhere;
}
