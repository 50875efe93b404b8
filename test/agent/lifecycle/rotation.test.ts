import { expect, test } from 'vitest';
import { dueAt, overduePause, renewalAge } from '../../../agent/lifecycle/rotation.ts';

const DAY = 86_400_000;
const AFTER = 90 * DAY;
const AT = '2026-03-01T12:00:00.000Z';
const address = (n: number): string => `fd00::${n.toString(16)}`;

test('a key is due when it has 90 to 100 % of its age, always at the same moment', () => {
  for (let n = 0; n < 1_000; n++) {
    const due = dueAt({ address: address(n), provisioned: AT }, AFTER) - Date.parse(AT);
    expect(due).toBeGreaterThanOrEqual(AFTER * 0.9);
    expect(due).toBeLessThanOrEqual(AFTER);
    expect(dueAt({ address: address(n), provisioned: AT }, AFTER) - Date.parse(AT)).toBe(due);
  }
});

test('devices that were made in the same second are spread evenly', () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let n = 0; n < 1_000; n++) {
    const due = dueAt({ address: address(n), provisioned: AT }, AFTER) - Date.parse(AT);
    tenths[Math.min(9, Math.floor(((due / AFTER - 0.9) / 0.1) * 10))]!++;
  }
  for (const count of tenths) expect(count).toBeGreaterThan(50);
});

test('the next key of a device has another moment; one of unknown age is due at once', () => {
  const later = '2026-06-01T12:00:00.000Z';
  const age = (at: string) => dueAt({ address: address(1), provisioned: at }, AFTER) - Date.parse(at);
  expect(age(AT)).not.toBe(age(later));
  for (const provisioned of [undefined, '', 'yesterday', 'x'])
    expect(dueAt({ address: address(1), provisioned }, AFTER)).toBe(0);
});

test('who is overdue at the start waits, an hour at most', () => {
  expect([0, 0.5, 0.999].map((random) => overduePause(AFTER, random))).toEqual([0, 1_800_000, 3_596_400]);
  expect(overduePause(3_600_000, 0.5)).toBe(180_000);
});

test('a certificate is renewed at two thirds of its life, earlier where keys are replaced earlier', () => {
  expect(renewalAge(90 * DAY, 0)).toBe(60 * DAY);
  expect(renewalAge(90 * DAY, 30 * DAY)).toBe(30 * DAY);
  expect(renewalAge(90 * DAY, 365 * DAY)).toBe(60 * DAY);
});
