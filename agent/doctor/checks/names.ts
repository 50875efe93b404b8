import { ok, skipped, warning } from '../../../cli/check.ts';
import { isFailure } from '../../../protocol/failure.ts';
import type { Check } from '../check.ts';

export const names: Check = {
  id: 'names',
  about: 'systemd-resolved asks the fabric for names of the network, if dns.zone is set',
  async run(probes) {
    const { dns, tunnel } = probes.config;
    if (dns.zone === '') return skipped('dns.zone is empty: no resolver is told');
    try {
      const { servers, domains } = await probes.linkNames();
      if (servers[0] !== undefined && domains.includes(`~${dns.zone.replace(/\.$/, '')}`))
        return ok(`${servers[0]} is asked for names in ${dns.zone}`);
      return warning(
        `nobody is asked for names in ${dns.zone} over ${tunnel.device}`,
        'The agent sets that once the tunnel is up, within five minutes if it was taken away; see what it logs.',
      );
    } catch (error) {
      // The tunnel works without.
      if (!isFailure(error)) throw error;
      return warning(`${error.message} [${error.code}]`, error.action ?? 'See docs/dns.md.');
    }
  },
};
