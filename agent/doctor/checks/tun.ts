import { failed, ok } from '../../../cli/check.ts';
import type { Check } from '../check.ts';

const PATH = '/dev/net/tun';

export const tun: Check = {
  id: 'tun',
  about: 'the kernel can make TUN interfaces',
  async run(probes) {
    const file = await probes.deviceFile(PATH);
    if (file === undefined || !file.character) {
      return failed(
        `${PATH} is ${file === undefined ? 'missing' : 'not a device'}`,
        'Load the module: modprobe tun (and have it loaded at boot: /etc/modules-load.d); in a container, pass the device in.',
      );
    }
    if (file.usable) return ok(`${PATH} exists and may be used`);
    const { user } = await probes.identity();
    return failed(`${PATH} (mode ${file.mode.toString(8)}) may not be used by ${user}`, `chmod 0666 ${PATH}`);
  },
};
