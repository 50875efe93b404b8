import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { outageLog } from '../../fabric/outage-log.ts';
import { outcomeUnknown, unreachable } from '../../fabric/registry/postgres/failures.ts';
import { Failure } from '../../protocol/failure.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const AWAY = unreachable('db1:5432: connect ECONNREFUSED');

function place() {
  const lines: string[] = [];
  const outage = outageLog(
    (level, message) => lines.push(`${level} ${message}`),
    () => Date.now(),
  );
  const fail = (cause: unknown = AWAY, level: 'error' | 'notice' = 'error'): void =>
    outage.log(level, 'something failed', cause);
  /** So many failures, one in each second. */
  const failFor = (seconds: number): void => {
    for (let i = 0; i < seconds; i++) {
      vi.advanceTimersByTime(1_000);
      fail();
    }
  };
  return { lines, outage, fail, failFor };
}

test('there is a line when the server goes away, one a minute, and one when it is back', () => {
  const { lines, outage, fail, failFor } = place();
  fail();
  expect(lines).toEqual([`error ${AWAY.message}`]);
  failFor(59);
  expect(lines).toHaveLength(1);
  failFor(61);
  expect(lines.slice(1)).toEqual([
    `error ${AWAY.message}; away for 60 s, 59 lines of what failed left out`,
    `error ${AWAY.message}; away for 120 s, 60 lines of what failed left out`,
  ]);
  vi.advanceTimersByTime(5_000);
  outage.worked();
  expect(lines.slice(3)).toEqual([
    'notice the registry answers again after 125 s; 1 line of what failed left out',
  ]);
  outage.worked();
  vi.advanceTimersByTime(600_000);
  expect(lines).toHaveLength(4);
});

test('a server that comes and goes costs no more lines', () => {
  const { lines, outage, failFor } = place();
  for (let i = 0; i < 60; i++) {
    failFor(5);
    outage.worked();
  }
  // 300 s: one of the first outage and its end, and then those in which a minute was over.
  expect(lines.length).toBeLessThanOrEqual(2 * 6);
  const [away, back] = ['error', 'notice'].map(
    (level) => lines.filter((line) => line.startsWith(level)).length,
  );
  expect(back).toBe(away);
});

test('what does not fail again is not told again', () => {
  const { lines, fail } = place();
  fail();
  vi.advanceTimersByTime(600_000);
  expect(lines).toHaveLength(1);
});

test('whatever else fails has its own line, and so has everything without a cause', () => {
  const { lines, outage, fail } = place();
  fail(new Error('the disk is full'));
  fail(new Failure('registry.not-writable', 'operator', 'wrong password', { action: 'Correct it.' }));
  outage.log('error', 'something failed');
  outage.log('notice', 'no cause');
  expect(lines).toEqual([...Array(3).fill('error something failed'), 'notice no cause']);
});

test('lines of any level belong to the outage, and commits whose outcome nobody knows', () => {
  const { lines, fail } = place();
  fail(AWAY, 'notice');
  fail(outcomeUnknown(new Error('gone')));
  expect(lines).toEqual([`error ${AWAY.message}`]);
});
