import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { type Problem, problemOf } from '../api/problem.ts';
import { type Kind, useLive } from './live.ts';

/** Something that a page has asked for. After an error the old data stay. */
export interface Query<View> {
  readonly data: View | undefined;
  readonly problem: Problem | undefined;
  /** Ask again. */
  readonly again: () => void;
}

const RETRY_MS = 5_000;

/**
 * Asks, and asks again when `key` changes or something of `kinds` happens; never twice at the same time. What cannot be reached is asked for
 * every five seconds.
 */
export function useQuery<View>(key: string, kinds: readonly Kind[], ask: () => Promise<View>): Query<View> {
  const [state, setState] = useState<{ key: string; data?: View; problem?: Problem }>({ key });
  const current = useRef({ key, ask, busy: false, dirty: false });
  current.current.ask = ask;
  current.current.key = key;
  const again = useCallback((): void => {
    const now = current.current;
    if (now.busy) {
      now.dirty = true;
      return;
    }
    now.busy = true;
    const asked = now.key;
    now
      .ask()
      .then((data) => ({ key: asked, data }))
      .catch((error: unknown) => ({ key: asked, problem: problemOf(error) }))
      .then((answer) => {
        now.busy = false;
        if (now.dirty || now.key !== asked) {
          now.dirty = false;
          again();
        }
        if (now.key === asked)
          setState(
            (before) =>
              (before.key === asked ? { ...before, problem: undefined, ...answer } : answer) as typeof before,
          );
      });
  }, []);
  useEffect(again, [key]);
  useLive(kinds, again);
  const lost = state.problem?.code === 'console.unreachable';
  useEffect(() => {
    if (!lost) return;
    const timer = setInterval(again, RETRY_MS);
    return () => clearInterval(timer);
  }, [lost]);
  const fits = state.key === key;
  return { data: fits ? state.data : undefined, problem: fits ? state.problem : undefined, again };
}
