import { EVERYTHING } from '../../../access/scope.ts';
import { type Attachment, CLONES_AGAIN_MS, REPLACEMENT_WINDOW_MS } from '../../admission.ts';
import { NUMBERS, numbers } from '../base/owned.ts';
import { type Database, prepare } from '../base/statements.ts';
import { requireDevice } from '../inventory/devices.ts';
import { recordChange } from '../trail/changes.ts';
import { ENTRY, entryOf, markOf, newestIsOf, RECENT, replacementsIn, timeOf } from './recent.ts';

/*
 * Which node carries which device. What is written of a tunnel names its generation: a late word of an older one, perhaps of another node, changes nothing.
 * And its node: another one may have got the same generation after a failover that has lost the tunnel.
 */

/** A node that was removed meanwhile is none. */
const NODE = '(SELECT id FROM node WHERE id = ?)';

/** Agents leave such a node for another one, and end the tunnel here once they have the one there: that replaces it, and means nothing. */
const IS_LEFT =
  'EXISTS (SELECT 1 FROM node WHERE node.id = device.node AND (draining IS NOT NULL OR routes_lost IS NOT NULL))';

/**
 * The tunnel before it has an entry in any case: it may be up since long ago. It counts as up until its end is written, which is late for a device that comes
 * and goes again and again (tunnels/notes.ts). Whoever begins tunnels from one place again and again has one entry: they would push out what came before.
 */
const ATTACH = `UPDATE device SET generation = generation + 1, node = ${NODE}, recent_tunnels = substr(
    CASE WHEN ${newestIsOf('?')} THEN '' ELSE ? || CASE WHEN node IS NULL OR ${IS_LEFT} THEN '.' ELSE '!' END END ||
    CASE WHEN recent_tunnels > ? THEN recent_tunnels ELSE substr(recent_tunnels, 1, ${ENTRY}) END, 1, ${RECENT})
  WHERE address = ? RETURNING generation, recent_tunnels, tunnel_from, clones_told`;

/** Begins the newest tunnel of a device, at a node and from an outer address. @throws Failure `fabric.unknown-device` */
export function attach(
  db: Database,
  at: number,
  { node, address, host }: { readonly node: number; readonly address: Uint8Array; readonly host: string },
): Attachment {
  const mark = markOf(db, address, host);
  const entry = entryOf(at, mark);
  const values = [node, mark, entry, timeOf(at - REPLACEMENT_WINDOW_MS + 1), address];
  const row = prepare(db, ATTACH).get(...values) as
    | { generation: number; recent_tunnels: string; tunnel_from: string | null; clones_told: number | null }
    | undefined;
  if (row !== undefined) {
    recordChange(db, 'device', address);
    const { generation, recent_tunnels: recent, tunnel_from: from, clones_told: told } = row;
    return {
      ...{ generation, replacements: replacementsIn(recent, entry), former: from ?? '' },
      ...(told !== null && { clonesTold: told }),
    };
  }
  requireDevice(db, EVERYTHING, address);
  throw new Error('a device that was found was not changed');
}

/** Writes that clones of a device are told of now; false if they were within the hour. A clock that was wrong may have done it in the future. */
export const tellOfClones = (db: Database, at: number, address: Uint8Array): boolean =>
  prepare(
    db,
    'UPDATE device SET clones_told = ? WHERE address = ? AND (clones_told IS NULL OR abs(clones_told - ?) >= ?)',
  ).run(at, address, at, CLONES_AGAIN_MS).changes > 0;

/** A tunnel that was attached. */
export interface AttachedTunnel {
  readonly address: Uint8Array;
  readonly generation: number;
  /** The number of the node where it ends. */
  readonly node: number;
}

const IS_NEWEST = 'address = ? AND generation = ? AND (node IS NULL OR node = ?)';

/** Records that a tunnel is up, unless a newer one was attached. */
export function attachedUp(
  db: Database,
  { address, generation, node }: AttachedTunnel,
  { at, from }: { readonly at: number; readonly from: string },
): void {
  prepare(
    db,
    `UPDATE device SET tunnel_at = ?, tunnel_from = ?, tunnel_ended = NULL, node = ${NODE} WHERE ${IS_NEWEST}`,
  ).run(at, from, node, address, generation, node);
}

const OVER = `node = NULL, tunnel_ended = CASE WHEN tunnel_at IS NOT NULL AND tunnel_ended IS NULL THEN ? ELSE tunnel_ended END`;

/** Records that a tunnel is over, unless a newer one was attached. */
export function attachedDown(db: Database, at: number, { address, generation, node }: AttachedTunnel): void {
  prepare(db, `UPDATE device SET ${OVER} WHERE ${IS_NEWEST}`).run(at, address, generation, node);
}

/** Tunnels ended at once: PostgreSQL changes as many rows in some 15 ms, while nobody else writes. */
const ENDED = 200;

/**
 * Ends a part of what is recorded as tunnels of a node, those of devices behind row `after` of which nobody says that they are there. Returns the last row
 * that was looked at; undefined if there are no more.
 */
export function endTunnelsOf(
  db: Database,
  at: number,
  node: number,
  after: number,
  isConnected: (address: Uint8Array) => boolean = () => false,
): number | undefined {
  const recorded = prepare(
    db,
    'SELECT id, address FROM device WHERE node = ? AND id > ? ORDER BY id LIMIT ?',
  ).all(node, after, ENDED) as { id: number; address: Uint8Array }[];
  const ended = recorded.filter(({ address }) => !isConnected(address));
  if (ended.length > 0)
    prepare(db, `UPDATE device SET ${OVER} WHERE id IN ${NUMBERS}`).run(
      at,
      numbers(ended.map(({ id }) => id)),
    );
  return recorded.length < ENDED ? undefined : recorded.at(-1)!.id;
}

/** Whether tunnels of a node are recorded. */
export const hasTunnels = (db: Database, node: number): boolean =>
  prepare(db, 'SELECT 1 FROM device WHERE node = ? LIMIT 1').get(node) !== undefined;
