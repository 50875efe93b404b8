import { ok, skipped, warning } from '../../../cli/check.ts';
import { counted } from '../../../protocol/words.ts';
import type { Check } from '../check.ts';

const DAY_MS = 86_400_000;
const OLD_DAYS = 7;
const MAKE = 'Make one each day: enf-fabric backup create (docs/backup.md).';

export const backup: Check = {
  id: 'backup',
  about: 'how old the newest backup is that was made of this folder, on this host',
  async run(probes) {
    const serving = await probes.serving();
    if (serving && serving.serves?.includes('console') === false)
      return skipped('backups are made on a host that serves the console');
    const at = await probes.backupAt();
    if (at === undefined) return warning('no backup was ever made', MAKE);
    const days = Math.floor((probes.wallMs() - at) / DAY_MS);
    const age =
      days < 1 ? 'the newest backup is of today' : `the newest backup is ${counted(days, 'day')} old`;
    return days >= OLD_DAYS ? warning(age, MAKE) : ok(age);
  },
};
