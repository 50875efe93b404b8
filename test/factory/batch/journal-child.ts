import { withJournal } from '../../../factory/batch/journal.ts';
import { openGroup } from '../../../factory/group/group.ts';
import type { Failure } from '../../../protocol/failure.ts';

const group = await openGroup(process.argv[2]!);
const member = (number: number): string => number.toString(16).padStart(64, '0');

/** Says what is there, and what an attempt to add something gives. */
async function read(): Promise<void> {
  process.send!(
    await withJournal(group, async (journal) => ({
      passed: journal.tally.passed,
      serial: (await journal.find({ member: member(1) }))?.serial,
      code: await journal.record({ result: 'pass', member: member(2) }).catch((error: Failure) => error.code),
    })),
  );
}

/** Adds 60 devices, of which every other one is also added by the next child, and says so after each. */
async function write(first: number): Promise<void> {
  for (let number = first * 30; number < first * 30 + 60; number++) {
    await withJournal(group, (journal) => journal.record({ result: 'pass', member: member(number) }));
    process.send!(number);
  }
}

await (process.argv[3] === 'read' ? read() : write(Number(process.argv[3])));
process.disconnect();
