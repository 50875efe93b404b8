import { failed, ok, warning } from '../../../cli/check.ts';
import { earliestTime } from '../../lifecycle/wall-clock.ts';
import type { Check } from '../check.ts';

const iso = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

export const clock: Check = {
  id: 'clock',
  about: 'the time of day is plausible, and a time server sets it',
  async run(probes) {
    const state = await probes.state().catch(() => undefined);
    const now = probes.wallMs();
    const earliest = earliestTime(probes.builtMs, state?.lastGoodMs);
    if (now < earliest.ms) {
      return failed(
        `the clock says ${iso(now)}, which is before ${earliest.what} (${iso(earliest.ms)})`,
        now < probes.builtMs
          ? 'Set the clock (timedatectl set-time), or have a time server set it (timedatectl set-ntp true).'
          : 'Set the clock if it is wrong (timedatectl set-ntp true). If it is right, it was wrong then; the next tunnel mends what was kept.',
      );
    }
    if ((await probes.clockSynchronised()) === false) {
      return warning(
        `${iso(now)}, but no time server sets the clock`,
        'Enable one: timedatectl set-ntp true. A wrong clock makes certificates look invalid.',
      );
    }
    return ok(iso(now));
  },
};
