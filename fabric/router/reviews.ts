import { setTimeout as wait } from 'node:timers/promises';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';
import type { RouterThreads } from '../../tunnel/router.ts';
import { type Admission, type Endpoint, LOOKED_UP_AT_ONCE } from '../registry/admission.ts';
import { ownTurn } from '../registry/turns.ts';
import type { Arrivals } from './arrivals.ts';
import { type Questions, REGISTRY_DOWN, verdictOn, verdictOnVouched } from './questions/authorize.ts';
import { inTurns } from './questions/turns.ts';
import type { Session } from './session.ts';
import type { SessionTable } from './sessions.ts';

/** One with a certificate of a CA costs statements of its own: so many of the others take no longer. */
const VOUCHED_COSTS = 8;
/** How long a registry that does not answer is left alone, in milliseconds: longer than it lets nobody read after one statement that took too long. */
export const AGAIN_MS = 1_100;
/** So often it is asked again how a device has changed, before the session is cut. */
const ATTEMPTS = 2;

/** Looks whether sessions may go on, and cuts those whose device is no longer admitted, or has gone to another node. */
export interface Reviews {
  /**
   * The session that a device (16 bytes) has, if it has one: at once if it returns undefined. A registry that does not answer is asked twice more, a second
   * apart. After that the session is cut: something about its device has changed.
   */
  one(address: Uint8Array): Promise<void> | undefined;
  /**
   * The sessions that these devices have by then, a hundred in a turn of the event loop. While the registry does not answer they go on: it is asked again
   * until it does.
   */
  some(former: readonly Session[]): Promise<void>;
  /**
   * The same of all sessions. Asked for once more meanwhile, it goes on with those that it has not looked at, and then looks at the others again: however
   * often that is, each has its turn.
   */
  all(): Promise<void>;
  /** Looks at no more of them. */
  close(): void;
}

export interface ReviewParts {
  readonly questions: Questions;
  readonly sessions: SessionTable;
  readonly isSuperseded: Arrivals['isSuperseded'];
  readonly againMs?: number;
}

/** Sessions to be looked at, from the one at place `next` on. */
interface Round {
  former: readonly Session[];
  next: number;
}

export function reviewsOf({ questions, sessions, isSuperseded, againMs = AGAIN_MS }: ReviewParts): Reviews {
  const closing = new AbortController();
  const { signal } = closing;
  const everyone: Round = { former: [], next: 0 };
  let everyoneSeen: Promise<void> | undefined;
  /** Sessions whose devices have changed, of which the registry has not said how: it is asked about them together. */
  let unclear: { readonly those: Set<Session>; readonly cleared: Promise<void> } | undefined;

  const pause = (): Promise<void> => wait(againMs, undefined, { signal, ref: false }).catch(() => {});
  const isThere = (session: Session): boolean => sessions.find(session.address) === session;

  const verdictNow = (
    { provenKey, vouched }: Session,
    endpoint: ReturnType<Questions['lookup']>,
  ): Verdict | undefined =>
    vouched === undefined
      ? verdictOn(endpoint, provenKey, questions.absence)
      : verdictOnVouched(questions, endpoint, vouched);

  function act(session: Session, endpoint: ReturnType<Questions['lookup']>, verdict?: Verdict): void {
    if (verdict !== undefined) sessions.cut(session, verdict, `the registry says ${verdict.kind}`);
    else if (isSuperseded(session, endpoint as Endpoint))
      sessions.cut(session, undefined, 'it has a newer connection at another node');
    // Without a verdict the registry has answered, and there is the device.
    else sessions.update(session, endpoint as Endpoint);
  }

  /** Returns of how many the registry has said what it knows. */
  function reviewTogether(part: readonly Session[]): number {
    const found = questions.holders(part.map(({ address }) => address));
    if (found === 'down') return 0;
    for (const [at, { address }] of part.entries()) {
      const session = sessions.find(address);
      if (session === undefined) continue;
      const verdict = verdictNow(session, found[at]);
      if (verdict === REGISTRY_DOWN) return at;
      act(session, found[at], verdict);
    }
    return part.length;
  }

  const nextOf = ({ former, next }: Round): readonly Session[] =>
    former.slice(next, next + affordable(former, next));

  async function review(round: Round): Promise<void> {
    while (round.next < round.former.length) {
      await ownTurn();
      if (signal.aborted) return;
      const { former } = round;
      const part = nextOf(round);
      round.next += part.length;
      const unanswered = part.length - reviewTogether(part);
      if (unanswered === 0) continue;
      // The round may have begun anew while the registry was asked: they are in it then.
      if (round.former === former) round.next -= unanswered;
      await pause();
    }
  }

  async function reviewEveryone(): Promise<void> {
    try {
      do await review(everyone);
      while (everyone.next < everyone.former.length && !signal.aborted);
    } finally {
      everyoneSeen = undefined;
    }
  }

  /** Asks of each once. Returns those of which the registry has said nothing. */
  async function reviewOnce(former: readonly Session[]): Promise<readonly Session[]> {
    const unanswered: Session[] = [];
    for (const round = { former, next: 0 }; round.next < former.length; ) {
      await ownTurn();
      if (signal.aborted) return [];
      const part = nextOf(round);
      round.next += part.length;
      unanswered.push(...part.slice(reviewTogether(part)));
    }
    return unanswered;
  }

  async function clear(those: ReadonlySet<Session>): Promise<void> {
    await pause();
    unclear = undefined;
    let left = await reviewOnce([...those]);
    for (let attempt = 1; attempt < ATTEMPTS && left.length > 0; attempt++) {
      await pause();
      left = await reviewOnce(left);
    }
    for (let first = 0; first < left.length; first += LOOKED_UP_AT_ONCE) {
      await ownTurn();
      if (signal.aborted) return;
      for (const session of left.slice(first, first + LOOKED_UP_AT_ONCE).filter(isThere))
        sessions.cut(session, REGISTRY_DOWN, 'its device has changed, and the registry does not say how');
    }
  }

  function clearLater(session: Session): Promise<void> {
    if (unclear === undefined) {
      const those = new Set<Session>();
      unclear = { those, cleared: clear(those) };
    }
    unclear.those.add(session);
    return unclear.cleared;
  }

  return {
    one(address) {
      const session = sessions.find(address);
      if (session === undefined || signal.aborted) return undefined;
      const endpoint = questions.lookup(address);
      const verdict = verdictNow(session, endpoint);
      if (verdict === REGISTRY_DOWN) return clearLater(session);
      act(session, endpoint, verdict);
      return undefined;
    },
    some: (former) => review({ former, next: 0 }),
    all() {
      const unseen = everyone.former.slice(everyone.next).filter(isThere);
      everyone.former = [...new Set([...unseen, ...sessions.all()])];
      everyone.next = 0;
      everyoneSeen ??= reviewEveryone();
      return everyoneSeen;
    },
    close: () => closing.abort(),
  };
}

/** How many sessions, from the one at place `first` on, are looked at in one turn. */
function affordable(sessions: readonly Session[], first: number): number {
  let last = first;
  for (let cost = 0; last < sessions.length && cost < LOOKED_UP_AT_ONCE; last++)
    cost += sessions[last]!.vouched === undefined ? 1 : VOUCHED_COSTS;
  return last - first;
}

export interface ChangeParts {
  readonly admission: Pick<Admission, 'onChange'>;
  readonly threads: Pick<RouterThreads, 'forget' | 'forgetAll'>;
  readonly arrivals: Pick<Arrivals, 'casChanged'>;
  readonly sessions: Pick<SessionTable, 'ofGroup'>;
  readonly reviews: Reviews;
}

/**
 * Acts on each change of the registry: has the threads forget what they know of whom it concerns, and looks whether sessions may go on, whatever of the rest
 * fails. Returns a function that ends that.
 */
export function followChanges({ admission, threads, arrivals, sessions, reviews }: ChangeParts): () => void {
  const changes = inTurns(reviews.one);
  return admission.onChange(
    async (address) => {
      try {
        threads.forget(address);
      } finally {
        await changes.take(address);
      }
    },
    async (gid) => {
      try {
        arrivals.casChanged();
      } finally {
        await reviews.some(sessions.ofGroup(gid));
      }
    },
    async () => {
      try {
        threads.forgetAll();
      } finally {
        try {
          arrivals.casChanged();
        } finally {
          await reviews.all();
        }
      }
    },
  );
}
