import { failed, ok, skipped } from '../../../cli/check.ts';
import type { Check } from '../check.ts';

export const delegation: Check = {
  id: 'delegation',
  about: 'the LAN of a gateway can be announced',
  async run(probes) {
    const { interface: lan } = probes.config.delegation;
    if (lan === '') return skipped('delegation.interface names no LAN');
    if ((await probes.sysctl(`net/ipv6/conf/${lan}/forwarding`)) === undefined)
      return failed(
        `there is no interface ${lan} with IPv6`,
        'Name the LAN as delegation.interface; "ip link" lists the interfaces.',
      );
    if ((await probes.sysctl('net/ipv6/conf/all/forwarding')) === '0')
      return failed(
        `this machine forwards no IPv6, so nothing is announced on ${lan}`,
        'Set net.ipv6.conf.all.forwarding=1 in /etc/sysctl.d, see docs/prefix.md.',
      );
    const told = (await probes.status())?.delegation;
    if (told?.failure)
      return failed(
        `${told.prefix} is incomplete on ${lan}: ${told.failure.message}`,
        told.failure.action ?? 'See docs/errors.md.',
      );
    return ok(
      told
        ? `${told.prefix} is announced on ${lan}`
        : `${lan} can be announced; no prefix is delegated, as far as is known`,
    );
  },
};
