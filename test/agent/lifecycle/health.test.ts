import { describe, expect, test } from 'vitest';
import { advances, LATE_MS, longestStepMs } from '../../../agent/lifecycle/health.ts';
import { STOPPED, step } from '../../../agent/lifecycle/lifecycle.ts';
import type { Situation } from '../../../agent/lifecycle/situation.ts';
import { Failure } from '../../../protocol/failure.ts';
import type { Verdict } from '../../../protocol/tunnel/verdict.ts';

const at = (ms: number) => ({ ms, random: 0.5 });
const preparing = step(STOPPED, { kind: 'start' }, at(1_000)).situation;
const provisioning = step(
  preparing,
  { kind: 'prepared', goal: { kind: 'provision', reason: 'first-boot' } },
  at(2_000),
).situation;
const connecting = step(provisioning, { kind: 'provisioned', address: 'fd00::1' }, at(3_000)).situation;
const online = step(connecting, { kind: 'up' }, at(4_000)).situation;
const offline = step(
  connecting,
  { kind: 'failed', failure: new Failure('net.timeout', 'retry', 'no answer') },
  at(4_000),
).situation;
const judged = (verdict: Verdict) => step(online, { kind: 'verdict', verdict }, at(5_000)).situation;
const banned = judged({ kind: 'banned', seconds: 0 });
const DAY = 86_400_000;

describe('C-34 whether the lifecycle advances', () => {
  test.each([
    ['preparing', preparing],
    ['provisioning', provisioning],
    ['connecting', connecting],
  ])('%s may take its time, but not for ever', (kind, situation) => {
    expect(situation.kind).toBe(kind);
    const since = (situation as Exclude<Situation, { kind: 'stopped' }>).sinceMs;
    expect(advances(situation, since + longestStepMs(10_000), longestStepMs(10_000))).toBe(true);
    expect(advances(situation, since + longestStepMs(10_000) + 1, longestStepMs(10_000))).toBe(false);
  });

  test.each([
    ['backing-off', offline],
    ['blocked', banned],
    ['backing-off', judged({ kind: 'retry-after', seconds: 7_200 })],
    ['backing-off', judged({ kind: 'evicted' })],
  ])('%s is live until its pause should have ended', (kind, situation) => {
    if (situation.kind !== kind || !('untilMs' in situation)) throw new Error(situation.kind);
    expect(advances(situation, situation.untilMs + LATE_MS, 0)).toBe(true);
    expect(advances(situation, situation.untilMs + LATE_MS + 1, 0)).toBe(false);
  });

  test('banned for a day is live for the day', () => {
    expect(advances(banned, DAY, 0)).toBe(true);
    expect(advances(banned, 2 * DAY, 0)).toBe(false);
  });

  test('online and stopped have nothing to wait for', () => {
    expect([advances(online, 400 * DAY, 0), advances(STOPPED, 400 * DAY, 0)]).toEqual([true, true]);
  });

  test('a patient configuration is waited for longer', () => {
    expect(longestStepMs(300_000)).toBeGreaterThan(longestStepMs(10_000));
    expect(longestStepMs(1_000)).toBeGreaterThan(120_000);
  });
});
