import { failed, ok } from '../../../cli/check.ts';
import type { Check } from '../check.ts';

export const ipv6: Check = {
  id: 'ipv6',
  about: 'IPv6 is enabled for the interface of the tunnel',
  async run(probes) {
    const disabled = await probes.ipv6Disabled();
    return disabled === undefined ? ok('IPv6 is enabled') : failed(disabled.message, disabled.action ?? '');
  },
};
