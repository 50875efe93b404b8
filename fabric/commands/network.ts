import type { Command } from '../../cli/program.ts';
import { table, timeText } from '../../cli/table.ts';
import { formatIpv6, formatPrefix } from '../../protocol/ipv6.ts';
import { hostAddress } from '../registry/address.ts';
import type { Network } from '../registry/records.ts';
import { parseNetwork } from '../registry/sqlite/networks.ts';
import { DATA, nudge, withRegistry } from './context.ts';

const json = (network: Network): Record<string, unknown> => ({
  prefix: formatPrefix(network.prefix),
  name: network.name,
  host: formatIpv6(hostAddress(network.prefix.address)),
  created: new Date(network.created).toISOString(),
});

const networkAdd: Command = {
  name: 'network add',
  summary: 'Adds a /64 from which devices get their addresses; this host is ::1 in it.',
  arguments: '<prefix/64>',
  options: [{ name: 'name', value: 'TEXT', help: 'what people call it', default: '' }, DATA],
  examples: ['enf-fabric network add fd00:8f80:8000:1::/64 --name plant'],
  async run(invocation) {
    const prefix = parseNetwork(invocation.positionals[0]!);
    const added = await withRegistry(invocation, (registry) =>
      registry.addNetwork(prefix, invocation.option('name') ?? ''),
    );
    const effect = await nudge(invocation);
    invocation.print(
      json(added),
      () => `Network ${formatPrefix(prefix)} added (${effect}); next: enf-fabric group add`,
    );
    return undefined;
  },
};

const networkList: Command = {
  name: 'network list',
  summary: 'Lists the networks.',
  options: [DATA],
  examples: ['enf-fabric network list --json'],
  async run(invocation) {
    const networks = await withRegistry(invocation, (registry) => registry.networks());
    invocation.print(networks.map(json), () =>
      table(
        ['PREFIX', 'NAME', 'THIS HOST', 'CREATED'],
        networks.map((each) => [
          formatPrefix(each.prefix),
          each.name,
          formatIpv6(hostAddress(each.prefix.address)),
          timeText(each.created),
        ]),
        'No networks yet; add one with "enf-fabric network add".',
      ),
    );
    return undefined;
  },
};

export const networkCommands: readonly Command[] = [networkAdd, networkList];
