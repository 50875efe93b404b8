import type { Kernel } from '../../os/linux/network-config.ts';
import type { Log } from '../../os/service/log.ts';
import { describeError } from './describe.ts';
import { removal } from './desired.ts';
import type { Filter } from './filter.ts';
import { isLockdown } from './nftables.ts';
import { observe } from './observe.ts';
import type { Policy } from './policy.ts';

/** Removes what a crash, `persist` or another configuration of this interface has left of a lockdown, which is recognised by its table. */
export async function clean(kernel: Kernel, policy: Policy, filter: Filter, log: Log): Promise<void> {
  // Without nft there is no table either.
  const table = await filter.read().catch(() => undefined);
  if (table === undefined) return;
  if (isLockdown(table)) {
    log('notice', 'the lockdown of an earlier run is lifted, because route.mode is "split"');
    await remove(kernel, { ...policy, mode: 'lockdown' }, log);
  }
  await filter.remove();
}

/** Everything that can be removed, even if one of the changes fails. */
export async function remove(kernel: Kernel, policy: Policy, log: Log): Promise<void> {
  for (const change of removal(policy, await observe(kernel, policy))) {
    await kernel.change(change).catch((error) => log('warning', describeError(error)));
  }
}
