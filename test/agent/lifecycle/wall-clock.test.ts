import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { clockGuard, JUMP_MS, PATIENCE_MS, watchClock } from '../../../agent/lifecycle/wall-clock.ts';

const BUILT = Date.parse('2026-01-01T00:00:00Z');
const DAY = 86_400_000;

describe('a plausible time of day', () => {
  function guard(wallMs: number) {
    const now = { wallMs, steadyMs: 0 };
    const guard = clockGuard({ wallMs: () => now.wallMs, steadyMs: () => now.steadyMs, builtMs: BUILT });
    return { now, check: (lastGoodMs?: number) => () => guard.check(lastGoodMs) };
  }

  test('[C-4] 1970 is before the build: TLS waits, and the clock is named', () => {
    const { now, check } = guard(0);
    expect(check()).toThrow(/clock.*1970-01-01T00:00:00Z.*built \(2026-01-01/);
    expect(check()).toThrow(expect.objectContaining({ code: 'clock.implausible', remedy: 'retry' }));
    now.wallMs = BUILT;
    expect(check()).not.toThrow();
  });

  test('[C-4] so is a time before the tunnel last stood', () => {
    const { check } = guard(BUILT + DAY);
    expect(check(BUILT + DAY)).not.toThrow();
    expect(check(BUILT + 2 * DAY)).toThrow(/the last time the tunnel stood \(2026-01-03/);
  });

  test('a device that nobody tells the time goes on after five minutes', () => {
    const { now, check } = guard(0);
    expect(check()).toThrow();
    now.steadyMs = PATIENCE_MS - 1;
    expect(check()).toThrow();
    now.steadyMs = PATIENCE_MS;
    expect(check()).not.toThrow();
  });
});

describe('[C-6] jumps of the time of day', () => {
  function watched() {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const now = { wallMs: BUILT, steadyMs: 0 };
    const jumps: number[] = [];
    const stop = watchClock(
      { wallMs: () => now.wallMs, steadyMs: () => now.steadyMs },
      (by) => void jumps.push(by),
    );
    const pass = (steadyMs: number, wallMs = steadyMs): void => {
      now.steadyMs += steadyMs;
      now.wallMs += wallMs;
      vi.advanceTimersByTime(5_000);
    };
    return { jumps, stop, pass };
  }

  test('five minutes of sleep, a step forward, a step back', () => {
    const { jumps, pass } = watched();
    pass(5_000, 305_000);
    pass(5_000, 5_000 + 10 * 365 * DAY);
    pass(5_000, 5_000 - 10 * 365 * DAY);
    expect(jumps).toEqual([300_000, 10 * 365 * DAY, -10 * 365 * DAY]);
  });

  test('ten seconds, slow drift and a late look are none', () => {
    const { jumps, pass } = watched();
    pass(5_000, 5_000 + JUMP_MS);
    for (let i = 0; i < 50; i++) pass(5_000, 6_000);
    pass(90_000);
    expect(jumps).toEqual([]);
  });

  test('nothing after it was ended', () => {
    const { jumps, stop, pass } = watched();
    stop();
    pass(5_000, 305_000);
    expect(jumps).toEqual([]);
  });
});
