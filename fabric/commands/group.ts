import { readBasename } from '../../cli/basename.ts';
import type { Command, Invocation } from '../../cli/program.ts';
import { readExact } from '../../os/files/read.ts';
import { fromHex } from '../../protocol/bytes.ts';
import { GROUP_KEY_LENGTH } from '../../protocol/crypto/group.ts';
import { Failure } from '../../protocol/failure.ts';
import { encodeLabel } from '../../protocol/label.ts';
import { admitGroup, type GroupView, listGroups, setGroupStatus } from '../operations/groups.ts';
import { type GroupStatus, shortGid } from '../registry/records.ts';
import { FABRIC, withFabric } from './context.ts';
import { AFTER, ALL, LIMIT, printList, when } from './list.ts';

/** The group's id as the label shows it. */
const printedGid = ({ gid }: GroupView): string => shortGid(fromHex(gid));

const groupAdd: Command = {
  name: 'group add',
  summary: 'Admits a batch of devices by its label: each proves itself with its chip and gets an address.',
  options: [
    { name: 'label', value: 'TEXT|FILE', help: 'the label: its text, a picture (PNG, JPEG) or a text file' },
    { name: 'gpk', value: 'FILE', help: 'instead of a label: the group public key, 258 bytes' },
    {
      name: 'basename',
      value: 'TEXT|FILE',
      help: 'with --gpk: the basename of the group, or a file with it',
    },
    { name: 'name', value: 'TEXT', help: 'with --gpk: what to call the group' },
    { name: 'network', value: 'PREFIX', help: 'the network in which its devices get their addresses' },
    ...FABRIC,
  ],
  examples: [
    'enf-fabric group add --label label.png --network fd00:8f80:8000:1::/64',
    'enf-fabric group add --label "ENF1:…" --network fd00:8f80:8000:1::/64',
    'enf-fabric group add --gpk daa_gpk.bin --basename basename.bin --name "Old batch" --network fd00:8f80:8000:1::/64',
  ],
  async run(invocation) {
    const network = invocation.required('network');
    const label = await labelOf(invocation);
    const { view } = await withFabric(invocation, (fabric) => fabric.run(admitGroup, { label, network }));
    invocation.print(
      view,
      () =>
        `Group "${view.name}" admitted to ${view.network}.\n` + `Compare with the label: ${printedGid(view)}`,
    );
    return undefined;
  },
};

/** The label that was given, or one made of a group public key that never had any. */
async function labelOf(invocation: Invocation): Promise<string> {
  const gpk = invocation.option('gpk');
  if (gpk === undefined) {
    const { readLabelText } = await import('../labels/label.ts');
    return readLabelText(invocation.required('label'));
  }
  if (invocation.option('label') !== undefined) {
    throw new Failure('cli.bad-option', 'operator', '--label and --gpk name two groups', {
      action: 'Give one of them.',
    });
  }
  return encodeLabel({
    gpk: await readExact(gpk, 'group public key', GROUP_KEY_LENGTH),
    basename: await readBasename(invocation.required('basename')),
    name: invocation.required('name'),
  });
}

const groupList: Command = {
  name: 'group list',
  summary: 'Lists the admitted groups.',
  options: [LIMIT, AFTER, ALL, ...FABRIC],
  examples: ['enf-fabric group list'],
  async run(invocation) {
    await withFabric(invocation, (fabric) =>
      printList(invocation, fabric, listGroups, {
        header: ['GROUP', 'NAME', 'NETWORK', 'STATUS', 'DEVICES', 'ADDED'],
        cells: (group) => [
          printedGid(group),
          group.name,
          group.network,
          group.status,
          String(group.devices),
          when(group.created),
        ],
        none: 'No groups yet; add one with "enf-fabric group add".',
      }),
    );
    return undefined;
  },
};

function statusCommand(verb: string, status: GroupStatus, summary: string): Command {
  return {
    name: `group ${verb}`,
    summary,
    arguments: '<gid-prefix>',
    options: [...FABRIC],
    examples: [`enf-fabric group ${verb} 3f0c9a52`],
    async run(invocation) {
      const input = { gid: invocation.positionals[0]!, status };
      const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(setGroupStatus, input));
      invocation.print(view, () => {
        const group = `Group "${view.name}" ${printedGid(view)}`;
        return view.changed ? `${group} is ${status} (${effect}).` : `${group} was ${status} already.`;
      });
      return undefined;
    },
  };
}

export const groupCommands: readonly Command[] = [
  groupAdd,
  groupList,
  statusCommand(
    'suspend',
    'suspended',
    'Refuses and disconnects all devices of a group until it is resumed.',
  ),
  statusCommand('resume', 'active', 'Admits the devices of a suspended group again.'),
];
