import { failed, ok, warning } from '../../../cli/check.ts';
import type { Check } from '../check.ts';

/** What is written at the moment may be a little ahead. */
const SLACK_MS = 300_000;
const SYNC = 'Synchronise it, by systemd-timesyncd or chrony for instance.';

export const clock: Check = {
  id: 'clock',
  about: 'whether the clock is plausible, and synchronised',
  async run(probes) {
    const [now, { writtenMs, synchronised }] = [probes.wallMs(), await probes.clock()];
    if (now < writtenMs - SLACK_MS) {
      const ahead = new Date(writtenMs).toISOString();
      return failed(
        `it says ${new Date(now).toISOString()}, and the registry was written at ${ahead}`,
        `Set it: times of handshakes, alarms, tokens and certificates are wrong until then. ${SYNC}`,
      );
    }
    if (synchronised === false) return warning('nothing synchronises it', SYNC);
    return ok(synchronised === true ? 'synchronised' : 'plausible');
  },
};
