import { toHex } from '../../protocol/bytes.ts';
import { formatIpv6, formatPrefix } from '../../protocol/ipv6.ts';
import { parseSuffix } from '../dns/zone.ts';
import { hostAddress } from '../registry/address.ts';
import { type Delegation, parsePool } from '../registry/delegations.ts';
import { parseNumberCursor } from '../registry/pages.ts';
import { type Network, parseNetwork } from '../registry/records.ts';
import { badInput, flag, oneOf, optional, text } from './contract/input.ts';
import { addressOf, DEVICE } from './contract/naming.ts';
import { type Changed, filteredList, isoTime, operation, type ReadContext } from './contract/operation.ts';
import { delegatedTo } from './devices.ts';
import { textFilter } from './search.ts';
import type { DelegationView, DeviceGrantView, GroupGrantView, PoolView } from './views/delegations.ts';
import type { LentView, NetworkView, RenamedNetworkView, ResidentView, ZoneView } from './views/groups.ts';

const LONGEST_NOTE = 500;

/** Adds a network. @throws Failure `fabric.bad-network`, `fabric.network-exists`, `ipv6.bad-prefix` */
export const addNetwork = operation<
  { prefix: string; name: string; note?: string | undefined },
  Changed<NetworkView>
>(
  'network-add',
  { prefix: text(64), name: text(1_000), note: optional(text(LONGEST_NOTE)) },
  async ({ registry, running, actor }, { prefix, name, note }) => {
    const added = await registry.addNetwork(actor, parseNetwork(prefix), name, note?.normalize('NFC'));
    return { view: networkView(added), effect: await running.notify() };
  },
);

/** Its note stays unless one is given; an empty text removes it. @throws Failure `fabric.bad-network`, `fabric.unknown-network`, `ipv6.bad-prefix` */
export const renameNetwork = operation<
  { prefix: string; name: string; note?: string | undefined },
  Changed<RenamedNetworkView>
>(
  'network-rename',
  { prefix: text(64), name: text(60), note: optional(text(LONGEST_NOTE)) },
  async ({ registry, running, actor }, { prefix: given, name, note }) => {
    if (name.trim() === '') throw badInput('name', 'is empty');
    const prefix = await registry.network(given);
    await registry.renameNetwork(actor, prefix, name, note?.normalize('NFC'));
    return { view: { prefix: formatPrefix(prefix), name }, effect: await running.notify() };
  },
);

/** Without a zone its devices have no names in DNS. @throws Failure `dns.bad-zone`, `fabric.unknown-network`, `ipv6.bad-prefix` */
export const setZone = operation<{ prefix: string; zone: string }, Changed<ZoneView>>(
  'network-zone',
  { prefix: text(64), zone: text(253) },
  async ({ registry, running, actor }, { prefix: given, zone: domain }) => {
    const zone = domain === '' ? undefined : parseSuffix(domain);
    const prefix = await registry.network(given);
    await registry.setZone(actor, prefix, zone);
    return { view: { prefix: formatPrefix(prefix), zone: zone ?? null }, effect: await running.notify() };
  },
);

/**
 * Whether a network takes only devices whose chips keep their keys, as the roster of their group says. Those that are in keep their tunnels, and are
 * refused when they provision. @throws Failure `fabric.unknown-network`, `fabric.ambiguous-network`, `ipv6.bad-prefix`
 */
export const setResidentOnly = operation<
  { prefix: string; takes: 'any' | 'resident' },
  Changed<ResidentView>
>(
  'network-takes',
  { prefix: text(64), takes: oneOf('any', 'resident') },
  async ({ registry, running, actor }, { prefix: given, takes }) => {
    const prefix = await registry.network(given);
    const residentOnly = takes === 'resident';
    await registry.setResidentOnly(actor, prefix, residentOnly);
    return {
      view: { prefix: formatPrefix(prefix), residentOnly },
      effect: await running.notify(),
    };
  },
);

/** A page of networks, oldest first: all, or those with `q` in their name or prefix. */
export const listNetworks = filteredList<Network, NetworkView, { q?: string | undefined }>(
  'network-list',
  { q: optional(text(64)) },
  (registry, page, { q }) => registry.networks(page, textFilter(q)),
  () => networkView,
);

/** Where the caller adds networks: whoever acts for all owners, for the first one. */
export const listPrefixes = operation<object, LentView, ReadContext>(
  'prefix-list',
  {},
  async ({ registry }) => {
    const { spaces, anywhere } = await registry.lent();
    return { prefixes: spaces.map(formatPrefix), anywhere };
  },
);

/**
 * Gives a network the prefix out of which /64s are delegated to its devices; empty: takes it away.
 * @throws Failure `fabric.bad-pool`, `fabric.prefix-not-lent`, `fabric.prefix-in-use`, `fabric.pool-in-use`, `fabric.unknown-network`, `ipv6.bad-prefix`
 */
export const setPool = operation<{ prefix: string; pool: string }, Changed<PoolView>>(
  'network-pool',
  { prefix: text(64), pool: text(64) },
  async ({ registry, running, actor }, input) => {
    const pool = input.pool === '' ? undefined : parsePool(input.pool);
    const network = await registry.network(input.prefix);
    await registry.setPool(actor, network, pool);
    const view = { prefix: formatPrefix(network), pool: pool === undefined ? null : formatPrefix(pool) };
    return { view, effect: await running.notify() };
  },
);

/** Grants each device of a group a prefix, or withdraws that. @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group`, `fabric.no-pool` */
export const delegateToGroup = operation<{ gid: string; granted: boolean }, Changed<GroupGrantView>>(
  'group-delegate',
  { gid: text(128), granted: flag },
  async ({ registry, running, actor }, { gid: given, granted }) => {
    const { gid, name } = await registry.group(given);
    const changed = await registry.setGrant(actor, { kind: 'group', gid }, granted);
    const view = { gid: toHex(gid), name, granted, changed };
    return { view, effect: await running.notify() };
  },
);

/**
 * Grants a device a prefix, or withdraws that. @throws Failure `fabric.unknown-device`, `fabric.device-retired`, `fabric.no-pool`, `fabric.pool-full`,
 * `ipv6.bad-address`
 */
export const delegateToDevice = operation<{ address: string; granted: boolean }, Changed<DeviceGrantView>>(
  'device-delegate',
  { address: DEVICE, granted: flag },
  async ({ registry, running, actor }, { address: given, granted }) => {
    const address = await addressOf(registry, given);
    const changed = await registry.setGrant(actor, { kind: 'device', address }, granted);
    const delegated = await delegatedTo(registry, await registry.device(address));
    const view = { address: formatIpv6(address), granted, delegated, changed };
    return { view, effect: await running.notify() };
  },
);

/** A page of the prefixes of a network's devices, in their order. @throws Failure `fabric.unknown-network` */
export const listDelegations = filteredList<Delegation, DelegationView, { prefix: string }>(
  'delegation-list',
  { prefix: text(64) },
  async (registry, page, { prefix }) => {
    parseNumberCursor('delegations', page.after);
    return registry.delegations(await registry.network(prefix), page);
  },
  () =>
    ({ prefix, address, name, inForce }) => ({
      prefix: formatPrefix(prefix),
      address: formatIpv6(address),
      name: name ?? null,
      inForce,
    }),
);

function networkView({ prefix, name, owner, zone, note, residentOnly, pool, created }: Network): NetworkView {
  return {
    prefix: formatPrefix(prefix),
    name,
    owner,
    zone: zone ?? null,
    note: note ?? null,
    residentOnly,
    pool: pool === undefined ? null : formatPrefix(pool),
    host: formatIpv6(hostAddress(prefix.address)),
    created: isoTime(created),
  };
}
