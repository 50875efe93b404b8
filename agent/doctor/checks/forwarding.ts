import { ok, skipped, warning } from '../../../cli/check.ts';
import type { Check } from '../check.ts';
import { targetAddresses } from '../targets.ts';

export const forwarding: Check = {
  id: 'forwarding',
  about: 'forwarding of IPv6 does not cost the uplink its default route',
  async run(probes) {
    const all = await probes.sysctl('net/ipv6/conf/all/forwarding');
    if (all === undefined) return skipped('this kernel runs without IPv6');
    if (all === '0') return ok('this machine does not forward IPv6');
    for (const address of await targetAddresses(probes)) {
      if (!address.includes(':')) continue;
      const uplink = (await probes.route(address))?.device;
      if (uplink === undefined || (await probes.sysctl(`net/ipv6/conf/${uplink}/accept_ra`)) !== '1')
        continue;
      return warning(
        `this machine forwards IPv6, so ${uplink} ignores router advertisements and may lose its default route`,
        `sysctl -w net.ipv6.conf.${uplink}.accept_ra=2, and set it in /etc/sysctl.d; or leave that to your network manager.`,
      );
    }
    return ok('this machine forwards IPv6, and its uplink keeps its default route');
  },
};
