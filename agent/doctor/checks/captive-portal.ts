import { failed, ok, skipped, warning } from '../../../cli/check.ts';
import type { Check } from '../check.ts';
import { targetAddresses } from '../targets.ts';
import { handshakes } from './handshakes.ts';

const LOG_IN = 'Log in on this network with a browser, or have this device exempted.';
/** Network Authentication Required (RFC 6585 §6). */
const LOGIN_REQUIRED = 511;

export const captivePortal: Check = {
  id: 'captive-portal',
  about: 'no captive portal or proxy answers instead of the fabric',
  async run(probes) {
    const addresses = await targetAddresses(probes);
    if (addresses.length === 0) return skipped('no address is known');
    // Without a TLS root no certificate can be checked; the check "tls" reports that.
    const answers = await handshakes(probes).catch(() => []);
    const foreign = answers.find(({ answer }) => answer.verdict === 'foreign');
    if (foreign && !answers.some(({ answer }) => answer.verdict === 'trusted')) {
      const issuer = foreign.answer.issuer ?? 'an unnamed issuer';
      return failed(`TLS to ${foreign.address} is answered with a certificate signed by ${issuer}`, LOG_IN);
    }
    // HTTP to port 80 does not go through the proxy: it proves nothing.
    if (probes.config.remote.proxy) return ok('nothing intercepts TLS');
    for (const address of addresses) {
      const page = await probes.http(address);
      if (page === undefined) continue;
      if (page.status === LOGIN_REQUIRED) {
        return failed(`HTTP to ${address} is answered with ${LOGIN_REQUIRED}: a login is required`, LOG_IN);
      }
      const away = page.redirectsTo;
      if (away !== undefined && ![...addresses, ...probes.config.remote.hosts].includes(away)) {
        return warning(`HTTP to ${address} is redirected to ${away}`, LOG_IN);
      }
    }
    return ok('nothing intercepts TLS or HTTP');
  },
};
