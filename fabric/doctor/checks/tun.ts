import { failed, ok } from '../../../cli/check.ts';
import { counted } from '../../../protocol/words.ts';
import { type Check, onItsHost } from '../check.ts';

const RESTART = 'Another program has changed it; leave it to the fabric, and restart that.';
/** Named at most; a fabric may have many networks. */
const MOST_NAMED = 3;

export const tun: Check = {
  id: 'tun',
  about: 'the TUN device is up, with an address and a route in each network',
  run: (probes) =>
    onItsHost(probes, async ({ tun: device }) => {
      const found = (await probes.interfaces()).find(({ name }) => name === device);
      if (found === undefined)
        return failed(
          `there is no interface ${device}: devices reach each other, but not this host`,
          RESTART,
        );
      if (!found.up) return failed(`${device} is down`, `ip link set ${device} up, or restart the fabric.`);
      const addresses = new Set(found.addresses);
      const routes = new Set((await probes.routes(device)).map(({ destination }) => destination));
      const missing: string[] = [];
      let networks = 0;
      for await (const { prefix, host } of probes.networks()) {
        networks++;
        if (!addresses.has(`${host}/128`)) missing.push(`address ${host}`);
        if (!routes.has(prefix)) missing.push(`route to ${prefix}`);
      }
      if (missing.length === 0)
        return ok(`${device} is up, with addresses and routes of ${counted(networks, 'network')}`);
      const more = missing.length > MOST_NAMED ? ` and ${missing.length - MOST_NAMED} more` : '';
      return failed(`${device} lacks ${missing.slice(0, MOST_NAMED).join(', ')}${more}`, RESTART);
    }),
};
