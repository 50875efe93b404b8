import { failed, ok } from '../../../cli/check.ts';
import type { Check } from '../check.ts';
import type { ForeignManager } from '../probes.ts';

const LEAVE_UNMANAGED: Record<ForeignManager['name'], (device: string) => string> = {
  'systemd-networkd': (device) =>
    `Write /etc/systemd/network/10-enf.network with [Match] Name=${device} and [Link] Unmanaged=yes, then: networkctl reload.`,
  NetworkManager: (device) =>
    `Write /etc/NetworkManager/conf.d/enf.conf with [keyfile] unmanaged-devices=interface-name:${device}, then: nmcli general reload.`,
};

/** What the running agent says of the interface when another program has changed it. */
const CHANGED: ReadonlySet<string> = new Set(['os.interface-changed', 'os.tun-lost']);

export const foreignManagers: Check = {
  id: 'foreign-managers',
  about: 'no network manager manages the interface of the tunnel',
  async run(probes) {
    const { device } = probes.config.tunnel;
    const present = await probes.foreignManagers();
    const manager = present.find(({ manages }) => manages);
    if (manager) return failed(`${manager.name} manages ${device}`, LEAVE_UNMANAGED[manager.name](device));
    const trouble = (await probes.status())?.trouble;
    if (trouble && CHANGED.has(trouble.code))
      return failed(trouble.message, trouble.action ?? 'Find out which program changes it.');
    if (present.length === 0) return ok('no network manager runs here');
    return ok(`${present.map(({ name }) => name).join(' and ')} do not manage ${device}`);
  },
};
