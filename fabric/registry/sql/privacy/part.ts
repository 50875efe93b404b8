import type { Scope } from '../../../access/scope.ts';
import { keptAddress, keptEndpoint, type OwnPrivacy, type PrivacyKeeper } from '../../privacy.ts';
import type { Act } from '../../records.ts';
import type { CommitQueue } from '../base/commit-queue.ts';
import type { Database } from '../base/statements.ts';
import { appendAudit } from '../trail/audit.ts';
import { chooserOf, readChoices, readPrivacy, writePrivacy } from './settings.ts';
import { forgetInAlarms, sweepStep } from './sweep.ts';

interface PartOptions {
  readonly read: <T>(work: () => T) => T;
  readonly queue: CommitQueue;
  readonly act: (actor: string) => Act;
  readonly now: () => number;
}

/** What is kept of an address or an endpoint, by the number of the owner whose row it is in. */
export interface Keep {
  address(address: string, owner: number): string;
  endpoint(endpoint: string, owner: number): string;
}

/** What is kept of addresses: the choices, which are in memory for the rows that are written, and their effect on those that are there. */
export function privacyPart(db: Database, { read, queue, act, now }: PartOptions) {
  let choices = read(() => readChoices(db));
  const keep: Keep = {
    address: (address, owner) => keptAddress(address, choices.of(owner).addresses),
    endpoint: (endpoint, owner) => keptEndpoint(endpoint, choices.of(owner).addresses),
  };
  const part: PrivacyKeeper = {
    privacyChoices() {
      choices = read(() => readChoices(db, choices));
      return choices;
    },
    async sweep(after) {
      const { changes, next } = read(() => sweepStep(db, now(), choices, after));
      if (!changes) return next;
      return queue.submit(() => {
        // Once more, in the transaction: rows may have come or gone.
        const step = sweepStep(db, now(), choices, after);
        step.apply();
        return step.next;
      });
    },
  };
  const own = (scope: Scope): Pick<OwnPrivacy, 'setPrivacy'> => ({
    async setPrivacy(actor, change) {
      const made = act(actor);
      await queue.submit(() => {
        const owner = chooserOf(scope);
        const { addresses, days = 0 } = readPrivacy(db, owner);
        const wanted = { addresses: change.addresses ?? addresses, days: change.days ?? days };
        const { days: kept } = wanted;
        writePrivacy(db, owner, made, { addresses: wanted.addresses, ...(kept > 0 && { days: kept }) });
        forgetInAlarms(db, readChoices(db));
        const detail = { ...wanted, before: { addresses, days } };
        appendAudit(db, { ...made, owner, action: 'privacy.change', subject: 'handshakes', detail });
      });
      choices = read(() => readChoices(db));
    },
  });
  return { keep, part, own };
}
