import { withJournal } from '../../../factory/batch/journal.ts';
import { openGroup } from '../../../factory/group/group.ts';

/** Adds 60 devices, of which every other one is also added by the next child, and says so after each. */
const group = await openGroup(process.argv[2]!);
const first = Number(process.argv[3]);
for (let i = 0; i < 60; i++) {
  const number = first * 30 + i;
  const member = number.toString(16).padStart(64, '0');
  await withJournal(group, (journal) => journal.record({ result: 'pass', member }));
  process.send!(number);
}
process.disconnect();
