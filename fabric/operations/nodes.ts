import type { Node } from '../registry/nodes.ts';
import { text } from './contract/input.ts';
import {
  type Changed,
  type Context,
  isoTime,
  listOperation,
  operation,
  type ReadContext,
  wholeOf,
} from './contract/operation.ts';
import type { DrainingView, NodeView, RemovedNodeView } from './views/nodes.ts';

/* The hosts that serve one registry together. All of this is the host's to do. */

const NODE = { node: text(63) };
interface NodeInput {
  node: string;
}

/** A page of nodes, in the order in which they first joined. */
export const listNodes = listOperation<Node, NodeView>(
  'node-list',
  async (_, page, __, context) => wholeOf(context).nodes(page),
  () => nodeView,
);

/** @throws Failure `node.unknown` */
export const showNode = operation<NodeInput, NodeView, ReadContext>(
  'node-show',
  NODE,
  async (context, { node }) => nodeView(await wholeOf(context).node(node)),
);

/** Devices are to leave a node, also once it was started again. @throws Failure `node.unknown` */
export const drainNode = operation<NodeInput, Changed<DrainingView>>(
  'node-drain',
  NODE,
  (context, { node }) => setDraining(context, node, true),
);

/** Devices may stay at a node again. @throws Failure `node.unknown` */
export const resumeNode = operation<NodeInput, Changed<DrainingView>>(
  'node-resume',
  NODE,
  (context, { node }) => setDraining(context, node, false),
);

async function setDraining(
  context: Context,
  name: string,
  draining: boolean,
): Promise<Changed<DrainingView>> {
  const { actor, running } = context;
  const whole = wholeOf(context);
  const changed = await (draining ? whole.drainNode(actor, name) : whole.resumeNode(actor, name));
  const view = { ...nodeView(await whole.node(name)), changed };
  return { view, effect: await running.notify() };
}

/** Forgets a node that does not serve any more. @throws Failure `node.unknown`, `node.serving` */
export const removeNode = operation<NodeInput, RemovedNodeView>(
  'node-remove',
  NODE,
  async (context, { node }) => {
    await wholeOf(context).removeNode(context.actor, node);
    return { name: node };
  },
);

const nodeView = ({ address, started, seen, draining, routesLost, tunnels, ...node }: Node): NodeView => ({
  ...node,
  address: address ?? null,
  tunnels: tunnels ?? null,
  started: isoTime(started),
  seen: isoTime(seen),
  draining: draining === undefined ? null : isoTime(draining),
  routesLost: routesLost === undefined ? null : isoTime(routesLost),
});
