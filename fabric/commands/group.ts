import { readBasename } from '../../cli/basename.ts';
import { type Command, EXIT, type Invocation } from '../../cli/program.ts';
import { readBounded, readExact } from '../../os/files/read.ts';
import { fromHex } from '../../protocol/bytes.ts';
import { GROUP_KEY_LENGTH } from '../../protocol/crypto/group.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { encodeLabel } from '../../protocol/label.ts';
import { pemBody } from '../../protocol/pem.ts';
import { counted } from '../../protocol/words.ts';
import { removeGroup } from '../operations/endings.ts';
import { admitGroup, changeGroup, listGroups, setGroupStatus } from '../operations/groups.ts';
import { readLabel } from '../operations/labels.ts';
import { delegateToGroup } from '../operations/networks.ts';
import type { GroupView, LabelView } from '../operations/views/groups.ts';
import { type GroupStatus, shortGid } from '../registry/records.ts';
import { requireYes, YES } from './common/confirm.ts';
import { OWNED, withFabric } from './common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList, when } from './common/list.ts';
import { backText } from './device.ts';
import { givenText, giveRoster, ROSTER_OPTIONS, rosterFileOf } from './roster.ts';

/** The group's id as the label shows it. */
const printedGid = ({ gid }: GroupView): string => shortGid(fromHex(gid));

const groupAdd: Command = {
  name: 'group add',
  summary: 'Admits a batch of devices by its label: each proves itself with its chip and gets an address.',
  options: [
    {
      name: 'label',
      value: 'TEXT|FILE',
      help: 'the label: its text, a picture (PNG, JPEG) or a text file',
      required: 'without --gpk',
    },
    { name: 'gpk', value: 'FILE', help: 'instead of a label: the group public key, 258 bytes' },
    {
      name: 'basename',
      value: 'TEXT|FILE',
      help: 'the basename of the group, or a file with it',
      required: 'with --gpk',
    },
    { name: 'name', value: 'TEXT', help: 'what to call the group', required: 'with --gpk' },
    {
      name: 'network',
      value: 'PREFIX',
      help: 'the network in which its devices get their addresses',
      required: true,
    },
    {
      name: 'announced',
      value: 'N',
      help: 'how many devices are expected (what the label says; 0: not known)',
    },
    { name: 'most', value: 'N', help: 'let no further device in when so many have come' },
    { name: 'countries', value: 'LIST', help: 'let new devices in from these only, such as CH,DE,private' },
    { name: 'suspended', help: 'let its devices in only when it is resumed' },
    ...ROSTER_OPTIONS,
    ...OWNED,
  ],
  examples: [
    'enf-fabric group add --label label.png --network fd00:8f80:8000:1::/64',
    'enf-fabric group add --label label.png --network plant --announced 500 --most 500 --countries CH,DE --suspended',
    'enf-fabric group add --label label.png --network plant --roster march.roster --maker maker.pub',
    'enf-fabric group add --label "ENF1:…" --network fd00:8f80:8000:1::/64',
    'enf-fabric group add --gpk daa_gpk.bin --basename basename.bin --name "Old batch" --network fd00:8f80:8000:1::/64',
  ],
  async run(invocation) {
    const network = invocation.required('network');
    const label = await labelOf(invocation);
    const announced = invocation.option('announced');
    const most = invocation.option('most');
    const countries = invocation.option('countries');
    const file = await rosterFileOf(invocation);
    const maker = file === undefined ? await makerKeyOf(invocation) : undefined;
    const input = {
      ...{ label, network },
      ...(maker !== undefined && { maker }),
      ...(announced !== undefined && { announced: numberOf(announced) }),
      ...(most !== undefined && { most: numberOf(most) }),
      ...(countries !== undefined && { countries: countries.split(',') }),
      ...(invocation.flag('suspended') && { status: 'suspended' as const }),
      ...(file !== undefined && { roster: file.header }),
    };
    const { view, given } = await withFabric(invocation, async (fabric) => {
      const { view } = await fabric.run(admitGroup, input).catch((error: unknown) => {
        throw file !== undefined && isFailure(error, 'fabric.group-exists') ? goOn(error) : error;
      });
      return { view, given: file && (await giveRoster(invocation, fabric, view.gid, file)) };
    });
    const { rosterAwaited, roster } = given?.view ?? {};
    invocation.print(given === undefined ? view : { ...view, rosterAwaited, roster }, () =>
      [
        `Group "${view.name}" admitted to ${view.network}${view.announced === null ? '' : `, ${counted(view.announced, 'device is', 'devices are')} expected`}.`,
        ...limitLines(view),
        ...(view.status === 'suspended'
          ? ['It is suspended: none of its devices comes in before "enf-fabric group resume".']
          : []),
        `Compare with the label: ${printedGid(view)}`,
        ...(given === undefined ? [] : [givenText(given.view, given.effect)]),
      ].join('\n'),
    );
    return undefined;
  },
};

/** The public key of the maker that has to have signed a label. @throws Failure those of reading files */
async function makerKeyOf(invocation: Invocation): Promise<string | undefined> {
  const file = invocation.option('maker');
  return file === undefined
    ? undefined
    : pemBody(new TextDecoder().decode(await readBounded(file, "maker's public key")));
}

const SIGNATURES: Readonly<Record<LabelView['signature'], string>> = {
  none: 'none',
  good: 'good',
  wrong: 'WRONG: not made with the key that was given; do not admit this batch by it',
  'not-checked': "there, not checked: give the maker's public key with --maker",
};

const labelRead: Command = {
  name: 'label',
  summary: 'Shows what a label says, whether its maker has signed it, and whether its group is admitted.',
  arguments: '<label>',
  options: [
    {
      name: 'maker',
      value: 'FILE',
      help: 'the public key of the maker (maker.pub) that has to have signed it; else those of your rosters are tried',
    },
    ...OWNED,
  ],
  examples: ['enf-fabric label label.png --maker maker.pub', 'enf-fabric label "ENF1:…"'],
  async run(invocation) {
    const { readLabelText } = await import('../labels/label.ts');
    const label = await readLabelText(invocation.positionals[0]!);
    const input = { label, maker: await makerKeyOf(invocation) };
    const view = await withFabric(invocation, (fabric) => fabric.run(readLabel, input));
    invocation.print(view, () => labelLines(view).join('\n'));
    const isWrong = view.signature === 'wrong' || (input.maker !== undefined && view.signature === 'none');
    return isWrong ? EXIT.failed : EXIT.ok;
  },
};

function labelLines(view: LabelView): string[] {
  const { name, gid, vendor, announced, box, hasClaim, signature, maker, group, knocking } = view;
  return [
    `Name       ${name}`,
    `Group      ${shortGid(fromHex(gid))}`,
    ...(vendor === null ? [] : [`Vendor     ${vendor}, as it says`]),
    ...(announced === null ? [] : [`Devices    ${announced}`]),
    ...(box === null
      ? []
      : [`Box        ${box.number} of ${box.boxes}, with ${counted(box.devices, 'device')}`]),
    `Claim      ${hasClaim ? 'there' : 'none'}`,
    `Signature  ${SIGNATURES[signature]}${maker === null ? '' : `: made with the key ${maker}`}`,
    `Admitted   ${group === null ? 'no' : `yes, as "${group.name}" to ${group.network}`}`,
    ...(knocking === null
      ? []
      : [`Knocking   ${counted(knocking.attempts, 'attempt')} since ${when(knocking.first)}`]),
  ];
}

/** Whoever was interrupted gives the roster to the group that is there. */
const goOn = (cause: Failure): Failure =>
  new Failure('fabric.group-exists', 'operator', cause.message, {
    action: 'If its roster is not in force ("enf-fabric roster show"), give it with "enf-fabric roster add".',
    cause,
  });

/** Which devices may come, where there are limits. */
function limitLines({ most, countries }: GroupView): string[] {
  return [
    ...(most === null ? [] : [`At most ${counted(most, 'device')} may come.`]),
    ...(countries === null ? [] : [`New devices may come from ${countries.join(', ')}.`]),
  ];
}

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
  options: [
    { name: 'search', value: 'TEXT', help: 'what their name or id has in it' },
    ...[LIMIT, AFTER, ALL, CSV],
    ...OWNED,
  ],
  examples: ['enf-fabric group list', 'enf-fabric group list --search pump'],
  async run(invocation) {
    await withFabric(invocation, (fabric) =>
      printList(
        invocation,
        fabric,
        listGroups,
        {
          header: [
            ...['GROUP', 'NAME', 'NETWORK', 'STATUS', 'DEVICES', 'BANNED', 'EVICTED', 'BOTH', 'RETIRED'],
            ...['EXPECTED', 'MOST', 'COUNTRIES', 'ADDED'],
          ],
          cells: (group) => [
            printedGid(group),
            group.name,
            group.network,
            group.status,
            ...[group.devices, group.banned, group.evicted, group.bannedAndEvicted, group.retired].map(
              String,
            ),
            String(group.announced ?? '-'),
            String(group.most ?? '-'),
            group.countries?.join(',') ?? '-',
            when(group.created),
          ],
          things: ['group', 'groups'],
          none: 'No groups yet; add one with "enf-fabric group add".',
          owner: ({ owner }) => owner,
        },
        { q: invocation.option('search') },
      ),
    );
    return undefined;
  },
};

function statusCommand(verb: string, status: GroupStatus, summary: string): Command {
  return {
    name: `group ${verb}`,
    summary,
    arguments: '<group>',
    options: [...OWNED],
    examples: [`enf-fabric group ${verb} 3f0c9a52`],
    async run(invocation) {
      const input = { gid: invocation.positionals[0]!, status };
      const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(setGroupStatus, input));
      invocation.print(view, () => {
        const group = `Group "${view.name}" ${printedGid(view)}`;
        return view.changed
          ? `${group} is ${status} (${effect}).${backText(view)}`
          : `${group} was ${status} already.`;
      });
      return undefined;
    },
  };
}

const groupRemove: Command = {
  name: 'group remove',
  summary: 'Removes a group that has no devices.',
  arguments: '<group>',
  options: [YES, ...OWNED],
  examples: ['enf-fabric group remove 3f0c9a52'],
  async run(invocation) {
    const input = { gid: invocation.positionals[0]! };
    await requireYes(invocation, `This removes the group ${input.gid}; admitting it again takes its label`);
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(removeGroup, input));
    invocation.print(
      view,
      () => `Group "${view.name}" ${shortGid(fromHex(view.gid))} is removed (${effect}).`,
    );
    return undefined;
  },
};

const groupRename: Command = {
  name: 'group rename',
  summary: 'Gives a group another name.',
  arguments: '<group> <name>',
  options: [...OWNED],
  examples: ['enf-fabric group rename 3f0c9a52 "Pumps north"'],
  async run(invocation) {
    const [gid, name] = invocation.positionals as [string, string];
    const { view } = await withFabric(invocation, (fabric) => fabric.run(changeGroup, { gid, name }));
    invocation.print(view, () => `Group ${printedGid(view)} is called "${view.name}".`);
    return undefined;
  },
};

const groupAnnounce: Command = {
  name: 'group announce',
  summary: 'Says how many devices of a group are expected; 0: that is not known.',
  arguments: '<group> <number>',
  options: [...OWNED],
  examples: ['enf-fabric group announce 3f0c9a52 500'],
  async run(invocation) {
    const [gid, number] = invocation.positionals as [string, string];
    const input = { gid, announced: numberOf(number) };
    const { view } = await withFabric(invocation, (fabric) => fabric.run(changeGroup, input));
    invocation.print(
      view,
      () =>
        `Group "${view.name}" ${printedGid(view)}: ${view.announced ?? 'nobody knows how many'} expected.`,
    );
    return undefined;
  },
};

const groupLimit: Command = {
  name: 'group limit',
  summary: 'Says how many devices of a group may come; 0: any number. Those that have come stay.',
  arguments: '<group> <number>',
  options: [...OWNED],
  examples: ['enf-fabric group limit 3f0c9a52 500', 'enf-fabric group limit 3f0c9a52 0'],
  async run(invocation) {
    const [gid, number] = invocation.positionals as [string, string];
    const input = { gid, most: numberOf(number) };
    const { view } = await withFabric(invocation, (fabric) => fabric.run(changeGroup, input));
    invocation.print(
      view,
      () =>
        `Group "${view.name}" ${printedGid(view)}: ${view.most === null ? 'any number of devices' : counted(view.most, 'device')} may come.`,
    );
    return undefined;
  },
};

const groupCountries: Command = {
  name: 'group countries',
  summary:
    'Says where the address of a new device must be registered; any: anywhere. Those that have come stay.',
  arguments: '<group> <list>',
  options: [...OWNED],
  examples: [
    'enf-fabric group countries 3f0c9a52 CH,DE',
    'enf-fabric group countries 3f0c9a52 CH,private,unknown',
    'enf-fabric group countries 3f0c9a52 any',
  ],
  async run(invocation) {
    const [gid, words] = invocation.positionals as [string, string];
    const input = { gid, countries: words === 'any' ? [] : words.split(',') };
    const { view } = await withFabric(invocation, (fabric) => fabric.run(changeGroup, input));
    invocation.print(
      view,
      () =>
        `Group "${view.name}" ${printedGid(view)}: new devices may come from ${view.countries?.join(', ') ?? 'anywhere'}.`,
    );
    return undefined;
  },
};

/** @throws Failure `cli.bad-option` */
function numberOf(text: string): number {
  if (/^\d{1,8}$/.test(text)) return Number(text);
  throw new Failure(
    'cli.bad-option',
    'operator',
    `expected a number of devices, got ${JSON.stringify(text.slice(0, 40))}`,
    {
      action: 'Give a whole number, or 0 if nobody knows.',
    },
  );
}

function delegationCommand(granted: boolean): Command {
  return {
    name: granted ? 'group delegate' : 'group withdraw',
    summary: granted
      ? 'Grants each device of a group a /64 for the machines behind it.'
      : 'Withdraws the prefixes of the devices of a group at once; each is kept for its device.',
    arguments: '<group>',
    options: [...OWNED],
    examples: [`enf-fabric group ${granted ? 'delegate' : 'withdraw'} 3f0c9a52`],
    async run(invocation) {
      const input = { gid: invocation.positionals[0]!, granted };
      const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(delegateToGroup, input));
      invocation.print(view, () => {
        if (!view.changed) return `That was so already of "${view.name}".`;
        return granted
          ? `Each device of "${view.name}" gets a prefix, those without a tunnel when they connect (${effect}).`
          : `The devices of "${view.name}" have no prefixes any more, but those that one is granted to by name (${effect}).`;
      });
      return undefined;
    },
  };
}

export const groupCommands: readonly Command[] = [
  labelRead,
  groupAdd,
  groupList,
  groupRename,
  groupAnnounce,
  groupLimit,
  groupCountries,
  delegationCommand(true),
  delegationCommand(false),
  groupRemove,
  statusCommand(
    'suspend',
    'suspended',
    'Refuses and disconnects all devices of a group until it is resumed.',
  ),
  statusCommand('resume', 'active', 'Admits the devices of a suspended group again.'),
];
