import { formatIpv6, formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import { countries } from '../geo/countries.ts';
import { longestAbsence, STANDINGS, type Standing } from '../registry/admission.ts';
import { ratesOf } from '../registry/rates.ts';
import {
  type AgentReport,
  DEVICE_KINDS,
  type Device,
  type DeviceFilter,
  type DeviceKind,
  type StandingChange,
  standingOf,
} from '../registry/records.ts';
import type { OwnedReader, OwnedRegistry } from '../registry/registry.ts';
import { cityView, handshakeCountView } from './audit.ts';
import { badInput, checkDeviceName, oneOf, optional, text } from './contract/input.ts';
import { addressOf, DEVICE } from './contract/naming.ts';
import {
  type Changed,
  filteredList,
  isoTime,
  operation,
  type Presence,
  type ReadContext,
  wholeOf,
} from './contract/operation.ts';
import { partOf, searchFor } from './search.ts';
import { rateView } from './traffic/limits.ts';
import type { AgentView, DeviceDetails, DeviceView, NamedView, StandingView } from './views/devices.ts';

/** Handshakes that are shown of one device: all that are kept. */
const HISTORY = 50;

export interface DeviceFilterInput {
  /** First digits of a group's id. */
  readonly gid?: string | undefined;
  readonly network?: string | undefined;
  readonly kind?: DeviceKind | undefined;
  readonly standing?: Standing | undefined;
  readonly tunnel?: 'open' | 'ended' | 'never' | 'offline' | undefined;
  /** The code of the last failure that the device has reported; `any`: whichever. */
  readonly failure?: string | undefined;
  /** The name of the node where its tunnel ends; for whoever sees all owners. */
  readonly node?: string | undefined;
  /** `outside`: of a group with a roster in force, on which it is not. */
  readonly roster?: 'outside' | undefined;
  /** See `searchFor`. */
  readonly q?: string | undefined;
}

/** The fields that narrow a list of devices. */
export const DEVICE_FILTER = {
  gid: optional(text(128)),
  network: optional(text(64)),
  kind: optional(oneOf(...DEVICE_KINDS)),
  standing: optional(oneOf(...STANDINGS)),
  tunnel: optional(oneOf('open', 'ended', 'never', 'offline')),
  failure: optional(text(64)),
  node: optional(text(63)),
  roster: optional(oneOf('outside')),
  q: optional(text(64)),
};

/**
 * The filter as the registry takes it.
 * @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group`, `fabric.unknown-network`, `fabric.bad-network`, `node.unknown`, `access.not-whole`
 */
export async function deviceFilter(
  context: Pick<ReadContext, 'registry' | 'whole'>,
  { gid, network, kind, standing, tunnel, failure, node, roster, q }: DeviceFilterInput,
): Promise<DeviceFilter> {
  const { registry } = context;
  return {
    ...(gid !== undefined && { gid: (await registry.group(gid)).gid }),
    ...(network !== undefined && { network: await registry.network(network) }),
    ...(kind !== undefined && { kind }),
    ...(standing !== undefined && { standing }),
    ...(tunnel !== undefined && { tunnel }),
    ...(failure !== undefined && { failure }),
    ...(node !== undefined && { node: (await wholeOf(context).node(node)).name }),
    ...(roster !== undefined && { roster }),
    ...(q !== undefined && { search: { ...searchFor(q), ...partOf(q) } }),
  };
}

/**
 * A page of devices, oldest first: all, or those of a group, a network, with a standing, with a tunnel, at a node, or that a search finds.
 * @throws Failure as `deviceFilter`
 */
export const listDevices = filteredList<Device, DeviceView, DeviceFilterInput>(
  'device-list',
  DEVICE_FILTER,
  async (registry, page, filter, context) => registry.devices(page, await deviceFilter(context, filter)),
  async ({ running, whole }, devices) => {
    const presence = await running.presence(devices.map(({ address }) => address));
    // Devices of a group share their network.
    const networks = new Map<Prefix, string>();
    const networkOf = (network: Prefix): string => {
      const known = networks.get(network) ?? formatPrefix(network);
      networks.set(network, known);
      return known;
    };
    return (device) => deviceView(device, presence, networkOf(device.network), whole !== undefined);
  },
);

/** One device. @throws Failure `fabric.unknown-device`, `ipv6.bad-address` */
export const showDevice = operation<{ address: string }, DeviceDetails, ReadContext>(
  'device-show',
  { address: DEVICE },
  async ({ registry, running, whole }, input) => {
    const device = await registry.device(await addressOf(registry, input.address));
    const presence = await running.presence([device.address]);
    const handshakes = await registry.handshakes({ limit: HISTORY }, { device });
    const counts = await registry.handshakeCounts(device);
    const clones = await registry.clonesOf(device.address);
    const listed = await registry.rosterEntry(device);
    const rates = ratesOf(await registry.rateLimitsFor(device), device);
    const countryOf = await countries();
    return {
      ...deviceView(device, presence, formatPrefix(device.network), whole !== undefined),
      ...(device.movedTo !== undefined && { movedTo: formatIpv6(device.movedTo) }),
      serial: listed?.serial ?? null,
      box: listed?.box ?? null,
      resident: listed?.resident ?? null,
      delegated: await delegatedTo(registry, device),
      city: device.city === undefined ? null : cityView(device.city),
      limits: {
        in: rateView(rates.in),
        out: rateView(rates.out),
        dropped: (await running.limited?.(device.address)) ?? null,
      },
      twins:
        clones === undefined
          ? null
          : { at: isoTime(clones.at), from: clones.detail.from as readonly string[] },
      handshakes: handshakes.rows.map(({ at, source, country, city, suite, proven, result }) => ({
        at: isoTime(at),
        source,
        country: country ?? countryOf(source),
        city: city === undefined ? null : cityView(city),
        suite: suite ?? null,
        proven,
        result,
      })),
      earlierHandshakes: counts.map(handshakeCountView),
    };
  },
);

/** The prefix that a device has now, if it has one. */
export async function delegatedTo(registry: OwnedReader, device: Device): Promise<string | null> {
  const delegated = await registry.delegated(device);
  return delegated === undefined ? null : formatPrefix(delegated);
}

/** Evicts, bans or unbans a device. @throws Failure `fabric.unknown-device`, `ipv6.bad-address` */
export const setStanding = operation<{ address: string; change: StandingChange }, Changed<StandingView>>(
  'device-standing',
  { address: DEVICE, change: oneOf('evict', 'ban', 'unban') },
  async ({ registry, running, actor }, input) => {
    const address = await addressOf(registry, input.address);
    const back = backWithin(registry);
    const changed = await registry.setStanding(actor, address, input.change);
    const standing = standingOf(await registry.device(address));
    const effect = await running.notify();
    const readmitted = changed && input.change === 'unban' && standing === 'active';
    return { view: { address: formatIpv6(address), standing, changed, ...(readmitted && back) }, effect };
  },
);

/** When those come back that are shut out now, if they are readmitted: as the router has told them. */
export const backWithin = (registry: OwnedRegistry): { readonly backWithin: number } => ({
  backWithin: longestAbsence(registry.excluded()),
});

const LONGEST_NOTE = 500;

/**
 * Names a device, or notes something of it; an empty text removes that.
 * @throws Failure `fabric.unknown-device`, `fabric.name-exists`, `fabric.bad-input`
 */
export const nameDevice = operation<
  { address: string; name?: string | undefined; note?: string | undefined },
  Changed<NamedView>
>(
  'device-name',
  { address: DEVICE, name: optional(text(63)), note: optional(text(LONGEST_NOTE)) },
  async ({ registry, running, actor }, { address: given, name, note }) => {
    if (name === undefined && note === undefined) throw badInput('name', 'or note has to be given');
    if (name !== undefined && name !== '') checkDeviceName(name);
    const address = await addressOf(registry, given);
    await registry.nameDevice(actor, address, {
      ...(name !== undefined && { name }),
      ...(note !== undefined && { note: note.normalize('NFC') }),
    });
    const named = await registry.device(address);
    const view = { address: formatIpv6(address), name: named.name ?? null, note: named.note ?? null };
    return { view, effect: await running.notify() };
  },
);

/** `everything`: of whom nothing is hidden; which nodes there are is nothing of an owner's. */
function deviceView(
  device: Device,
  presence: Presence | undefined,
  network: string,
  everything: boolean,
): DeviceView {
  const { handshake, tunnel, agent } = device;
  const node = device.attached?.node ?? null;
  const contact = presence?.(device.address);
  const silentSince = contact?.silentSince;
  return {
    address: formatIpv6(device.address),
    name: device.name ?? null,
    standing: standingOf(device),
    // What another node carries this one knows from the registry.
    online: contact === undefined ? null : contact.online || node !== null,
    ...(silentSince !== undefined && { silentSince: isoTime(silentSince) }),
    group: device.groupName,
    gid: hex(device.gid),
    network,
    owner: device.owner,
    note: device.note ?? null,
    kind: device.kind,
    pseudonym: hex(device.pseudonym),
    longtermKey: hex(device.longtermKey),
    created: isoTime(device.created),
    lastHandshake: { at: isoTime(handshake.at), from: handshake.from },
    country: device.country ?? null,
    lastTunnel: tunnel === undefined ? null : tunnelView(tunnel),
    node: everything ? node : null,
    agent: agent === undefined ? null : agentView(agent),
  };
}

/** As `toHex`, in a fifth of the time: there are three of them in every row. */
const hex = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString('hex');

function tunnelView({ at, from, ended }: NonNullable<Device['tunnel']>): DeviceView['lastTunnel'] {
  return { at: isoTime(at), from, ended: ended === undefined ? null : isoTime(ended) };
}

function agentView({ at, version, failure }: AgentReport): AgentView {
  return {
    version,
    reported: isoTime(at),
    lastFailure: failure === undefined ? null : { code: failure.code, at: isoTime(failure.at) },
  };
}
