import { toHex } from '../../protocol/bytes.ts';
import { formatIpv6, formatPrefix } from '../../protocol/ipv6.ts';
import { text } from './contract/input.ts';
import { addressOf, DEVICE } from './contract/naming.ts';
import { type Changed, operation } from './contract/operation.ts';
import type { ReplacedView, StandingView } from './views/devices.ts';
import type { RemovedGroupView, RemovedNetworkView } from './views/groups.ts';

/** Removes a network without groups. @throws Failure `fabric.unknown-network`, `fabric.network-not-empty` */
export const removeNetwork = operation<{ prefix: string }, Changed<RemovedNetworkView>>(
  'network-remove',
  { prefix: text(64) },
  async ({ registry, running, actor }, input) => {
    const prefix = await registry.network(input.prefix);
    await registry.removeNetwork(actor, prefix);
    return { view: { prefix: formatPrefix(prefix) }, effect: await running.notify() };
  },
);

/** Removes a group without devices. @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group`, `fabric.group-not-empty` */
export const removeGroup = operation<{ gid: string }, Changed<RemovedGroupView>>(
  'group-remove',
  { gid: text(128) },
  async ({ registry, running, actor }, { gid: given }) => {
    const { gid, name } = await registry.group(given);
    await registry.removeGroup(actor, gid);
    return { view: { gid: toHex(gid), name }, effect: await running.notify() };
  },
);

/** Refuses a device for ever; nobody gets its address again. @throws Failure `fabric.unknown-device`, `ipv6.bad-address` */
export const retireDevice = operation<{ address: string }, Changed<StandingView>>(
  'device-retire',
  { address: DEVICE },
  async ({ registry, running, actor }, input) => {
    const address = await addressOf(registry, input.address);
    const changed = await registry.retireDevice(actor, address);
    const view: StandingView = { address: formatIpv6(address), standing: 'retired', changed };
    return { view, effect: await running.notify() };
  },
);

/**
 * Gives the address of a device to the chip of another one, which provisions again and then has it.
 * @throws Failure `fabric.unknown-device`, `fabric.same-device`, `fabric.other-network`, `fabric.device-retired`, `fabric.device-banned`
 */
export const replaceDevice = operation<{ address: string; by: string }, Changed<ReplacedView>>(
  'device-replace',
  { address: DEVICE, by: DEVICE },
  async ({ registry, running, actor }, input) => {
    const address = await addressOf(registry, input.address);
    const former = await addressOf(registry, input.by);
    await registry.replaceDevice(actor, address, former);
    const { name = null } = await registry.device(address);
    const view = { address: formatIpv6(address), name, former: formatIpv6(former) };
    return { view, effect: await running.notify() };
  },
);
