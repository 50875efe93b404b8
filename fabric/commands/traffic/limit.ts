import type { Command, Invocation, Option } from '../../../cli/program.ts';
import { listLimits, removeLimit, setLimit, setMax } from '../../operations/traffic/limits.ts';
import type { DeviceDetails } from '../../operations/views/devices.ts';
import type { LimitView } from '../../operations/views/limits.ts';
import { OWNED, withFabric } from '../common/context.ts';
import { AFTER, ALL, CSV, LIMIT, printList } from '../common/list.ts';
import { badValue, endText, oneOf } from './words.ts';

/** Whose limit it is. */
const WHOSE: readonly Option[] = [
  { name: 'group', value: 'GROUP', help: 'of each device of this group, before that of the network' },
  { name: 'device', value: 'DEVICE', help: 'of this device alone, before that of its group' },
  {
    name: 'max',
    help: 'the most that any device of the network may, whatever its owner says: for whoever runs the fabric',
  },
];
const DIRECTION: Option = {
  name: 'direction',
  value: 'in|out',
  help: 'only what the devices get, or what they send; else both',
};

const limitSet: Command = {
  name: 'limit set',
  summary: 'Limits what each device of a network may send and get in a second.',
  arguments: '<network>',
  options: [
    { name: 'packets', value: 'N', help: 'packets in a second, such as 500 or 20k; unlimited' },
    { name: 'bytes', value: 'N', help: 'bytes in a second, such as 64k or 1M; unlimited' },
    DIRECTION,
    ...WHOSE,
    ...OWNED,
  ],
  examples: [
    'enf-fabric limit set plant --packets 1000 --bytes 1M',
    'enf-fabric limit set plant --group cameras --bytes 4M --direction out',
    'enf-fabric limit set plant --device pump-1 --packets unlimited --bytes unlimited',
    'enf-fabric limit set plant --max --bytes 10M',
  ],
  async run(invocation) {
    const [packets, bytes] = [perSecond(invocation, 'packets'), perSecond(invocation, 'bytes')];
    if (packets === undefined && bytes === undefined)
      throw badValue('--packets or --bytes', 'neither', 'Give how many a second.');
    const values = {
      ...directionOf(invocation),
      ...(packets !== undefined && { packets }),
      ...(bytes !== undefined && { bytes }),
    };
    const { view, effect } = await change(invocation, values);
    invocation.print(view, () => `${whoText(view)}: ${limitText(view)} (${effect}).`);
    return undefined;
  },
};

interface Values {
  readonly direction?: 'in' | 'out';
  readonly packets?: number;
  readonly bytes?: number;
}

/** Sets the limit that the options name. */
async function change(invocation: Invocation, values: Values) {
  const network = invocation.positionals[0]!;
  const devices = whose(invocation);
  return withFabric(invocation, (fabric) =>
    devices === undefined
      ? fabric.run(setMax, { network, ...values })
      : fabric.run(setLimit, { network, devices, ...values }),
  );
}

/** As an operation takes it; undefined: the most. @throws Failure `cli.bad-option` */
function whose(invocation: Invocation): string | undefined {
  const [group, device] = [invocation.option('group'), invocation.option('device')];
  const max = invocation.flag('max');
  const given = [group !== undefined, device !== undefined, max].filter(Boolean).length;
  if (given > 1)
    throw badValue('one of --group, --device and --max', `${given}`, 'Give the one that is meant.');
  if (max) return undefined;
  if (group !== undefined) return `group:${group}`;
  return device === undefined ? 'any' : `device:${device}`;
}

function directionOf(invocation: Invocation): { readonly direction?: 'in' | 'out' } {
  const given = invocation.option('direction');
  return given === undefined ? {} : { direction: oneOf('the direction', given, ['in', 'out'] as const) };
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };

/** 0: any number. @throws Failure `cli.bad-option` */
function perSecond(invocation: Invocation, name: 'packets' | 'bytes'): number | undefined {
  const given = invocation.option(name);
  if (given === undefined) return undefined;
  if (given === 'unlimited') return 0;
  const [, digits, unit] = /^([1-9]\d{0,10})([kMG]?)$/.exec(given) ?? [];
  if (digits !== undefined) return Number(digits) * UNITS[unit!]!;
  throw badValue(
    `--${name} as a number, with k, M or G behind it, or unlimited`,
    given,
    'Give one, such as 1M.',
  );
}

const limitList: Command = {
  name: 'limit list',
  summary: 'Lists the rate limits of a network, those of more devices first.',
  arguments: '<network>',
  options: [LIMIT, AFTER, ALL, CSV, ...OWNED],
  examples: ['enf-fabric limit list plant', 'enf-fabric limit list plant --json'],
  async run(invocation) {
    const network = invocation.positionals[0]!;
    await withFabric(invocation, (fabric) =>
      printList(
        invocation,
        fabric,
        listLimits,
        {
          header: ['DEVICES', 'PACKETS/S IN', 'BYTES/S IN', 'PACKETS/S OUT', 'BYTES/S OUT'],
          cells: (limit) => [
            endText(limit.devices),
            ...[limit.in.packets, limit.in.bytes, limit.out.packets, limit.out.bytes].map(cell),
          ],
          things: ['rate limit', 'rate limits'],
          none: 'No rate limits: its devices send and get as much as goes through their tunnels.',
        },
        { network },
      ),
    );
    return undefined;
  },
};

const cell = (value: number | null): string =>
  value === null ? '-' : value === 0 ? 'unlimited' : String(value);

const limitRemove: Command = {
  name: 'limit remove',
  summary: 'Removes the rate limit of a network, a group or a device.',
  arguments: '<network>',
  options: [...WHOSE, ...OWNED],
  examples: ['enf-fabric limit remove plant', 'enf-fabric limit remove plant --device pump-1'],
  async run(invocation) {
    const network = invocation.positionals[0]!;
    const devices = whose(invocation);
    const { view, effect } = await (devices === undefined
      ? change(invocation, { packets: 0, bytes: 0 })
      : withFabric(invocation, (fabric) => fabric.run(removeLimit, { network, devices })));
    invocation.print(view, () => `The rate limit is removed: ${whoText(view)} (${effect}).`);
    return undefined;
  },
};

const whoText = ({ devices, network }: LimitView): string => {
  if (devices.names === 'any') return `each device of ${network}`;
  return devices.names === 'max' ? `the most in ${network}` : `${endText(devices)} of ${network}`;
};

/** “in 1,000 packets/s, 1,000,000 bytes/s; out …”. */
export function limitText(limit: Pick<LimitView, 'in' | 'out'> | DeviceDetails['limits']): string {
  const way = ({ packets, bytes }: LimitView['in']): string => {
    const words = [
      ...(packets === null ? [] : [valueText(packets, 'packets')]),
      ...(bytes === null ? [] : [valueText(bytes, 'bytes')]),
    ];
    return words.length === 0 ? 'no limit' : words.join(', ');
  };
  return `in ${way(limit.in)}; out ${way(limit.out)}`;
}

const valueText = (value: number, unit: string): string =>
  value === 0 ? `any number of ${unit}` : `${value.toLocaleString('en')} ${unit}/s`;

export const limitCommands: readonly Command[] = [limitSet, limitList, limitRemove];
