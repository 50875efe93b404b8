import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { outageLog } from '../../fabric/outage-log.ts';
import type { Admission } from '../../fabric/registry/admission.ts';
import { outcomeUnknown, postgresFailure, unreachable } from '../../fabric/registry/postgres/failures.ts';
import { registryQuestions } from '../../fabric/router/questions/authorize.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
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

/** How many lines it says were left out. */
const leftOut = (lines: readonly string[]): number =>
  lines.reduce((sum, line) => sum + Number(/(\d+) lines? of what failed/.exec(line)?.[1] ?? 0), 0);

test('a server that comes and goes costs no more lines, and none that is left out is forgotten', () => {
  const { lines, outage, failFor } = place();
  for (let i = 0; i < 60; i++) {
    failFor(5);
    outage.worked();
  }
  // 300 s: one of the first outage and its end, and then those in which a minute was over.
  expect(lines.length).toBeLessThanOrEqual(2 * 6);
  outage.close();
  // The first failure is the first line.
  expect(leftOut(lines)).toBe(299);
  expect(vi.getTimerCount()).toBe(0);
});

test('of an outage within a minute of the line before it there is one line, when that minute is over', () => {
  const { lines, outage, fail, failFor } = place();
  fail();
  outage.worked();
  expect(lines).toHaveLength(2);
  failFor(10);
  outage.worked();
  vi.advanceTimersByTime(10_000);
  failFor(3);
  outage.worked();
  outage.worked();
  expect(lines).toHaveLength(2);
  vi.advanceTimersByTime(600_000);
  expect(lines.slice(2)).toEqual([
    'notice the registry was away again, for 11 s in all; 13 lines of what failed left out',
  ]);
});

test('an outage that lasts beyond that minute is told with what was left out before', () => {
  const { lines, outage, fail, failFor } = place();
  fail();
  outage.worked();
  failFor(10);
  outage.worked();
  vi.advanceTimersByTime(39_000);
  failFor(20);
  outage.worked();
  expect(lines.slice(2)).toEqual([
    `error ${AWAY.message}; away for 10 s, 20 lines of what failed left out`,
    'notice the registry answers again after 19 s; 10 lines of what failed left out',
  ]);
  vi.advanceTimersByTime(600_000);
  expect(lines).toHaveLength(4);
});

test.each([30, 90])('repeated lines make no second outage of one of %i s', (seconds) => {
  const { lines, outage } = place();
  const failed = repeatedLine(outage.log, 'error', { subjects: 1 });
  for (let at = 0; at < seconds; at += 5) {
    failed('', 'node a cannot say that it serves', AWAY);
    vi.advanceTimersByTime(5_000);
  }
  outage.worked();
  const said = seconds < 60 ? 2 : 3;
  expect(lines).toHaveLength(said);
  expect(lines.at(-1)).toMatch(new RegExp(`^notice the registry answers again after ${seconds} s; `));
  // All but the first line of the outage.
  expect(leftOut(lines)).toBe(seconds / 5 - 1);
  for (let i = 0; i < 60; i++) {
    vi.advanceTimersByTime(5_000);
    outage.worked();
  }
  failed.close();
  outage.close();
  expect(lines).toHaveLength(said);
});

test('repeated lines about something else are held back and summed up', () => {
  const { lines, outage } = place();
  const failed = repeatedLine(outage.log, 'error', { each: 1 });
  for (let i = 0; i < 3; i++) failed('', 'something failed', new Error('the disk is full'));
  failed.close();
  expect(lines).toEqual(['error something failed', 'error something failed (and 1 more like it in 60 s)']);
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

test('lines of any level belong to the outage', () => {
  const { lines, fail } = place();
  fail(AWAY, 'notice');
  fail();
  expect(lines).toEqual([`error ${AWAY.message}`]);
});

const BUSY = postgresFailure({ code: '55P03', message: 'canceling statement due to lock timeout' });
const SLOW = `error something in the registry takes too long: ${BUSY.message}`;

test('that something takes too long lasts while the server answers, and ends by itself', () => {
  const { lines, outage, fail } = place();
  fail(BUSY);
  expect(lines).toEqual([SLOW]);
  for (let at = 0; at < 70; at++) {
    vi.advanceTimersByTime(1_000);
    fail(BUSY);
    outage.worked();
  }
  expect(lines.slice(1)).toEqual([`${SLOW}; for 60 s, 59 lines of what failed left out`]);
  vi.advanceTimersByTime(29_999);
  expect(lines).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(lines.slice(2)).toEqual([
    'notice nothing in the registry has taken too long for 30 s; 11 lines of what failed left out',
  ]);
  // A week later that is another one.
  vi.advanceTimersByTime(604_800_000);
  fail(BUSY);
  expect(lines.slice(3)).toEqual([SLOW]);
  outage.close();
  expect(vi.getTimerCount()).toBe(0);
});

test('what takes too long within a minute of the line before it is told of when that is over', () => {
  const { lines, fail } = place();
  fail(BUSY);
  vi.advanceTimersByTime(5_000);
  fail(BUSY);
  vi.advanceTimersByTime(600_000);
  expect(lines).toEqual([
    SLOW,
    'notice nothing in the registry has taken too long for 30 s; 1 line of what failed left out',
  ]);
  fail(BUSY);
  vi.advanceTimersByTime(40_000);
  fail(BUSY);
  vi.advanceTimersByTime(600_000);
  const over = 'notice nothing in the registry has taken too long for 30 s';
  expect(lines.slice(2)).toEqual([SLOW, over, `${SLOW}; for 20 s, 1 line of what failed left out`, over]);
});

test('a server that goes away while something takes too long is told of apart', () => {
  const { lines, outage, fail } = place();
  fail(BUSY);
  fail();
  vi.advanceTimersByTime(5_000);
  fail(BUSY);
  outage.worked();
  vi.advanceTimersByTime(30_000);
  expect(lines).toEqual([
    SLOW,
    `error ${AWAY.message}`,
    'notice the registry answers again after 5 s',
    'notice nothing in the registry has taken too long for 30 s; 1 line of what failed left out',
  ]);
});

test('that nobody knows whether something was done is always said, and is no outage', () => {
  const { lines, outage, fail } = place();
  const unknown = outcomeUnknown(new Error('gone'));
  fail(unknown);
  outage.worked();
  expect(lines).toEqual(['error something failed']);
  fail();
  fail(unknown);
  expect(lines.slice(1)).toEqual([`error ${AWAY.message}`, 'error something failed']);
});

test.each([
  ['away', AWAY, [`error ${AWAY.message}`, 'notice the registry answers again after 5 s']],
  [
    'out of space',
    new Error('the disk is full'),
    ['error the registry does not answer: the disk is full', 'notice the registry answers again'],
  ],
])('a router whose registry is %s says once that it answers again', (_, error, said) => {
  const { lines, outage } = place();
  let isBroken = true;
  const hasAnchors = (): boolean => {
    if (isBroken) throw error;
    return true;
  };
  const questions = registryQuestions({ hasAnchors } as unknown as Admission, outage.log);
  expect(questions.hasAnchors()).toBe('down');
  expect(questions.hasAnchors()).toBe('down');
  vi.advanceTimersByTime(5_000);
  outage.worked();
  isBroken = false;
  expect(questions.hasAnchors()).toBe(true);
  outage.close();
  expect(lines).toEqual(said);
});
