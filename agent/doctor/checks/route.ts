import { type Check, failed, ok, skipped } from '../check.ts';
import { targetAddresses } from '../targets.ts';

export const route: Check = {
  id: 'route',
  about: 'a route leads to the fabric',
  async run(probes) {
    const addresses = await targetAddresses(probes);
    if (addresses.length === 0) return skipped('no address is known');
    const found: string[] = [];
    for (const address of addresses) {
      const way = await probes.route(address);
      if (way) found.push(`${address} via ${way.gateway ?? 'the link'} on ${way.device}`);
    }
    if (found.length > 0) return ok(found.join('; '));
    return failed(
      `no route to ${addresses.join(', ')}`,
      'Check the cable, the address of the uplink and its default route: ip address; ip route; ip -6 route.',
    );
  },
};
