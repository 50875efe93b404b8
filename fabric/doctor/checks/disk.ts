import { failed, ok, warning } from '../../../cli/check.ts';
import type { Check } from '../check.ts';

const MIB = 1_048_576;
/** Below this nothing is committed for long. */
const LEAST_MIB = 200;
const FREE = 'Free some: when the disk is full, nobody is admitted and nothing is changed.';

export const disk: Check = {
  id: 'disk',
  about: 'whether the disk of the data folder has room for the registry and a copy of it',
  async run(probes) {
    const { free, registry } = await probes.disk();
    const left = `${Math.floor(free / MIB)} MB are free`;
    if (free < LEAST_MIB * MIB) return failed(left, FREE);
    if (free < registry)
      return warning(
        `${left}, and the registry has ${Math.ceil(registry / MIB)} MB: no room for a copy of it`,
        FREE,
      );
    return ok(left);
  },
};
