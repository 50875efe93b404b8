import { ok, skipped, warning } from '../../../cli/check.ts';
import { type Check, onItsHost } from '../check.ts';

export const forwarding: Check = {
  id: 'forwarding',
  about: 'whether devices reach what lies beyond this host',
  run: (probes) =>
    onItsHost(probes, async ({ tun }) => {
      const all = await probes.sysctl('net/ipv6/conf/all/forwarding');
      if (all === undefined) return skipped('this kernel runs without IPv6');
      if (all === '0') return ok('this host does not forward IPv6: devices reach nothing beyond it');
      return warning(
        'this host forwards IPv6: devices reach whatever it reaches, unless its firewall says otherwise',
        `If they are not to: sysctl -w net.ipv6.conf.all.forwarding=0, or drop what comes from ${tun} in the forward chain of your firewall.`,
      );
    }),
};
