import type { Group } from '../group/group.ts';
import { withJournal } from './journal.ts';
import type { Facts, Row } from './row.ts';

/** Who makes the entries of a station's devices. */
export type Operator = Pick<Facts, 'station' | 'operator'>;

/** What a person or the machine says of one device. */
export type Marks = Operator & Pick<Facts, 'serial' | 'serialFrom'>;

/** A device's entry, and whether it was there before. */
export interface Recorded {
  readonly row: Row;
  readonly known: boolean;
}

/**
 * Notes that a device gets a credential, durably, and before the credential leaves the memory of the program: a batch that is closed, or in which the
 * serial number belongs to another, gives none away. @throws Failure those of `Journal.record`
 */
export const recordIssued = (
  group: Group,
  facts: Omit<Facts, 'result'> & { readonly member: string },
): Promise<Row> =>
  withJournal(group, async (journal) => {
    journal.requireOpen();
    return journal.record({ ...facts, result: 'issued' });
  });

/** Adds a device to the batch's journal, durably, unless it is there. @throws Failure those of `Journal.record` */
export const recordDevice = (
  group: Group,
  facts: Omit<Facts, 'result'> & { readonly member: string },
): Promise<Recorded> =>
  withJournal(group, async (journal) => {
    const known = (await journal.find({ member: facts.member }))?.result === 'pass';
    return { row: await journal.record({ ...facts, result: 'pass' }), known };
  });

/** How many devices the batch has. @throws Failure those of `withJournal` */
export const countDevices = (group: Group): Promise<number> =>
  withJournal(group, async ({ tally }) => tally.passed);
