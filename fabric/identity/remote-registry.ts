import { toHex } from '../../protocol/bytes.ts';
import type { Group } from '../registry/records.ts';
import type { Books } from './handshake.ts';
import { type Answer, arrivedFailure, collector, type Question } from './messages.ts';

/** The registry as an identity process sees it: every row is handed to the one process that writes. */
export interface RemoteBooks extends Books {
  receive(answers: readonly Answer[]): void;
  /** A group changed: what is remembered of groups may be wrong. */
  forget(): void;
}

/** A group is remembered once it was open; about half a kilobyte each. */
const REMEMBERED = 4_096;

type Unnumbered = Question extends infer Each ? (Each extends Question ? Omit<Each, 'id'> : never) : never;

/** `send` carries the questions of one turn of the event loop. */
export function remoteBooks(send: (questions: readonly Question[]) => void): RemoteBooks {
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  const groups = new Map<string, Group>();
  const post = collector(send);
  let last = 0;
  // Counts what was forgotten: an answer that was on its way when the group changed is not remembered.
  let age = 0;

  function ask<T>(question: Unnumbered): Promise<T> {
    last = (last + 1) >>> 0;
    const id = last;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      post({ ...question, id } as Question);
    });
  }

  return {
    openGroup(gid) {
      const name = toHex(gid);
      const known = groups.get(name);
      if (known !== undefined) return known;
      const asked = age;
      return ask<Group>({ ask: 'openGroup', gid }).then((group) => {
        if (asked === age && groups.size < REMEMBERED) groups.set(name, group);
        return group;
      });
    },
    admit: (applicant) => ask({ ask: 'admit', applicant }),
    refused: (handshake) => ask({ ask: 'refused', handshake }),
    receive(answers) {
      for (const answer of answers) {
        const asker = waiting.get(answer.id);
        waiting.delete(answer.id);
        if ('failure' in answer) asker?.reject(arrivedFailure(answer.failure));
        else asker?.resolve(answer.value as never);
      }
    },
    forget() {
      age++;
      groups.clear();
    },
  };
}
