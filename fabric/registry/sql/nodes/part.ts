import { randomBytes } from 'node:crypto';
import type { ChangeFeed } from '../../change-feed.ts';
import type { Duty, Nodes, NodesReader } from '../../nodes.ts';
import type { Act } from '../../records.ts';
import type { CommitQueue } from '../base/commit-queue.ts';
import type { Database } from '../base/statements.ts';
import { endTunnelsOf, hasTunnels } from './attach.ts';
import {
  beat,
  isLeader,
  type Joined,
  joinNode,
  leaveNode,
  leftToSweep,
  listNodes,
  nodeNamed,
  removable,
  removeNode,
  setDraining,
} from './nodes.ts';

interface Parts {
  /** Runs each access to the file. */
  read<T>(work: () => T): T;
  readonly queue: CommitQueue;
  act(actor: string): Act;
  now(): number;
}

/** Nodes, read on this connection. */
export const nodesReader = (
  db: Database,
  { read, now }: { read: Parts['read']; now: () => number },
): NodesReader => ({
  nodes: async (page) => read(() => listNodes(db, now(), page)),
  node: async (name) => read(() => nodeNamed(db, now(), name)),
});

/** The nodes of the registry, and which of them this process is. */
export interface NodesPart {
  readonly part: Nodes;
  /** The number of this node; undefined before it has joined. */
  own(): number | undefined;
}

/**
 * `actor`: who is said to have let a node join; `serves`: what this one serves; `tookForLost` is called when others had to take it for lost, so that what is
 * recorded of its tunnels is to be said anew. `now` is the clock that the nodes have in common.
 */
export function nodesPart(
  db: Database,
  { read, queue, act, now }: Parts,
  {
    feed,
    actor,
    serves,
    tookForLost,
  }: {
    readonly feed: ChangeFeed;
    readonly actor: string;
    readonly serves: readonly Duty[];
    readonly tookForLost: () => void;
  },
): NodesPart {
  let joined: Joined | undefined;

  function requireJoined(): Joined {
    if (joined === undefined) throw new Error('this process has not joined as a node');
    return joined;
  }

  const part: Nodes = {
    ...nodesReader(db, { read, now }),
    async join(node) {
      const run = new Uint8Array(randomBytes(16));
      const before = joined;
      joined = await queue.submit(() => joinNode(db, { at: now(), actor }, node, { serves, run, before }));
      if (before !== undefined) tookForLost();
    },
    async beat(load) {
      const own = requireJoined();
      const found = await queue.submit(() => beat(db, now(), own, load));
      if (found.wasLost) tookForLost();
      return found;
    },
    async leave() {
      const own = requireJoined();
      await queue.submit(() => leaveNode(db, now(), own));
    },
    leads: () => joined === undefined || read(() => isLeader(db, now(), joined!.id)),
    async sweepLost() {
      const own = requireJoined();
      const lost = read(() => leftToSweep(db, now(), own.id).find((id) => hasTunnels(db, id)));
      if (lost === undefined) return false;
      // One that has come back meanwhile says itself which tunnels it has.
      return queue.submit(() => {
        if (leftToSweep(db, now(), own.id).includes(lost)) endTunnelsOf(db, now(), lost, 0);
        return true;
      });
    },
    drainNode: (by, name) => queue.submit(() => setDraining(db, act(by), name, true)),
    resumeNode: (by, name) => queue.submit(() => setDraining(db, act(by), name, false)),
    async removeNode(by, name) {
      while (!(await queue.submit(() => removeNode(db, { ...act(by), at: now() }, name))))
        await queue.submit(() => endTunnelsOf(db, now(), removable(db, now(), name), 0));
    },
    onNodeChange: (listener) =>
      feed.subscribe((change) => (change.kind === 'node' ? listener(change.name) : undefined)),
  };
  return { part, own: () => joined?.id };
}
