import { setTimeout as wait } from 'node:timers/promises';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';
import { type Endpoint, LOOKED_UP_AT_ONCE } from '../registry/admission.ts';
import { ownTurn } from '../registry/turns.ts';
import type { Arrivals } from './arrivals.ts';
import { type Questions, REGISTRY_DOWN, verdictOn, verdictOnVouched } from './questions/authorize.ts';
import type { Session } from './session.ts';
import type { SessionTable } from './sessions.ts';

/** One with a certificate of a CA costs statements of its own: so many of the others take no longer. */
const VOUCHED_COSTS = 8;
/** How long a registry that does not answer is left alone, in milliseconds. */
const AGAIN_MS = 1_000;

/** Looks whether sessions may go on, and cuts those whose device is no longer admitted, or has gone to another node. */
export interface Reviews {
  /** The session that a device (16 bytes) has, if it has one. If the registry does not answer, it is cut: something about it has changed. */
  one(address: Uint8Array): void;
  /**
   * The sessions that these devices have by then, a hundred in a turn of the event loop. While the registry does not answer they go on: it is asked again
   * until it does.
   */
  some(former: readonly Session[]): Promise<void>;
  /** The same of all sessions; whoever has begun that before leaves the rest to this one. */
  all(): Promise<void>;
  /** Looks at no more of them. */
  close(): void;
}

export interface ReviewParts {
  readonly questions: Questions;
  readonly sessions: SessionTable;
  readonly isSuperseded: Arrivals['isSuperseded'];
}

export function reviewsOf({ questions, sessions, isSuperseded }: ReviewParts): Reviews {
  let closing = false;
  let rounds = 0;

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

  async function review(former: readonly Session[], goesOn: () => boolean): Promise<void> {
    for (let first = 0; first < former.length; ) {
      await ownTurn();
      if (!goesOn()) return;
      const part = former.slice(first, first + affordable(former, first));
      const reviewed = reviewTogether(part);
      first += reviewed;
      if (reviewed < part.length) await wait(AGAIN_MS, undefined, { ref: false });
    }
  }

  return {
    one(address) {
      const session = sessions.find(address);
      if (session === undefined || closing) return;
      const endpoint = questions.lookup(address);
      act(session, endpoint, verdictNow(session, endpoint));
    },
    some: (former) => review(former, () => !closing),
    all() {
      const round = ++rounds;
      return review([...sessions.all()], () => !closing && round === rounds);
    },
    close() {
      closing = true;
    },
  };
}

/** How many sessions, from the one at place `first` on, are looked at in one turn. */
function affordable(sessions: readonly Session[], first: number): number {
  let last = first;
  for (let cost = 0; last < sessions.length && cost < LOOKED_UP_AT_ONCE; last++)
    cost += sessions[last]!.vouched === undefined ? 1 : VOUCHED_COSTS;
  return last - first;
}
