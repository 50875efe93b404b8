import { type Check as AnyCheck, type Finding, failing, skipped } from '../../cli/check.ts';
import type { HostServing, Serving } from '../operations/contract/serving.ts';
import type { Probes } from './probes.ts';

/** One thing that a fabric needs; docs/doctor.md has a line for each id. */
export type Check = AnyCheck<Probes>;

/** What is found of the fabric that serves; skipped if none does. */
export async function whileServing(
  probes: Probes,
  find: (serving: Serving) => Promise<Finding> | Finding,
): Promise<Finding> {
  const serving = await probes.serving().catch(() => undefined);
  if (!serving) return skipped('no fabric answers');
  return Promise.resolve(find(serving)).catch(failing);
}

/** The same of its host; skipped if that has no part in it. */
export const onItsHost = (
  probes: Probes,
  find: (host: HostServing) => Promise<Finding> | Finding,
): Promise<Finding> =>
  whileServing(probes, ({ tunnel, host }) => {
    if (tunnel === null) return skipped('this host serves no tunnels (node.serves)');
    return host === null ? skipped('this host has no part in the networks (--tun none)') : find(host);
  });
