import type { Database } from 'better-sqlite3';
import { keptAddress, keptEndpoint, type PrivacyKeeper } from '../../privacy.ts';
import type { Act, AuditEntry } from '../../records.ts';
import type { CommitQueue } from '../file/group-commit.ts';
import { readPrivacy, writePrivacy } from './settings.ts';
import { forgetInAlarms, sweepStep } from './sweep.ts';

interface PartOptions {
  readonly read: <T>(work: () => T) => T;
  readonly queue: CommitQueue;
  readonly act: (actor: string) => Act;
  readonly now: () => number;
  /** Appends an entry to the audit trail. */
  readonly record: (entry: Omit<AuditEntry, 'seq' | 'hash'>) => void;
}

/** What is kept of addresses: the choice, which is in memory for the rows that are written, and its effect on those that are there. */
export function privacyPart(db: Database, { read, queue, act, now, record }: PartOptions) {
  let chosen = read(() => readPrivacy(db));
  return {
    keep: {
      address: (address: string): string => keptAddress(address, chosen.addresses),
      endpoint: (endpoint: string): string => keptEndpoint(endpoint, chosen.addresses),
    },
    part: {
      privacy: async () => chosen,
      async setPrivacy(actor, change) {
        const made = act(actor);
        await queue.submit(() => {
          const { addresses, days = 0 } = readPrivacy(db);
          const now = { addresses: change.addresses ?? addresses, days: change.days ?? days };
          writePrivacy(db, made, { addresses: now.addresses, ...(now.days > 0 && { days: now.days }) });
          forgetInAlarms(db, now);
          const detail = { ...now, before: { addresses, days } };
          record({ ...made, action: 'privacy.change', subject: 'handshakes', detail });
        });
        chosen = read(() => readPrivacy(db));
      },
      async sweep(after) {
        const { changes, next } = read(() => sweepStep(db, now(), chosen, after));
        if (!changes) return next;
        return queue.submit(() => {
          // Once more, in the transaction: rows may have come or gone.
          const step = sweepStep(db, now(), chosen, after);
          step.apply();
          return step.next;
        });
      },
    } satisfies PrivacyKeeper,
  };
}
