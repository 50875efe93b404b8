import { failed, failing, ok, skipped, warning } from '../../../cli/check.ts';
import { counted } from '../../../protocol/words.ts';
import type { Check } from '../check.ts';

const DAY_MS = 86_400_000;
const SOON_DAYS = 30;

export const cas: Check = {
  id: 'cas',
  about: 'the CAs of owners are valid, and for how long',
  async run(probes) {
    try {
      const now = probes.wallMs();
      const all = await probes.cas();
      for (const { id, name, notAfter, issueDays } of all) {
        const days = Math.floor((Date.parse(notAfter) - now) / DAY_MS);
        const day = notAfter.slice(0, 10);
        const advice =
          issueDays === null
            ? 'Add the one that takes its place with "enf-fabric pki add".'
            : `Renew it with "enf-fabric pki renew ${id}": machines notice nothing.`;
        if (days < 0) return failed(`CA ${id} (${name}) has expired on ${day}`, advice);
        if (days < Math.max(SOON_DAYS, issueDays ?? 0))
          return warning(`CA ${id} (${name}) expires in ${counted(days, 'day')}, on ${day}`, advice);
      }
      return all.length === 0 ? skipped('no owner has a CA') : ok(`${counted(all.length, 'CA')}, all valid`);
    } catch (error) {
      return failing(error);
    }
  },
};
