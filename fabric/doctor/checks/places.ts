import { failing, ok, skipped, warning } from '../../../cli/check.ts';
import { counted } from '../../../protocol/words.ts';
import type { Check } from '../check.ts';

const DAY_MS = 86_400_000;

export const places: Check = {
  id: 'places',
  about: 'whether the databases of places can be read, and how old they are',
  async run(probes) {
    try {
      const { databases, oldDays } = await probes.places();
      if (databases.length === 0) return skipped('none is wanted (places.database = "none")');
      const aged = databases.map(({ source, built }) => ({
        text: `the database "${source}" is ${counted(Math.floor((probes.wallMs() - built) / DAY_MS), 'day')} old`,
        old: oldDays > 0 && built < probes.wallMs() - oldDays * DAY_MS,
      }));
      const old = aged.filter((each) => each.old);
      if (old.length === 0) return ok(aged.map(({ text }) => text).join('; '));
      return warning(
        old.map(({ text }) => text).join('; '),
        'Put a newer file in its place, and let the fabric read it: systemctl reload enf-fabric.',
      );
    } catch (error) {
      // The fabric serves without it.
      return failing(error);
    }
  },
};
