import type { Command } from '../../../cli/program.ts';
import { formatPrefix } from '../../../protocol/ipv6.ts';
import {
  birdConfig,
  parseAddress,
  parseAs,
  parsePeers,
  parseRouterId,
  parseWithin,
  requireOthers,
} from '../../bgp/bird.ts';
import { CONFIG, readConfig } from '../common/settings.ts';

export const bgpConfig: Command = {
  name: 'bgp config',
  summary:
    'Prints the whole configuration of BIRD 2 for this node: it tells the other nodes which devices have their tunnels here, and learns where theirs are.',
  options: [
    {
      name: 'peer',
      value: 'NAME=ADDRESS',
      many: true,
      help: 'another node and its IPv6 address; once for each',
    },
    {
      name: 'router-id',
      value: 'NUMBERS',
      help: 'four numbers in dots that no other node has',
      required: true,
    },
    { name: 'as', value: 'NUMBER', help: 'the autonomous system of all nodes', default: '64512' },
    { name: 'local', value: 'ADDRESS', help: 'the address of this node in its sessions (BIRD chooses)' },
    {
      name: 'within',
      value: 'PREFIX',
      many: true,
      help: 'routes of other nodes are taken to what is in there alone; networks and pools that are added later have to be, too',
    },
    CONFIG,
  ],
  examples: [
    'enf-fabric bgp config --router-id 10.0.0.1 --peer b=fd99::2 --peer c=fd99::3 > /etc/bird/bird.conf',
    'enf-fabric bgp config --router-id 10.0.0.1 --peer b=fd99::2 --within fd00:8f80::/32 > /etc/bird/bird.conf',
  ],
  async run(invocation) {
    const peers = parsePeers(invocation.options('peer'));
    const routerId = parseRouterId(invocation.required('router-id'));
    const as = parseAs(invocation.required('as'));
    const given = invocation.option('local');
    const local = given === undefined ? undefined : parseAddress(given, '--local');
    const within = parseWithin(invocation.options('within'));
    const { routes, node } = await readConfig(invocation);
    requireOthers(peers, { name: node.name, addresses: [node.address, ...(local ? [local] : [])] });
    const { table, protocol } = routes;
    const options = { routerId, as, peers, table, protocol, ...(local !== undefined && { local }) };
    const text = birdConfig({ ...options, ...(within !== undefined && { within }) });
    const kept = within === undefined ? {} : { within: within.map(formatPrefix) };
    invocation.print({ ...options, ...kept, install: routes.install, config: text }, () => text.trimEnd());
    return undefined;
  },
};
