import { toHex } from '../../../protocol/bytes.ts';
import { formatIpv6, formatPrefix } from '../../../protocol/ipv6.ts';
import { parseNumberCursor } from '../../registry/pages.ts';
import {
  MOST_PER_SECOND,
  type Rate,
  type RateLimit,
  type RateParty,
  type Rates,
} from '../../registry/rates.ts';
import { badInput, oneOf, optional, text, whole } from '../contract/input.ts';
import { devicesOf, END } from '../contract/naming.ts';
import { type Changed, filteredList, isoTime, operation } from '../contract/operation.ts';
import type { LimitView } from '../views/limits.ts';

/** 0: any number. */
const PER_SECOND = whole(0, MOST_PER_SECOND);
const VALUES = {
  direction: optional(oneOf('in', 'out')),
  packets: optional(PER_SECOND),
  bytes: optional(PER_SECOND),
};

interface ValuesInput {
  /** As the device sees it; both unless given. */
  readonly direction?: 'in' | 'out' | undefined;
  /** In a second; 0: any number. What is not given stays as it is. */
  readonly packets?: number | undefined;
  readonly bytes?: number | undefined;
}

interface LimitInput extends ValuesInput {
  readonly network: string;
  /** `any`, `group:…` or `device:…`: any unless given. */
  readonly devices?: string | undefined;
}

/** A page of the rate limits of a network. @throws Failure `fabric.unknown-network`, `fabric.bad-cursor` */
export const listLimits = filteredList<RateLimit, LimitView, { network: string }>(
  'limit-list',
  { network: text(64) },
  async (registry, page, { network }) => {
    parseNumberCursor('limits', page.after);
    return registry.rateLimits(await registry.network(network), page);
  },
  () => limitView,
);

/** Limits each device of a network, or of a group, or one. @throws Failure `fabric.bad-input`, `fabric.bad-limit`, `fabric.limit-above-max`, `fabric.too-many-limits` */
export const setLimit = operation<LimitInput, Changed<LimitView>>(
  'limit-set',
  { network: text(64), devices: optional(END), ...VALUES },
  async ({ registry, running, actor }, input) => {
    const rates = ratesIn(input);
    const network = await registry.network(input.network);
    const devices = await devicesOf(registry, 'devices', input.devices ?? 'any');
    const limit = await registry.setRateLimit(actor, network, devices, rates);
    return { view: limitView(limit), effect: await running.notify() };
  },
);

/** @throws Failure `fabric.bad-input`, `fabric.unknown-network`, `fabric.unknown-limit` */
export const removeLimit = operation<{ network: string; devices: string }, Changed<LimitView>>(
  'limit-remove',
  { network: text(64), devices: END },
  async ({ registry, running, actor }, input) => {
    const network = await registry.network(input.network);
    const devices = await devicesOf(registry, 'devices', input.devices);
    const limit = await registry.removeRateLimit(actor, network, devices);
    return { view: limitView(limit), effect: await running.notify() };
  },
);

/** The most that any device of a network may, whatever its owner says: whoever runs the fabric sets it. @throws Failure `fabric.bad-input`, `fabric.unknown-network` */
export const setMax = operation<ValuesInput & { network: string }, Changed<LimitView>>(
  'limit-max',
  { network: text(64), ...VALUES },
  async ({ registry, running, actor }, input) => {
    const rates = ratesIn(input);
    const network = await registry.network(input.network);
    const limit = await registry.setRateLimit(actor, network, { kind: 'max' }, rates);
    return { view: limitView(limit), effect: await running.notify() };
  },
);

function ratesIn({ direction, packets, bytes }: ValuesInput): Rates {
  if (packets === undefined && bytes === undefined) throw badInput('packets', 'or bytes has to be given');
  const rate: Rate = { ...(packets !== undefined && { packets }), ...(bytes !== undefined && { bytes }) };
  return { in: direction === 'out' ? {} : rate, out: direction === 'in' ? {} : rate };
}

const limitView = ({ network, devices, rates, changed }: RateLimit): LimitView => ({
  network: formatPrefix(network),
  devices: partyView(devices),
  in: rateView(rates.in),
  out: rateView(rates.out),
  changed: isoTime(changed),
});

function partyView(party: RateParty): LimitView['devices'] {
  switch (party.kind) {
    case 'group':
      return { names: `group:${toHex(party.gid)}`, called: party.name ?? null };
    case 'device':
      return { names: `device:${formatIpv6(party.address)}`, called: party.name ?? null };
    default:
      return { names: party.kind, called: null };
  }
}

export const rateView = ({ packets, bytes }: Rate): LimitView['in'] => ({
  packets: packets ?? null,
  bytes: bytes ?? null,
});
