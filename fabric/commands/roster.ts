import { type Command, EXIT, type Invocation, type Option } from '../../cli/program.ts';
import { fromHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { counted } from '../../protocol/words.ts';
import {
  changeRoster,
  listRoster,
  type RosterPartInput,
  removeRoster,
  showRoster,
} from '../operations/rosters.ts';
import type { RosterDeviceView, RosterStatusView, RosterView } from '../operations/views/rosters.ts';
import { shortGid } from '../registry/records.ts';
import { followed, jobText } from './bulk.ts';
import { type Fabric, OWNED, withFabric } from './common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList, when } from './common/list.ts';
import { openRosterFile, type RosterFile, sendRoster } from './roster-file.ts';

const ROSTER: Option = {
  name: 'roster',
  value: 'FILE',
  help: 'admit only the devices on this roster, which "enf-factory batch export --roster" wrote',
};
const WITH_ROSTER: readonly Option[] = [
  {
    name: 'maker',
    value: 'FILE',
    help: 'the public key of the maker (maker.pub) that has to have signed the roster; without --roster, the label',
  },
  {
    name: 'name-by-serial',
    help: 'with --roster: call a device by its serial number when it comes, unless another has that name',
  },
];

/** How a roster is given. */
export const ROSTER_OPTIONS: readonly Option[] = [ROSTER, ...WITH_ROSTER];

/** The roster that these options name. @throws Failure `cli.bad-option`, and those of `openRosterFile` */
export async function rosterFileOf(invocation: Invocation): Promise<RosterFile | undefined> {
  const path = invocation.option('roster');
  if (path !== undefined) return openRosterFile(path, invocation.option('maker'));
  if (!invocation.flag('name-by-serial')) return undefined;
  throw new Failure('cli.bad-option', 'operator', '--name-by-serial is of use with --roster only', {
    action: 'Give the roster, too.',
  });
}

/** Gives a group its roster, and shows on a terminal how far it is. */
export async function giveRoster(
  invocation: Invocation,
  fabric: Fabric,
  gid: string,
  file: RosterFile,
): Promise<{ readonly view: RosterStatusView; readonly effect: string }> {
  const shows = process.stderr.isTTY && !invocation.flag('json');
  const names = invocation.flag('name-by-serial');
  const done = await sendRoster(fabric, { gid, file, names }, (part) => {
    if (shows) process.stderr.write(`\rRoster: ${Math.floor(100 * part)} % …`);
  });
  if (shows) process.stderr.write('\r\x1b[K');
  return done;
}

const printedGid = ({ gid }: RosterStatusView): string => shortGid(fromHex(gid));

/** A roster that was just given. */
export const givenText = (view: RosterStatusView, effect: string): string =>
  [
    `The roster of "${view.name}" ${printedGid(view)} is in force (${effect}): ${rosterLines(view.roster!).join('\n')}`,
    `Compare with the key that the maker has told you: ${view.roster!.maker}`,
  ].join('\n');

function rosterLines({ devices, seen, unnamed, outside, banned }: RosterView): string[] {
  return [
    `${seen ?? 0} of ${counted(devices, 'device has', 'devices have')} been seen.`,
    ...(banned === 0
      ? []
      : [`${banned === 1 ? '1 is banned and has' : `${banned} are banned and have`} not been seen.`]),
    ...(unnamed === 0
      ? []
      : [`${unnamed} cannot get in: made before the factory noted what devices are known by.`]),
    ...(outside === null || outside === 0
      ? []
      : [
          `${counted(outside, 'device of the group is', 'devices of the group are')} not on it: they were there before, and do not provision any more.`,
        ]),
  ];
}

const rosterAdd: Command = {
  name: 'roster add',
  summary: 'Gives a group that was admitted its roster: from then on it admits only the devices on it.',
  arguments: '<gid-prefix>',
  options: [{ ...ROSTER, required: true }, ...WITH_ROSTER, ...OWNED],
  examples: [
    'enf-fabric roster add 3f0c9a52 --roster march.roster --maker maker.pub',
    'enf-fabric roster add 3f0c9a52 --roster march.roster --name-by-serial',
  ],
  async run(invocation) {
    const file = (await rosterFileOf(invocation))!;
    const gid = invocation.positionals[0]!;
    const { view, effect } = await withFabric(invocation, (fabric) =>
      giveRoster(invocation, fabric, gid, file),
    );
    invocation.print(view, () => givenText(view, effect));
    return undefined;
  },
};

const rosterShow: Command = {
  name: 'roster show',
  summary: 'Shows whether a group has a roster, and how many of its devices have been seen.',
  arguments: '<gid-prefix>',
  options: [...OWNED],
  examples: ['enf-fabric roster show 3f0c9a52'],
  async run(invocation) {
    const input = { gid: invocation.positionals[0]! };
    const view = await withFabric(invocation, (fabric) => fabric.run(showRoster, input));
    invocation.print(view, () => statusText(view));
    return undefined;
  },
};

function statusText(view: RosterStatusView): string {
  const group = `Group "${view.name}" ${printedGid(view)}`;
  const { roster, rosterAwaited } = view;
  if (roster === null) {
    return rosterAwaited
      ? `${group} waits for its roster, and admits nobody until then: "enf-fabric roster add".`
      : `${group} has no roster: it admits every device that proves membership. Whoever has the issuer's key can make such devices.`;
  }
  const { state, since, perBox, names, maker, received, bytes, indexed, devices } = roster;
  return [
    `${group}: ${state === 'in-force' ? `a roster is in force since ${when(since!)}` : 'a roster is not in force yet'}`,
    ...(state === 'arriving' ? [`Received   ${received} of ${bytes} bytes`] : []),
    ...(state === 'indexing' ? [`Indexed    ${indexed} of ${counted(devices, 'line')}`] : []),
    ...(state === 'in-force' ? rosterLines(roster) : []),
    `Maker      ${maker}`,
    `Boxes      ${perBox === null ? 'not known' : `of ${counted(perBox, 'device')}`}`,
    `Names      ${names ? 'by serial number' : 'as you give them'}`,
  ].join('\n');
}

const PART: readonly Option[] = [
  { name: 'serial', value: 'NUMBER', help: 'the device with this serial number' },
  { name: 'from', value: 'NUMBER', help: 'from this serial number on; GW-9 is before GW-10' },
  { name: 'to', value: 'NUMBER', help: 'up to this serial number' },
  { name: 'box', value: 'N', help: 'in this box' },
];

/** @throws Failure `cli.bad-option` */
function partOf(invocation: Invocation): RosterPartInput {
  const box = invocation.option('box');
  if (box !== undefined && !/^[1-9]\d{0,7}$/.test(box)) {
    throw new Failure(
      'cli.bad-option',
      'operator',
      `--box expects the number of a box, got ${JSON.stringify(box.slice(0, 40))}`,
      { action: 'Give the number on its label.' },
    );
  }
  return {
    serial: invocation.option('serial'),
    from: invocation.option('from'),
    to: invocation.option('to'),
    box: box === undefined ? undefined : Number(box),
  };
}

const STATES = ['unseen', 'seen', 'banned'] as const;

const rosterList: Command = {
  name: 'roster list',
  summary: 'Lists the devices on the roster of a group, also those that have not been seen.',
  arguments: '<gid-prefix>',
  options: [
    { name: 'state', value: 'WORD', help: `${STATES.join(', ')}: only these` },
    ...PART,
    ...[LIMIT, AFTER, ALL, CSV],
    ...OWNED,
  ],
  examples: [
    'enf-fabric roster list 3f0c9a52 --state unseen',
    'enf-fabric roster list 3f0c9a52 --box 7',
    'enf-fabric roster list 3f0c9a52 --from GW-0100 --to GW-0199 --csv --all',
  ],
  async run(invocation) {
    const input = {
      gid: invocation.positionals[0]!,
      state: invocation.option('state') as (typeof STATES)[number] | undefined,
      ...partOf(invocation),
    };
    await withFabric(invocation, (fabric) =>
      printList(
        invocation,
        fabric,
        listRoster,
        {
          header: ['LINE', 'SERIAL', 'BOX', 'RESIDENT', 'STATE', 'ADDRESS', 'NAME', 'SEEN'],
          cells: (row) => [
            String(row.line),
            row.serial ?? '-',
            String(row.box ?? '-'),
            row.resident === null ? '-' : row.resident ? 'yes' : 'no',
            stateOf(row),
            row.device?.address ?? '-',
            row.device?.name ?? '-',
            row.device === null ? '-' : when(row.device.created),
          ],
          things: ['device', 'devices'],
          none: 'No such devices on the roster.',
        },
        input,
      ),
    );
    return undefined;
  },
};

const stateOf = ({ device, banned }: RosterDeviceView): string =>
  device?.standing ?? (banned ? 'banned, not yet seen' : 'not yet seen');

function standingCommand(change: 'ban' | 'unban', summary: string): Command {
  return {
    name: `roster ${change}`,
    summary,
    arguments: '<gid-prefix>',
    options: [...PART, ...OWNED],
    examples: [
      `enf-fabric roster ${change} 3f0c9a52 --box 7`,
      `enf-fabric roster ${change} 3f0c9a52 --from GW-0100 --to GW-0199`,
    ],
    async run(invocation) {
      const input = { gid: invocation.positionals[0]!, change, ...partOf(invocation) };
      return withFabric(invocation, async (fabric) => {
        const begun = await fabric.run(changeRoster, input);
        const job = await followed(fabric, begun, invocation.flag('json'));
        invocation.print(job, () => jobText(job, change));
        return job.state === 'done' && job.failed === 0 ? EXIT.ok : EXIT.failed;
      });
    },
  };
}

const rosterRemove: Command = {
  name: 'roster remove',
  summary: 'Takes the roster of a group away: every device that proves membership is admitted again.',
  arguments: '<gid-prefix>',
  options: [{ name: 'yes', help: 'do it' }, ...OWNED],
  examples: ['enf-fabric roster remove 3f0c9a52 --yes'],
  async run(invocation) {
    const input = { gid: invocation.positionals[0]! };
    if (!invocation.flag('yes')) {
      throw new Failure(
        'fabric.not-confirmed',
        'operator',
        "without its roster a group admits whatever has a credential, also what a stolen issuer's key has made; bans of devices that have not come end",
        { action: 'Repeat it with --yes if that is meant.' },
      );
    }
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(removeRoster, input));
    invocation.print(
      view,
      () => `Group "${view.name}" ${printedGid(view)} has no roster any more (${effect}).`,
    );
    return undefined;
  },
};

export const rosterCommands: readonly Command[] = [
  rosterAdd,
  rosterShow,
  rosterList,
  standingCommand('ban', 'Bans devices of a roster by serial number or box, also before they ever come.'),
  standingCommand('unban', 'Ends such a ban.'),
  rosterRemove,
];
