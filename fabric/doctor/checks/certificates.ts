import { failed, failing, ok, warning } from '../../../cli/check.ts';
import { counted } from '../../../protocol/words.ts';
import type { Check } from '../check.ts';

const DAY_MS = 86_400_000;
const SOON_DAYS = 30;
/** Beyond that nobody counts days: certificates without an end have the year 9999. */
const FAR_DAYS = 3_650;
const RENEW =
  'Make another one before: "enf-fabric certificate rotate router". Devices refuse a router whose certificate is not valid. Check the clock, too.';

export const certificates: Check = {
  id: 'certificates',
  about: 'the certificates of the router and its root are valid, and for how long',
  async run(probes) {
    try {
      const now = probes.wallMs();
      const ends = [];
      for (const { file, fromMs, toMs } of await probes.certificates()) {
        const days = Math.floor((toMs - now) / DAY_MS);
        if (now < fromMs) return failed(`${file} is not valid before ${isoDay(fromMs)}`, RENEW);
        if (now > toMs) return failed(`${file} has expired on ${isoDay(toMs)}`, RENEW);
        if (days < SOON_DAYS)
          return warning(`${file} expires in ${counted(days, 'day')}, on ${isoDay(toMs)}`, RENEW);
        ends.push(toMs);
      }
      const first = Math.min(...ends);
      const days = Math.floor((first - now) / DAY_MS);
      return ok(days > FAR_DAYS ? `valid until ${isoDay(first)}` : `valid for ${counted(days, 'day')}`);
    } catch (error) {
      return failing(error);
    }
  },
};

const isoDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
