import { describe, expect, test } from 'vitest';
import { clockCheck, DOUBT_MS, PATIENCE_MS } from '../../../agent/lifecycle/wall-clock.ts';

const BUILT = Date.parse('2026-01-01T00:00:00Z');
const DAY = 86_400_000;

describe('a plausible time of day', () => {
  function checked(wallMs: number) {
    const now = { wallMs, steadyMs: 0 };
    const clock = clockCheck({ wallMs: () => now.wallMs, steadyMs: () => now.steadyMs, builtMs: BUILT });
    return { now, check: (lastGoodMs?: number) => () => clock.check(lastGoodMs) };
  }

  test('[C-4] 1970 is before the build: TLS waits, and the clock is named', () => {
    const { now, check } = checked(0);
    expect(check()).toThrow(/clock.*1970-01-01T00:00:00Z.*built \(2026-01-01/);
    expect(check()).toThrow(expect.objectContaining({ code: 'clock.implausible', remedy: 'retry' }));
    now.wallMs = BUILT;
    expect(check()).not.toThrow();
  });

  test('[C-4] so is a time before the tunnel was last up', () => {
    const { check } = checked(BUILT + DAY);
    expect(check(BUILT + DAY)).not.toThrow();
    expect(check(BUILT + 2 * DAY)).toThrow(/the last time the tunnel was up \(2026-01-03/);
  });

  test('a device whose clock is not set connects after five minutes', () => {
    const { now, check } = checked(0);
    expect(check()).toThrow();
    now.steadyMs = PATIENCE_MS - 1;
    expect(check()).toThrow();
    now.steadyMs = PATIENCE_MS;
    expect(check()).not.toThrow();
  });

  test('[H-C9] a last good time in the future costs seconds, and the message names both', () => {
    const { now, check } = checked(BUILT + DAY);
    const future = BUILT + 5_000 * DAY;
    expect(check(future)).toThrow(/wrong now, or was wrong then/);
    now.steadyMs = DOUBT_MS - 1;
    expect(check(future)).toThrow();
    now.steadyMs = DOUBT_MS;
    expect(check(future)).not.toThrow();
    // A clock before the build has no excuse.
    const unset = checked(0);
    expect(unset.check(future)).toThrow();
    unset.now.steadyMs = DOUBT_MS;
    expect(unset.check(future)).toThrow();
  });
});
