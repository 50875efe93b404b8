import type { Command, Invocation } from '../../cli/program.ts';
import { printed } from '../../os/service/process.ts';
import { Failure } from '../../protocol/failure.ts';
import { zoneFileHead, zoneRecord } from '../dns/zone-file.ts';
import { listDevices } from '../operations/devices.ts';
import { removeNetwork } from '../operations/endings.ts';
import {
  addNetwork,
  listDelegations,
  listNetworks,
  renameNetwork,
  setPool,
  setResidentOnly,
  setZone,
} from '../operations/networks.ts';
import type { NetworkView } from '../operations/views/groups.ts';
import { eachPage } from '../registry/pages.ts';
import { requireYes, YES } from './common/confirm.ts';
import { type Fabric, OWNED, withFabric } from './common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList, when } from './common/list.ts';
import { namedText } from './device.ts';

const NOTE = { name: 'note', value: 'TEXT', help: 'what somebody should know of it; "" removes it' } as const;

function noted(invocation: Invocation): { readonly note?: string } {
  const note = invocation.option('note');
  return note === undefined ? {} : { note };
}

const networkAdd: Command = {
  name: 'network add',
  summary: 'Adds a /64 from which devices get their addresses; this host is ::1 in it.',
  arguments: '<prefix/64>',
  options: [{ name: 'name', value: 'TEXT', help: 'what people call it', default: '' }, NOTE, ...OWNED],
  examples: ['enf-fabric network add fd00:8f80:8000:1::/64 --name plant'],
  async run(invocation) {
    const input = {
      prefix: invocation.positionals[0]!,
      name: invocation.option('name') ?? '',
      ...noted(invocation),
    };
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
          header: ['PREFIX', 'NAME', 'THIS HOST', 'TAKES', 'CREATED'],
          cells: ({ prefix, name, host, residentOnly, created }) => [
            ...[prefix, name, host],
            residentOnly ? 'resident keys' : 'any',
            when(created),
          ],
          things: ['network', 'networks'],
          none: 'No networks yet; add one with "enf-fabric network add".',
          owner: ({ owner }) => owner,
        },
        { q: invocation.option('search') },
      ),
    );
    return undefined;
  },
};

const networkRename: Command = {
  name: 'network rename',
  summary: 'Gives a network another name, or notes something of it.',
  arguments: '<prefix/64> <name>',
  options: [NOTE, ...OWNED],
  examples: ['enf-fabric network rename fd00:8f80:8000:1::/64 "North plant"'],
  async run(invocation) {
    const [prefix, name] = invocation.positionals as [string, string];
    const input = { prefix, name, ...noted(invocation) };
    const { view } = await withFabric(invocation, (fabric) => fabric.run(renameNetwork, input));
    invocation.print(view, () => `Network ${namedText(prefix, view.prefix)} is called "${view.name}".`);
    return undefined;
  },
};

const networkZone: Command = {
  name: 'network zone',
  summary: "Gives a network the domain below which its devices' names are found in DNS.",
  arguments: '<prefix/64> <domain>',
  options: [...OWNED],
  examples: [
    'enf-fabric network zone fd00:8f80:8000:1::/64 plant.internal',
    'enf-fabric network zone plant none',
  ],
  async run(invocation) {
    const [prefix, domain] = invocation.positionals as [string, string];
    const input = { prefix, zone: domain === 'none' ? '' : domain };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(setZone, input));
    invocation.print(view, () =>
      view.zone === null
        ? `The devices of ${namedText(prefix, view.prefix)} have no names in DNS (${effect}).`
        : `The devices of ${namedText(prefix, view.prefix)} are found below ${view.zone} (${effect}).`,
    );
    return undefined;
  },
};

const TAKES = ['resident', 'any'] as const;

const networkResident: Command = {
  name: 'network takes',
  summary:
    'Says whether a network takes only devices whose chips keep their keys, as the roster of their group says.',
  arguments: '<prefix/64> <resident|any>',
  options: [...OWNED],
  examples: ['enf-fabric network takes plant resident', 'enf-fabric network takes plant any'],
  async run(invocation) {
    const [prefix, takes] = invocation.positionals as [string, (typeof TAKES)[number]];
    if (!TAKES.includes(takes)) {
      throw new Failure(
        'cli.bad-arguments',
        'operator',
        `expected resident or any, got ${JSON.stringify(takes.slice(0, 40))}`,
        {
          action: 'Give "resident" to refuse devices whose chips do not keep their keys, "any" to take all.',
        },
      );
    }
    const input = { prefix, takes };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(setResidentOnly, input));
    const network = `Network ${namedText(prefix, view.prefix)}`;
    invocation.print(view, () =>
      view.residentOnly
        ? `${network} takes only devices whose roster says that their chips keep their keys (${effect}). Others that are in keep their tunnels, and are refused when they provision again.`
        : `${network} takes devices whatever keeps their keys (${effect}).`,
    );
    return undefined;
  },
};

const networkNames: Command = {
  name: 'network names',
  summary: 'Writes the names of a network as the records of a DNS zone.',
  arguments: '<prefix/64>',
  options: [...OWNED],
  examples: ['enf-fabric network names plant > plant.zone'],
  async run(invocation) {
    const given = invocation.positionals[0]!;
    await withFabric(invocation, async (fabric) => {
      const { prefix, zone, host } = await networkCalled(fabric, given);
      if (zone === null) {
        throw new Failure('dns.no-zone', 'operator', `the network ${prefix} has no domain for names`, {
          action: `Give it one with "enf-fabric network zone ${prefix} plant.internal".`,
        });
      }
      await printed(zoneFileHead(zone, host));
      await writeRecords(fabric, prefix);
    });
    return undefined;
  },
};

/** The network with this prefix, or of this name. @throws Failure `fabric.unknown-network` */
async function networkCalled(fabric: Fabric, text: string): Promise<NetworkView> {
  const pages = eachPage((page) => fabric.run(listNetworks, { ...page, q: text }), {});
  for await (const { rows } of pages) {
    const found = rows.find(({ prefix, name }) => prefix === text || name === text);
    if (found !== undefined) return found;
  }
  throw new Failure('fabric.unknown-network', 'operator', `no network is ${JSON.stringify(text)}`, {
    action: 'See "enf-fabric network list".',
  });
}

async function writeRecords(fabric: Fabric, network: string): Promise<void> {
  const pages = eachPage((page) => fabric.run(listDevices, { ...page, network }), {});
  for await (const { rows } of pages) {
    for (const { name, address } of rows)
      if (name !== null) await printed(zoneRecord({ name, address }) ?? '');
  }
}

/** Prefixes for the machines behind devices (docs/prefix.md). */

const networkDelegate: Command = {
  name: 'network delegate',
  summary: 'Gives a network the prefix out of which its devices get a /64 each for the machines behind them.',
  arguments: '<network> <prefix>',
  options: [...OWNED],
  examples: [
    'enf-fabric network delegate plant fd00:8f80:9000::/48',
    'enf-fabric network delegate plant none',
  ],
  async run(invocation) {
    const [prefix, pool] = invocation.positionals as [string, string];
    const input = { prefix, pool: pool === 'none' ? '' : pool };
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(setPool, input));
    invocation.print(view, () =>
      view.pool === null
        ? `The devices of ${namedText(prefix, view.prefix)} get no prefixes (${effect}).`
        : `The prefixes of devices of ${namedText(prefix, view.prefix)} come out of ${view.pool} (${effect}); next: enf-fabric group delegate, or device delegate`,
    );
    return undefined;
  },
};

const networkDelegations: Command = {
  name: 'network delegations',
  summary: 'Lists the prefixes of the devices of a network.',
  arguments: '<network>',
  options: [LIMIT, AFTER, ALL, CSV, ...OWNED],
  examples: ['enf-fabric network delegations plant'],
  async run(invocation) {
    await withFabric(invocation, (fabric) =>
      printList(
        invocation,
        fabric,
        listDelegations,
        {
          header: ['PREFIX', 'DEVICE', 'NAME', 'GRANTED'],
          cells: ({ prefix, address, name, inForce }) => [
            prefix,
            address,
            name ?? '-',
            inForce ? 'yes' : 'no, but kept for it',
          ],
          things: ['prefix', 'prefixes'],
          none: 'No device has a prefix; grant one with "enf-fabric device delegate".',
        },
        { prefix: invocation.positionals[0]! },
      ),
    );
    return undefined;
  },
};

const networkRemove: Command = {
  name: 'network remove',
  summary: 'Removes a network that has no groups.',
  arguments: '<prefix/64>',
  options: [YES, ...OWNED],
  examples: ['enf-fabric network remove fd00:8f80:8000:1::/64'],
  async run(invocation) {
    const input = { prefix: invocation.positionals[0]! };
    await requireYes(invocation, `This removes the network ${input.prefix}`);
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(removeNetwork, input));
    invocation.print(view, () => `Network ${namedText(input.prefix, view.prefix)} is removed (${effect}).`);
    return undefined;
  },
};

export const networkCommands: readonly Command[] = [
  networkAdd,
  networkList,
  networkRename,
  networkZone,
  networkResident,
  networkNames,
  networkDelegate,
  networkDelegations,
  networkRemove,
];
