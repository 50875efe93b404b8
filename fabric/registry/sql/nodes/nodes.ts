import { ascii, equal } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { HOST } from '../../../access/scope.ts';
import {
  type Beat,
  DUTIES,
  type Duty,
  LOST_MS,
  MOST_NODES,
  type NewNode,
  type Node,
  type NodeLoad,
  unknownNode,
} from '../../nodes.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import type { Act } from '../../records.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { appendAudit } from '../trail/audit.ts';
import { recordChange } from '../trail/changes.ts';

interface Row {
  id: number;
  name: string;
  address: string | null;
  version: string;
  /** Words of `DUTIES`, with commas. */
  serves: string;
  installation: Uint8Array;
  started: number;
  seen: number;
  stopped: number | null;
  draining: number | null;
  tunnels: number;
  load: number;
  routes_lost: number | null;
}

/** What a process is on the registry: the row of its node, and the 16 bytes by which no other process has it. */
export interface Joined {
  readonly id: number;
  readonly run: Uint8Array;
  /** By the clock that all nodes have in common. */
  readonly started: number;
}

type Alive = Pick<Row, 'seen' | 'stopped'>;

const servedBy = ({ serves }: Pick<Row, 'serves'>): readonly Duty[] => {
  const words = serves.split(',');
  return DUTIES.filter((duty) => words.includes(duty));
};

/** It serves, as far as can be known. A clock that was wrong may have seen it in the future. */
const isUp = ({ seen, stopped }: Alive, at: number): boolean =>
  stopped === null && Math.abs(at - seen) < LOST_MS;

function node(row: Row, at: number): Node {
  const { name, address, version, started, seen, stopped, draining, tunnels, load, routes_lost } = row;
  const up = draining !== null ? 'draining' : routes_lost !== null ? 'routes-lost' : 'serving';
  const serves = servedBy(row);
  return {
    ...{ name, version, serves, started, seen, load },
    ...(serves.includes('tunnels') && { tunnels }),
    ...(address !== null && { address }),
    state: isUp(row, at) ? up : stopped === null ? 'lost' : 'stopped',
    ...(draining !== null && { draining }),
    ...(routes_lost !== null && { routesLost: routes_lost }),
  };
}

/** A page of nodes in the order in which they first joined. */
export function listNodes(db: Database, at: number, page: PageRequest): Page<Node> {
  const after = parseNumberCursor('nodes', page.after) ?? 0;
  const rows = prepare(db, 'SELECT * FROM node WHERE id > ? ORDER BY id LIMIT ?').all(
    after,
    page.limit + 1,
  ) as Row[];
  const { rows: shown, next } = pageOf('nodes', page, rows, ({ id }) => id);
  return { rows: shown.map((row) => node(row, at)), next };
}

/** @throws Failure `node.unknown` */
export const nodeNamed = (db: Database, at: number, name: string): Node => node(requireNode(db, name), at);

/** The number of the node of this name. @throws Failure `node.unknown` */
export const nodeNumber = (db: Database, name: string): number => requireNode(db, name).id;

const findNode = (db: Database, name: string): Row | undefined =>
  prepare(db, 'SELECT * FROM node WHERE name = ?').get(name) as Row | undefined;

function requireNode(db: Database, name: string): Row {
  const row = findNode(db, name);
  if (row === undefined) throw unknownNode(name);
  return row;
}

const changed = (db: Database, name: string): void => recordChange(db, 'node', ascii(name));

/**
 * Makes a process the node of a name. The former process of the same installation has ended: also if this one had the name `before` and the registry has
 * lost that, in a failover. One that has begun later has taken the name.
 * @throws Failure `node.name-in-use`, `node.too-many`
 */
export function joinNode(
  db: Database,
  { at, actor }: Act,
  joining: NewNode,
  { serves, run, before }: { serves: readonly Duty[]; run: Uint8Array; before: Joined | undefined },
): Joined {
  const { name, version, installation } = joining;
  const address = joining.address ?? null;
  const known = findNode(db, name);
  if (known === undefined) {
    requireRoom(db);
    appendAudit(db, { at, actor, owner: HOST, action: 'node.join', subject: name, detail: { version } });
  } else {
    const isFormer = before === undefined || known.started < before.started;
    const succeeds = isFormer && equal(bytes(known.installation), installation);
    if (isUp(known, at) && !succeeds) throw nameInUse(known, at);
  }
  const { id } = prepare(
    db,
    `INSERT INTO node (name, address, version, serves, installation, run, started, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (name) DO UPDATE SET address = excluded.address, version = excluded.version, serves = excluded.serves,
       installation = excluded.installation, run = excluded.run, started = excluded.started, seen = excluded.seen, stopped = NULL, tunnels = 0, load = 0,
       routes_lost = NULL
     RETURNING id`,
  ).get(name, address, version, serves.join(','), installation, run, at, at) as { id: number };
  changed(db, name);
  return { id, run, started: at };
}

function nameInUse({ name, address, seen }: Row, at: number): Failure {
  const seconds = Math.max(0, Math.round((at - seen) / 1_000));
  const where = address === null ? '' : ` at ${address}`;
  return new Failure(
    'node.name-in-use',
    'retry',
    `another fabric serves as the node ${name}${where}: it has said so ${seconds} s ago`,
    {
      action: `Give each node a name of its own ("[node] name" in fabric.toml). If the other one is gone, its name is free ${LOST_MS / 1_000} s after its last word.`,
    },
  );
}

/** @throws Failure `node.too-many` */
function requireRoom(db: Database): void {
  const all = prepare(db, 'SELECT count(*) FROM node').pluck().get() as number;
  if (all < MOST_NODES) return;
  throw new Failure(
    'node.too-many',
    'operator',
    `the registry has ${all} nodes already, the most there may be`,
    {
      action: 'Remove those that are gone for good: "enf-fabric node remove".',
    },
  );
}

/** Writes that a node serves, and how it fares. */
export function beat(db: Database, at: number, { id, run }: Joined, said: NodeLoad): Beat {
  const { tunnels, load, routesLost = null } = said;
  const row = prepare(db, 'SELECT seen FROM node WHERE id = ? AND run = ?').get(id, run) as
    | { seen: number }
    | undefined;
  if (row === undefined) return { replaced: true, wasLost: false };
  prepare(db, 'UPDATE node SET seen = ?, tunnels = ?, load = ?, routes_lost = ? WHERE id = ?').run(
    ...[at, tunnels, load, routesLost, id],
  );
  return { replaced: false, wasLost: !isUp({ seen: row.seen, stopped: null }, at) };
}

/** Writes that a node stops, unless another process has its name. */
export function leaveNode(db: Database, at: number, { id, run }: Joined): void {
  const row = prepare(
    db,
    'UPDATE node SET stopped = ?, tunnels = 0, load = 0, routes_lost = NULL WHERE id = ? AND run = ? RETURNING name',
  ).get(at, id, run) as { name: string } | undefined;
  if (row !== undefined) changed(db, row.name);
}

/** Sets or takes away the mark that devices are to leave a node; false if it was so. @throws Failure `node.unknown` */
export function setDraining(db: Database, act: Act, name: string, draining: boolean): boolean {
  const known = requireNode(db, name);
  if ((known.draining !== null) === draining) return false;
  prepare(db, 'UPDATE node SET draining = ? WHERE id = ?').run(draining ? act.at : null, known.id);
  changed(db, name);
  const action = draining ? 'node.drain' : 'node.resume';
  appendAudit(db, { ...act, owner: HOST, action, subject: name });
  return true;
}

/** The number of a node that may be removed. @throws Failure `node.unknown`, `node.serving` */
export function removable(db: Database, at: number, name: string): number {
  const known = requireNode(db, name);
  if (!isUp(known, at)) return known.id;
  throw new Failure('node.serving', 'operator', `the node ${name} serves`, {
    action: `Stop the fabric there first; one that is gone may be removed ${LOST_MS / 1_000} s after its last word.`,
  });
}

/** Forgets a node where no tunnel is recorded any more; false if some are. @throws Failure `node.unknown`, `node.serving` */
export function removeNode(db: Database, act: Act, name: string): boolean {
  const id = removable(db, act.at, name);
  if (prepare(db, 'SELECT 1 FROM device WHERE node = ? LIMIT 1').get(id) !== undefined) return false;
  prepare(db, 'DELETE FROM node WHERE id = ?').run(id);
  changed(db, name);
  appendAudit(db, { ...act, owner: HOST, action: 'node.remove', subject: name });
  return true;
}

/** Whether this node is the oldest of those that serve the console. */
export const isLeader = (db: Database, at: number, own: number): boolean =>
  serving(db, at, own).leader === own;

function serving(db: Database, at: number, own: number) {
  const rows = prepare(
    db,
    `SELECT id, serves, seen, stopped FROM node ORDER BY id LIMIT ${MOST_NODES}`,
  ).all() as (Alive & Pick<Row, 'id' | 'serves'>)[];
  const leader = rows.find((row) => servedBy(row).includes('console') && (row.id === own || isUp(row, at)));
  return { rows, leader: leader?.id };
}

/** The nodes that do not serve, if this one is the oldest of those that serve the console: so one of them ends what others have left. */
export function leftToSweep(db: Database, at: number, own: number): readonly number[] {
  const { rows, leader } = serving(db, at, own);
  return leader === own ? rows.filter((row) => row.id !== own && !isUp(row, at)).map(({ id }) => id) : [];
}
