import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { JUMP_MS, watchClock } from '../../../agent/service/clock-watch.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const DAY = 86_400_000;

describe('[C-6] jumps of the time of day', () => {
  function watched() {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const now = { wallMs: START, steadyMs: 0 };
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
