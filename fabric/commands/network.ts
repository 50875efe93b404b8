import type { Command } from '../../cli/program.ts';
import { removeNetwork } from '../operations/endings.ts';
import { addNetwork, listNetworks, renameNetwork } from '../operations/networks.ts';
import { OWNED, withFabric } from './common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList, when } from './common/list.ts';

const networkAdd: Command = {
  name: 'network add',
  summary: 'Adds a /64 from which devices get their addresses; this host is ::1 in it.',
  arguments: '<prefix/64>',
  options: [{ name: 'name', value: 'TEXT', help: 'what people call it', default: '' }, ...OWNED],
  examples: ['enf-fabric network add fd00:8f80:8000:1::/64 --name plant'],
  async run(invocation) {
    const input = { prefix: invocation.positionals[0]!, name: invocation.option('name') ?? '' };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(addNetwork, input));
    invocation.print(view, () => `Network ${view.prefix} added (${effect}); next: enf-fabric group add`);
    return undefined;
  },
};

const networkList: Command = {
  name: 'network list',
  summary: 'Lists the networks.',
  options: [
    { name: 'search', value: 'TEXT', help: 'what their name or prefix has in it' },
    ...[LIMIT, AFTER, ALL, CSV],
    ...OWNED,
  ],
  examples: ['enf-fabric network list --json'],
  async run(invocation) {
    await withFabric(invocation, (fabric) =>
      printList(
        invocation,
        fabric,
        listNetworks,
        {
          header: ['PREFIX', 'NAME', 'THIS HOST', 'CREATED'],
          cells: ({ prefix, name, host, created }) => [prefix, name, host, when(created)],
          things: ['network', 'networks'],
          none: 'No networks yet; add one with "enf-fabric network add".',
        },
        { q: invocation.option('search') },
      ),
    );
    return undefined;
  },
};

const networkRename: Command = {
  name: 'network rename',
  summary: 'Gives a network another name.',
  arguments: '<prefix/64> <name>',
  options: [...OWNED],
  examples: ['enf-fabric network rename fd00:8f80:8000:1::/64 "North plant"'],
  async run(invocation) {
    const [prefix, name] = invocation.positionals as [string, string];
    const { view } = await withFabric(invocation, (fabric) => fabric.run(renameNetwork, { prefix, name }));
    invocation.print(view, () => `Network ${view.prefix} is called "${view.name}".`);
    return undefined;
  },
};

const networkRemove: Command = {
  name: 'network remove',
  summary: 'Removes a network that has no groups.',
  arguments: '<prefix/64>',
  options: [...OWNED],
  examples: ['enf-fabric network remove fd00:8f80:8000:1::/64'],
  async run(invocation) {
    const input = { prefix: invocation.positionals[0]! };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(removeNetwork, input));
    invocation.print(view, () => `Network ${view.prefix} is removed (${effect}).`);
    return undefined;
  },
};

export const networkCommands: readonly Command[] = [networkAdd, networkList, networkRename, networkRemove];
