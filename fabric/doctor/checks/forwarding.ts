import { failed, ok, skipped, warning } from '../../../cli/check.ts';
import { type Check, onItsHost } from '../check.ts';

export const forwarding: Check = {
  id: 'forwarding',
  about: 'whether devices reach what lies beyond this host',
  run: (probes) =>
    onItsHost(probes, async ({ tun, routes }) => {
      const all = await probes.sysctl('net/ipv6/conf/all/forwarding');
      if (all === undefined) return skipped('this kernel runs without IPv6');
      if (routes !== undefined && all === '0')
        return failed(
          'this host does not forward IPv6: its devices do not reach those of other nodes',
          'sysctl -w net.ipv6.conf.all.forwarding=1, and in /etc/sysctl.d.',
        );
      if (all === '0') return ok('this host does not forward IPv6: devices reach nothing beyond it');
      return warning(
        'this host forwards IPv6: devices reach whatever it reaches, unless its firewall says otherwise',
        routes !== undefined
          ? `If they are not to: drop what comes from ${tun} in the forward chain of your firewall, but for what goes to other nodes.`
          : `If they are not to: sysctl -w net.ipv6.conf.all.forwarding=0, or drop what comes from ${tun} in the forward chain of your firewall.`,
      );
    }),
};
