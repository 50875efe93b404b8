import { createHash } from 'node:crypto';
import { Failure } from '../../protocol/failure.ts';

/*
 * A client that does not know whether its request has arrived repeats it with the same Idempotency-Key (draft-ietf-httpapi-idempotency-key-header),
 * and gets the first answer. Only what was done is remembered: whoever was refused has changed nothing, and takes up no room. Keys belong to
 * whoever sends them, and are remembered for a day, in memory.
 */

const KEPT_MS = 24 * 3_600_000;
/** Of one caller; the oldest is forgotten. */
const MOST_OF_ONE = 100;
/** Of the owner that has most of them, the one who has changed nothing for longest is forgotten. */
const MOST_CALLERS = 100;
/** Characters of JSON; the answers to changes are shorter. */
const LONGEST_ANSWER = 16_384;
const KEY = /^[\x21-\x7e]{1,64}$/;

/** Operations whose answer holds a secret, which is not kept. */
const SECRET: readonly string[] = ['token-create', 'person-invite', 'hook-add'];

interface Kept {
  /** Hash of the operation and its input. */
  readonly request: string;
  readonly at: number;
  /** JSON. */
  readonly answer: string;
}

/** What is asked, by whom, and how often it is done. */
export interface Asked {
  /** Whoever sends it: a token or a session. */
  readonly caller: string;
  /** The number of the owner for whom it acts; null: for all. */
  readonly owner: number | null;
  readonly key: string;
  readonly operation: string;
  readonly input: unknown;
}

export interface Idempotency {
  /**
   * Does `work` unless the caller has asked for it with this key before; then answers the same.
   * @throws Failure `request.bad-key`, `request.key-reused`, and those of `work`
   */
  once<View>(asked: Asked, work: () => Promise<View>): Promise<View>;
}

export function idempotency(now: () => number): Idempotency {
  const underWay = new Map<string, { readonly request: string; readonly answer: Promise<unknown> }>();
  const done = doneRequests(now);
  return {
    async once<View>(
      { caller: who, owner, key, operation, input }: Asked,
      work: () => Promise<View>,
    ): Promise<View> {
      if (!KEY.test(key)) throw badKey();
      if (SECRET.includes(operation)) return work();
      const request = createHash('sha256')
        .update(JSON.stringify([operation, input]))
        .digest('base64');
      const caller = JSON.stringify([owner, who]);
      const id = JSON.stringify([caller, key]);
      const known = underWay.get(id) ?? done.find(caller, key);
      if (known !== undefined) {
        if (known.request !== request) throw keyReused();
        const { answer } = known;
        return (typeof answer === 'string' ? JSON.parse(answer) : answer) as View;
      }
      const answer = work();
      underWay.set(id, { request, answer });
      try {
        const view = await answer;
        done.keep({ caller, owner }, key, { request, at: now(), answer: JSON.stringify(view) });
        return view;
      } finally {
        underWay.delete(id);
      }
    },
  };
}

/** What was done by request, of each caller; bounded. */
function doneRequests(now: () => number) {
  const callers = new Map<string, { readonly owner: number | null; readonly keys: Map<string, Kept> }>();

  function makeRoom(): void {
    const ofOwner = new Map<number | null, string[]>();
    for (const [caller, { owner }] of callers) ofOwner.set(owner, [...(ofOwner.get(owner) ?? []), caller]);
    const most = [...ofOwner.values()].reduce((one, other) => (other.length > one.length ? other : one));
    callers.delete(most[0]!);
  }

  return {
    find(caller: string, key: string): Kept | undefined {
      const kept = callers.get(caller)?.keys.get(key);
      return kept !== undefined && now() - kept.at < KEPT_MS ? kept : undefined;
    },
    keep({ caller, owner }: { caller: string; owner: number | null }, key: string, kept: Kept): void {
      if (kept.answer.length > LONGEST_ANSWER) return;
      const keys = callers.get(caller)?.keys ?? new Map<string, Kept>();
      keys.delete(key);
      keys.set(key, kept);
      if (keys.size > MOST_OF_ONE) keys.delete(keys.keys().next().value!);
      callers.delete(caller);
      callers.set(caller, { owner, keys });
      if (callers.size > MOST_CALLERS) makeRoom();
    },
  };
}

const badKey = (): Failure =>
  new Failure('request.bad-key', 'operator', 'Idempotency-Key has 1 to 64 printable characters of ASCII', {
    action: 'Send a random one, a UUID for instance.',
  });

const keyReused = (): Failure =>
  new Failure('request.key-reused', 'operator', 'this Idempotency-Key was sent with another request before', {
    action: 'Take a new key for each request, and the same only to repeat it.',
  });
