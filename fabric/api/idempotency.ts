import { createHash } from 'node:crypto';
import { Failure, isFailure } from '../../protocol/failure.ts';

/*
 * A client that does not know whether its request has arrived repeats it with the same Idempotency-Key (draft-ietf-httpapi-idempotency-key-header),
 * and gets the first answer. Keys belong to whoever sends them, and are remembered for a day, in memory.
 */

const KEPT_MS = 24 * 3_600_000;
/** Of one caller; the oldest is forgotten. */
const MOST_OF_ONE = 1_000;
const MOST_CALLERS = 200;
const KEY = /^[\x21-\x7e]{1,64}$/;

/** Operations whose answer holds a secret, which is not kept. */
const SECRET: readonly string[] = ['token-create', 'person-invite', 'hook-add'];

interface Kept {
  /** Hash of the operation and its input. */
  readonly request: string;
  readonly at: number;
  readonly answer: Promise<unknown>;
}

/** What is asked, by whom, and how often it is done. */
export interface Asked {
  /** Whoever sends it: a token or a session. */
  readonly caller: string;
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
  const callers = new Map<string, Map<string, Kept>>();

  /** The keys of the caller, which is the youngest from now on. */
  const keysOf = (caller: string): Map<string, Kept> => {
    const keys = callers.get(caller) ?? new Map<string, Kept>();
    callers.delete(caller);
    callers.set(caller, keys);
    if (callers.size > MOST_CALLERS) callers.delete(callers.keys().next().value!);
    return keys;
  };

  return {
    async once({ caller, key, operation, input }, work) {
      if (!KEY.test(key)) throw badKey();
      if (SECRET.includes(operation)) return work();
      const request = createHash('sha256')
        .update(JSON.stringify([operation, input]))
        .digest('base64');
      const keys = keysOf(caller);
      for (const [each, { at }] of keys) {
        if (now() - at < KEPT_MS && keys.size < MOST_OF_ONE) break;
        keys.delete(each);
      }
      const known = keys.get(key);
      if (known !== undefined) {
        if (known.request !== request) throw keyReused();
        return known.answer as ReturnType<typeof work>;
      }
      const answer = work();
      keys.set(key, { request, at: now(), answer });
      // What may be so no longer when it is tried again is not remembered.
      answer.catch((error: unknown) => {
        if (!isFailure(error) || error.remedy === 'retry') keys.delete(key);
      });
      return answer;
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
