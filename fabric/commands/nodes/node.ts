import type { Command, Invocation } from '../../../cli/program.ts';
import { counted } from '../../../protocol/words.ts';
import { drainNode, listNodes, removeNode, resumeNode, showNode } from '../../operations/nodes.ts';
import type { DrainingView, NodeView } from '../../operations/views/nodes.ts';
import { requireYes, YES } from '../common/confirm.ts';
import { FABRIC, withFabric } from '../common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList, when } from '../common/list.ts';

/** The hosts that serve one registry together. */

const nodeList: Command = {
  name: 'node list',
  summary: 'Lists the nodes: the hosts that serve the registry together, and how they fare.',
  options: [LIMIT, AFTER, ALL, CSV, ...FABRIC],
  examples: ['enf-fabric node list', 'enf-fabric node list --json'],
  async run(invocation) {
    await withFabric(invocation, (fabric) =>
      printList(invocation, fabric, listNodes, {
        header: ['NODE', 'STATE', 'VERSION', 'SERVES', 'TUNNELS', 'LOAD', 'SEEN', 'ADDRESS'],
        cells: ({ name, state, version, serves, tunnels, load, seen, address }) => [
          ...[name, state, version, serves.join(','), tunnels === null ? '-' : String(tunnels)],
          ...[load.toFixed(2), when(seen), address ?? '-'],
        ],
        things: ['node', 'nodes'],
        none: 'No nodes: this fabric serves alone. A host gets a name with "[node] name" in fabric.toml.',
      }),
    );
    return undefined;
  },
};

const nodeShow: Command = {
  name: 'node show',
  summary: 'Shows a node: its state, version, what it serves, tunnels and load.',
  arguments: '<node>',
  options: [...FABRIC],
  examples: ['enf-fabric node show a'],
  async run(invocation) {
    const input = { node: invocation.positionals[0]! };
    const view = await withFabric(invocation, (fabric) => fabric.run(showNode, input));
    invocation.print(view, () => nodeText(view));
    return undefined;
  },
};

const nodeText = ({
  name,
  address,
  version,
  state,
  started,
  seen,
  draining,
  serves,
  routesLost,
  tunnels,
  load,
}: NodeView): string =>
  [
    `Node      ${name}`,
    `State     ${state}${draining === null ? '' : `, draining since ${when(draining)}`}${routesLost === null ? '' : `, routes lost since ${when(routesLost)}`}`,
    `Address   ${address ?? 'not said'}`,
    `Version   ${version}`,
    `Started   ${when(started)}`,
    `Seen      ${when(seen)}`,
    `Serves    ${serves.join(', ')}`,
    ...(tunnels === null ? [] : [`Tunnels   ${tunnels.toLocaleString('en')}`]),
    `Load      ${load.toFixed(2)}`,
  ].join('\n');

const nodeDrain: Command = {
  name: 'node drain',
  summary: 'Has devices leave a node, until it is resumed: before an upgrade of its host, for instance.',
  arguments: '<node>',
  options: [...FABRIC],
  examples: ['enf-fabric node drain a'],
  async run(invocation) {
    const node = invocation.positionals[0]!;
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(drainNode, { node }));
    printDraining(invocation, view, effect, {
      now: `Node ${node} drains: ${leaving(view)}.`,
      before: `Node ${node} drains already.`,
    });
    return undefined;
  },
};

function leaving({ name, tunnels, serves }: DrainingView): string {
  if (tunnels !== null)
    return `devices are to leave it. A moment ago it had ${counted(tunnels, 'tunnel')}, see "enf-fabric node show ${name}"`;
  return serves.includes('identity')
    ? 'others serve handshakes from now on, if there are any that do'
    : 'devices do not come to it anyway';
}

const nodeResume: Command = {
  name: 'node resume',
  summary: 'Lets devices stay at a node again.',
  arguments: '<node>',
  options: [...FABRIC],
  examples: ['enf-fabric node resume a'],
  async run(invocation) {
    const node = invocation.positionals[0]!;
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(resumeNode, { node }));
    printDraining(invocation, view, effect, {
      now: `Node ${node} does not drain any more.`,
      before: `Node ${node} did not drain.`,
    });
    return undefined;
  },
};

const printDraining = (
  invocation: Invocation,
  view: DrainingView,
  effect: string,
  text: { readonly now: string; readonly before: string },
): void =>
  invocation.print({ ...view, effect }, () => (view.changed ? `${text.now} (${effect})` : text.before));

const nodeRemove: Command = {
  name: 'node remove',
  summary: 'Forgets a node that does not serve any more. If its host comes back, it joins anew.',
  arguments: '<node>',
  options: [YES, ...FABRIC],
  examples: ['enf-fabric node remove a'],
  async run(invocation) {
    const node = invocation.positionals[0]!;
    await requireYes(invocation, `This forgets the node ${node}, and since when it drains`);
    const view = await withFabric(invocation, (fabric) => fabric.run(removeNode, { node }));
    invocation.print(view, () => `Node ${view.name} is forgotten.`);
    return undefined;
  },
};

export const nodeCommands: readonly Command[] = [nodeList, nodeShow, nodeDrain, nodeResume, nodeRemove];
