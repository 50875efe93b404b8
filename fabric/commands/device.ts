import type { Command } from '../../cli/program.ts';
import { table } from '../../cli/table.ts';
import { fromHex } from '../../protocol/bytes.ts';
import { listDevices, nameDevice, setStanding, showDevice } from '../operations/devices.ts';
import { replaceDevice, retireDevice } from '../operations/endings.ts';
import { delegateToDevice } from '../operations/networks.ts';
import type { AgentView, DeviceDetails, DeviceView, StandingView } from '../operations/views/devices.ts';
import { type StandingChange, shortGid } from '../registry/records.ts';
import { DEVICE_FILTERS, narrowed } from './bulk.ts';
import { requireYes, YES } from './common/confirm.ts';
import { OWNED, withFabric } from './common/context.ts';
import { AFTER, ALL, CSV, countText, LIMIT, printList, when } from './common/list.ts';
import { limitText } from './traffic/limit.ts';

function onlineText({ online, silentSince }: DeviceView): string {
  if (silentSince !== undefined) return `silent since ${when(silentSince)}`;
  return online === null ? 'unknown' : online ? 'online' : 'offline';
}

const failureText = ({ code, at }: NonNullable<AgentView['lastFailure']>): string => `${code} ${when(at)}`;

const deviceList: Command = {
  name: 'device list',
  summary: 'Lists the devices: standing, online, last seen, version, last failure.',
  options: [...DEVICE_FILTERS, LIMIT, AFTER, ALL, CSV, ...OWNED],
  examples: [
    'enf-fabric device list',
    'enf-fabric device list --group 3f0c9a52 --standing banned',
    'enf-fabric device list --offline --failure any',
    'enf-fabric device list --all --csv > devices.csv',
  ],
  async run(invocation) {
    const filter = narrowed(invocation);
    const isNarrowed = Object.values(filter).some((each) => each !== undefined);
    await withFabric(invocation, (fabric) =>
      printList(
        invocation,
        fabric,
        listDevices,
        {
          header: [
            'ADDRESS',
            'NAME',
            'STANDING',
            'TUNNEL',
            'GROUP',
            'LAST HANDSHAKE',
            'LAST TUNNEL',
            'AGENT',
            'LAST FAILURE',
          ],
          cells: (device) => [
            device.address,
            device.name ?? '-',
            device.standing,
            onlineText(device),
            device.group,
            when(device.lastHandshake.at),
            device.lastTunnel === null ? 'never' : when(device.lastTunnel.at),
            device.agent?.version ?? '-',
            device.agent?.lastFailure ? failureText(device.agent.lastFailure) : '-',
          ],
          things: ['device', 'devices'],
          none: isNarrowed ? 'No device is like that.' : 'No devices yet.',
          owner: ({ owner }) => owner,
        },
        filter,
      ),
    );
    return undefined;
  },
};

const deviceShow: Command = {
  name: 'device show',
  summary: 'Shows a device: standing, keys, and its handshakes: when, from where, with what result.',
  arguments: '<address>',
  options: [...OWNED],
  examples: ['enf-fabric device show fd00:8f80:8000:1:4a2e:91c0:7b3d:55f2'],
  async run(invocation) {
    const input = { address: invocation.positionals[0]! };
    const view = await withFabric(invocation, (fabric) => fabric.run(showDevice, input));
    invocation.print(view, () => deviceText(view));
    return undefined;
  },
};

function deviceText(device: DeviceDetails): string {
  const { agent, twins } = device;
  const history = table(
    ['WHEN', 'FROM', 'COUNTRY', 'SUITE', 'RESULT'],
    device.handshakes.map((each) => [
      when(each.at),
      each.source || '-',
      each.country ?? '?',
      String(each.suite ?? '?'),
      each.proven ? each.result : `${each.result} (claimed, not proven)`,
    ]),
    'none',
  );
  return [
    `Address   ${device.address}`,
    ...(device.name === null ? [] : [`Name      ${device.name}`]),
    ...(device.serial === null
      ? []
      : [`Serial    ${device.serial}${device.box === null ? '' : `, box ${device.box}`}`]),
    ...(device.resident === false ? ["Resident  no: its chip does not keep the member's key"] : []),
    ...(device.delegated === null ? [] : [`Prefix    ${device.delegated}, for the machines behind it`]),
    ...(device.note === null ? [] : [`Note      ${device.note}`]),
    `Standing  ${device.standing}${device.movedTo === undefined ? '' : `; its former chip has ${device.movedTo} now`}`,
    `Tunnel    ${tunnelText(device)}`,
    ...(device.node === null ? [] : [`Node      ${device.node}`]),
    ...limitLines(device.limits),
    ...(device.city === null ? [] : [`Place     ${cityText(device.city)}`]),
    `Agent     ${agent === null ? 'has reported nothing' : agentText(agent)}`,
    ...(twins === null ? [] : [`Clones    ${clonesText(twins)}`]),
    `Group     ${device.group}  ${shortGid(fromHex(device.gid))}`,
    `Network   ${device.network}`,
    `Key       ${device.longtermKey}`,
    `Admitted  ${when(device.created)}`,
    '',
    `The last handshakes, newest first:`,
    history,
    ...device.earlierHandshakes.map((each) => `Before them ${countText(each)}`),
  ].join('\n');
}

/** Nothing, if it has no limit and none has dropped anything. */
function limitLines(limits: DeviceDetails['limits']): string[] {
  const { in: gets, out: sends, dropped } = limits;
  const isLimited = [gets.packets, gets.bytes, sends.packets, sends.bytes].some((value) => value !== null);
  if (!isLimited && !dropped) return [];
  const lost =
    dropped === null ? '' : `; ${dropped.toLocaleString('en')} packets dropped since its tunnel began`;
  return [`Limits    ${limitText(limits)}${lost}`];
}

function tunnelText(device: DeviceDetails): string {
  const { lastTunnel: tunnel } = device;
  if (tunnel === null) return 'never up';
  const ended = tunnel.ended === null ? '' : `, ended ${when(tunnel.ended)}`;
  return `${onlineText(device)}, up ${when(tunnel.at)}${tunnel.from === '' ? '' : ` from ${tunnel.from}`}${ended}`;
}

const agentText = ({ reported, version, lastFailure }: AgentView): string =>
  `version ${version}, reported ${when(reported)}; last failure: ${lastFailure === null ? 'none reported' : failureText(lastFailure)}`;

const cityText = ({ city, region, country, radiusKm }: NonNullable<DeviceDetails['city']>): string =>
  `${[...new Set([city, region, country])].filter((name) => name !== null).join(', ')}, within ${Math.ceil(radiusKm)} km; where the address is registered`;

const clonesText = ({ at, from }: NonNullable<DeviceDetails['twins']>): string =>
  `two devices with this key took turns ${when(at)}, from ${from.join(' and ')}; after an eviction only one that has the credential comes back`;

/** A device can be banned and evicted at once: what the other of the two still asks is said, too. */
function doneText(change: StandingChange, { standing }: StandingView): string {
  if (change === 'ban') return 'is banned: it is disconnected and refused until it is unbanned';
  if (change === 'unban')
    return standing === 'evicted'
      ? 'is no longer banned; it was evicted as well, and has to provision again'
      : `is no longer banned${standing === 'suspended' ? '; its group is suspended' : ''}`;
  return standing === 'banned'
    ? 'is evicted, and stays banned: when it is unbanned it has to provision again'
    : 'is evicted: it is disconnected and has to provision again';
}

/** As it was named, and its address. */
export const namedText = (given: string, address: string): string =>
  given.includes(':') || given === address ? address : `${given} (${address})`;

/** When those come back that were shut out. */
export const backText = ({ backWithin }: Pick<StandingView, 'backWithin'>): string =>
  backWithin === undefined ? '' : ` An agent that is running connects within ${duration(backWithin)}.`;

const duration = (seconds: number): string =>
  seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`;

const WAS: Record<StandingChange, string> = {
  evict: 'was evicted already',
  ban: 'was banned already',
  unban: 'was not banned',
};

function standingCommand(change: StandingChange, summary: string): Command {
  return {
    name: `device ${change}`,
    summary,
    arguments: '<address>',
    options: [...OWNED],
    examples: [`enf-fabric device ${change} fd00:8f80:8000:1:4a2e:91c0:7b3d:55f2`],
    async run(invocation) {
      const input = { address: invocation.positionals[0]!, change };
      const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(setStanding, input));
      invocation.print(view, () =>
        view.changed
          ? `${namedText(input.address, view.address)} ${doneText(change, view)} (${effect}).${backText(view)}`
          : `${namedText(input.address, view.address)} ${WAS[change]}.`,
      );
      return undefined;
    },
  };
}

const deviceRetire: Command = {
  name: 'device retire',
  summary:
    'Refuses a device for ever. Nobody gets its address again; its name is free. This cannot be undone.',
  arguments: '<address>',
  options: [YES, ...OWNED],
  examples: ['enf-fabric device retire fd00:8f80:8000:1:4a2e:91c0:7b3d:55f2'],
  async run(invocation) {
    const input = { address: invocation.positionals[0]! };
    await requireYes(invocation, `This refuses the device ${input.address} for ever, and cannot be undone`);
    const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(retireDevice, input));
    invocation.print(view, () =>
      view.changed
        ? `${namedText(input.address, view.address)} is retired: it is disconnected and never admitted again (${effect}).`
        : `${namedText(input.address, view.address)} was retired already.`,
    );
    return undefined;
  },
};

const deviceReplace: Command = {
  name: 'device replace',
  summary:
    'Gives the address and name of a device to a new one, which was admitted meanwhile. This cannot be undone.',
  arguments: '<old> <new>',
  options: [YES, ...OWNED],
  examples: ['enf-fabric device replace pump-7 fd00:8f80:8000:1:4a2e:91c0:7b3d:55f2'],
  async run(invocation) {
    const [address, by] = invocation.positionals as [string, string];
    await requireYes(
      invocation,
      `This gives ${address} to ${by} and retires the chip that has it, and cannot be undone`,
    );
    const { view, effect } = await withFabric(invocation, (fabric) =>
      fabric.run(replaceDevice, { address, by }),
    );
    const name = view.name === null ? '' : `, called ${view.name}`;
    invocation.print(
      view,
      () =>
        `The device at ${namedText(by, view.former)} provisions again and has ${view.address} then${name} (${effect}).\n` +
        `The chip that had it is retired. A C peer has to be provisioned by hand.`,
    );
    return undefined;
  },
};

const deviceName: Command = {
  name: 'device name',
  summary: 'Names a device: a DNS label that no other device has. An empty text takes the name back.',
  arguments: '<address> <name>',
  options: [...OWNED],
  examples: ['enf-fabric device name fd00:8f80:8000:1:4a2e:91c0:7b3d:55f2 pump-7'],
  async run(invocation) {
    const [address, name] = invocation.positionals as [string, string];
    const { view } = await withFabric(invocation, (fabric) => fabric.run(nameDevice, { address, name }));
    invocation.print(
      view,
      () =>
        `${namedText(address, view.address)} ${view.name === null ? 'has no name' : `is called ${view.name}`}.`,
    );
    return undefined;
  },
};

const deviceNote: Command = {
  name: 'device note',
  summary: 'Notes something of a device; an empty text removes that.',
  arguments: '<address> <text>',
  options: [...OWNED],
  examples: ['enf-fabric device note fd00:8f80:8000:1:4a2e:91c0:7b3d:55f2 "behind the pump"'],
  async run(invocation) {
    const [address, note] = invocation.positionals as [string, string];
    const { view } = await withFabric(invocation, (fabric) => fabric.run(nameDevice, { address, note }));
    invocation.print(view, () => `${namedText(address, view.address)}: ${view.note ?? 'nothing is noted'}`);
    return undefined;
  },
};

function delegationCommand(granted: boolean): Command {
  return {
    name: granted ? 'device delegate' : 'device withdraw',
    summary: granted
      ? 'Grants a device a /64 for the machines behind it.'
      : 'Withdraws the prefix of a device at once; it is kept for the device.',
    arguments: '<address>',
    options: [...OWNED],
    examples: [`enf-fabric device ${granted ? 'delegate' : 'withdraw'} gateway-3`],
    async run(invocation) {
      const input = { address: invocation.positionals[0]!, granted };
      const { view, effect } = await withFabric(invocation, (fabric) => fabric.run(delegateToDevice, input));
      const name = namedText(input.address, view.address);
      invocation.print(view, () => {
        const has = view.delegated === null ? 'has no prefix' : `has ${view.delegated}`;
        const byGroup = !granted && view.delegated !== null ? ' still, by its group' : '';
        return `${name} ${has}${byGroup} (${view.changed ? effect : 'as before'}).`;
      });
      return undefined;
    },
  };
}

export const deviceCommands: readonly Command[] = [
  deviceList,
  deviceShow,
  deviceName,
  deviceNote,
  standingCommand('evict', 'Disconnects a device; it has to provision again and then keeps its address.'),
  standingCommand('ban', 'Disconnects a device and refuses it until it is unbanned.'),
  standingCommand('unban', 'Admits a banned device again.'),
  delegationCommand(true),
  delegationCommand(false),
  deviceRetire,
  deviceReplace,
];
