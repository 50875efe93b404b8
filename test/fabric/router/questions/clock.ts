import { vi } from 'vitest';

/** Time that goes on only as a test says. */
export interface StandingClock {
  /** It is so much later, in milliseconds: what is due is called, in one turn of the event loop. */
  pass(ms: number): void;
  /** The same, but nothing else is done meanwhile: the registry is waited for. */
  spend(ms: number): void;
  /** The next turn of the event loop. */
  turn(): void;
}

/** Until `vi.unstubAllGlobals()`. */
export function standingClock(): StandingClock {
  let now = 1_000;
  let immediates: (() => void)[] = [];
  let timers: { readonly due: number; readonly call: () => void }[] = [];
  vi.stubGlobal('performance', { now: () => now });
  vi.stubGlobal('setImmediate', (call: () => void) => {
    immediates.push(call);
    return call;
  });
  vi.stubGlobal('clearImmediate', (gone: unknown) => {
    immediates = immediates.filter((call) => call !== gone);
  });
  vi.stubGlobal('setTimeout', (call: () => void, ms: number) => {
    timers.push({ due: now + ms, call });
    return call;
  });
  vi.stubGlobal('clearTimeout', (gone: unknown) => {
    timers = timers.filter(({ call }) => call !== gone);
  });

  function pass(ms: number): void {
    now += ms;
    const due = timers.filter((timer) => timer.due <= now).map(({ call }) => call);
    timers = timers.filter((timer) => timer.due > now);
    for (const call of [...due, ...immediates.splice(0)]) call();
  }
  return {
    pass,
    spend: (ms) => {
      now += ms;
    },
    turn: () => pass(0),
  };
}
