import { failed, ok, warning } from '../../../cli/check.ts';
import { type Check, onItsHost } from '../check.ts';

export const hostServices: Check = {
  id: 'host-services',
  about: 'what devices may use of this host, and whether the rest is closed to them',
  run: (probes) =>
    onItsHost(probes, ({ tun, services, filter }) => {
      const table = `nftables table inet enf_fabric_${tun}`;
      if (filter !== 'in force' && services !== 'all') {
        const why =
          filter === 'not in force' ? 'is not as it should be' : `cannot be read: ${filter.unknown}`;
        return failed(
          `the ${table} ${why}; devices may reach every service of this host`,
          'See what the fabric logs, and which program changes nftables; the fabric restores its table within two seconds.',
        );
      }
      if (services === 'all') {
        return warning(
          'every device reaches every service of this host',
          'Serve with a list of what they need, such as --host-services tcp/22,udp/53, or without the option.',
        );
      }
      if (services === 'none') return ok(`closed to devices but for ping (${table})`);
      return ok(`devices may use ${services} and ping, the rest is closed (${table})`);
    }),
};
