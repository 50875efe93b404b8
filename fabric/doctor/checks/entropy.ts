import { ok, skipped, warning } from '../../../cli/check.ts';
import type { Check } from '../check.ts';

/** Bits; a kernel that is ready has 256 for ever, an old one says how many it has estimated. */
const ENOUGH = 128;

export const entropy: Check = {
  id: 'entropy',
  about: 'whether the kernel has random numbers',
  async run(probes) {
    const bits = await probes.sysctl('kernel/random/entropy_avail');
    if (bits === undefined) return skipped('this kernel does not say');
    if (Number(bits) >= ENOUGH) return ok(`${bits} bits`);
    return warning(
      `${bits} bits: programs that make keys wait`,
      'Give a virtual machine a virtio-rng device, or install rng-tools5 or haveged.',
    );
  },
};
