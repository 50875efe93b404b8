import { failed, failing, ok, skipped } from '../../../cli/check.ts';
import { type Failure, isFailure } from '../../../protocol/failure.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { checkPrefixes, tunnelPrefixes } from '../../network/desired.ts';
import { policyOf } from '../../network/policy.ts';
import type { Check } from '../check.ts';
import type { Probes } from '../probes.ts';
import { targetAddresses } from '../targets.ts';

export const route: Check = {
  id: 'route',
  about: 'a route leads to the fabric',
  async run(probes) {
    const conflict = await inUse(probes);
    if (conflict !== undefined) return failing(conflict);
    const addresses = await targetAddresses(probes);
    if (addresses.length === 0) return skipped('no address is known');
    const found: string[] = [];
    for (const address of addresses) {
      const way = await probes.route(address);
      if (way) found.push(`${address} via ${way.gateway ?? 'the link'} on ${way.device}`);
    }
    const { bypass, mark } = policyOf(probes.config);
    const note = bypass ? `; mark ${mark} keeps the connection out of route.prefixes` : '';
    if (found.length > 0) return ok(`${found.join('; ')}${note}`);
    return failed(
      `no route to ${addresses.join(', ')}`,
      'Check the cable, the address of the uplink and its default route: ip address; ip route; ip -6 route.',
    );
  },
};

/** A network of this machine that the tunnel is to carry. */
async function inUse({ config, links, state }: Probes): Promise<Failure | undefined> {
  if (config.route.mode === 'lockdown' || links === undefined) return undefined;
  const address = await state().then(
    (view) => view.address,
    () => undefined,
  );
  const { prefixes } = config.route;
  try {
    checkPrefixes(address === undefined ? prefixes : tunnelPrefixes(parseIpv6(address), prefixes), links());
    return undefined;
  } catch (error) {
    if (!isFailure(error)) throw error;
    return error;
  }
}
