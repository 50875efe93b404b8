import type { Command } from '../../cli/program.ts';
import { table, timeText } from '../../cli/table.ts';
import { toHex } from '../../protocol/bytes.ts';
import { formatPrefix } from '../../protocol/ipv6.ts';
import { readLabel } from '../labels/label.ts';
import type { Group, GroupStatus } from '../registry/records.ts';
import { shortGid } from '../registry/sqlite/groups.ts';
import { parseNetwork } from '../registry/sqlite/networks.ts';
import { DATA, nudge, withRegistry } from './context.ts';

const json = (group: Group): Record<string, unknown> => ({
  gid: toHex(group.gid),
  name: group.name,
  basename: toHex(group.basename),
  network: formatPrefix(group.network),
  status: group.status,
  hasClaim: group.claimHash !== undefined,
  created: new Date(group.created).toISOString(),
});

const groupAdd: Command = {
  name: 'group add',
  summary: 'Admits a batch of devices by its label: each proves itself with its chip and gets an address.',
  options: [
    { name: 'label', value: 'TEXT|FILE', help: 'the label: its text, a picture (.png, .jpg) or a text file' },
    { name: 'network', value: 'PREFIX', help: 'the network its devices live in' },
    DATA,
  ],
  examples: [
    'enf-fabric group add --label label.png --network fd00:8f80:8000:1::/64',
    'enf-fabric group add --label "ENF1:…" --network fd00:8f80:8000:1::/64',
  ],
  async run(invocation) {
    const network = parseNetwork(invocation.required('network'));
    const { label, gid, claimHash } = await readLabel(invocation.required('label'));
    const { gpk, basename, name } = label;
    const group = { gid, gpk, basename, name, network, ...(claimHash === undefined ? {} : { claimHash }) };
    const added = await withRegistry(invocation, (registry) => registry.addGroup(group));
    await nudge(invocation);
    invocation.print(
      json(added),
      () =>
        `Group "${name}" admitted to ${formatPrefix(network)}.\n` +
        `Compare with the label: ${shortGid(gid)}`,
    );
    return undefined;
  },
};

const groupList: Command = {
  name: 'group list',
  summary: 'Lists the admitted groups.',
  options: [DATA],
  examples: ['enf-fabric group list'],
  async run(invocation) {
    const { groups, devices } = await withRegistry(invocation, (registry) => ({
      groups: registry.groups(),
      devices: registry.devices(),
    }));
    const count = (group: Group): number =>
      devices.filter((device) => toHex(device.gid) === toHex(group.gid)).length;
    invocation.print(
      groups.map((group) => ({ ...json(group), devices: count(group) })),
      () =>
        table(
          ['GROUP', 'NAME', 'NETWORK', 'STATUS', 'DEVICES', 'ADDED'],
          groups.map((each) => [
            shortGid(each.gid),
            each.name,
            formatPrefix(each.network),
            each.status,
            String(count(each)),
            timeText(each.created),
          ]),
          'No groups yet; add one with "enf-fabric group add".',
        ),
    );
    return undefined;
  },
};

function statusCommand(verb: string, status: GroupStatus, summary: string): Command {
  return {
    name: `group ${verb}`,
    summary,
    arguments: '<gid-prefix>',
    options: [DATA],
    examples: [`enf-fabric group ${verb} 3f0c9a52`],
    async run(invocation) {
      const { group, changed } = await withRegistry(invocation, (registry) => {
        const found = registry.group(invocation.positionals[0]!);
        const done = registry.setGroupStatus(found.gid, status);
        return { group: { ...found, status }, changed: done };
      });
      const effect = await nudge(invocation);
      invocation.print({ ...json(group), changed }, () =>
        changed
          ? `Group "${group.name}" ${shortGid(group.gid)} is ${status} (${effect}).`
          : `Group "${group.name}" ${shortGid(group.gid)} was ${status} already.`,
      );
      return undefined;
    },
  };
}

export const groupCommands: readonly Command[] = [
  groupAdd,
  groupList,
  statusCommand('suspend', 'suspended', 'Shuts all devices of a group out until it is resumed.'),
  statusCommand('resume', 'active', 'Lets the devices of a suspended group in again.'),
];
