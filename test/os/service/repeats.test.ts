import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { repeatedLine, repeats } from '../../../os/service/repeats.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const LIMITS = { each: 2, subjects: 3, periodMs: 60_000 };

test('[H-A6] the first items of each subject pass, the others are summed up at the end of the period', () => {
  const passed: string[] = [];
  const { add } = repeats<string>((item, more) => passed.push(`${item}+${more}`), LIMITS);
  for (let i = 1; i <= 531; i++) add('a', `a${i}`);
  add('b', 'b1');
  expect(passed).toEqual(['a1+0', 'a2+0', 'b1+0']);
  vi.advanceTimersByTime(59_999);
  expect(passed).toHaveLength(3);
  vi.advanceTimersByTime(1);
  expect(passed.slice(3)).toEqual(['a531+528']);
  vi.advanceTimersByTime(600_000);
  expect(passed).toHaveLength(4);
  add('a', 'later');
  expect(passed.at(-1)).toBe('later+0');
});

test('[H-A6] any number of subjects costs so many lines, and nobody is forgotten in the sum', () => {
  let [lines, counted] = [0, 0];
  const { add, close } = repeats<number>((_, more) => {
    lines++;
    counted += 1 + more;
  }, LIMITS);
  for (let i = 0; i < 10_000; i++) for (let n = 0; n < 3; n++) add(`${i}`, n);
  close();
  expect(lines).toBe(3 * 2 + 3 + 1);
  expect(counted).toBe(30_000);
  expect(vi.getTimerCount()).toBe(0);
});

test('[H-A6] a line says how many more like it there were', () => {
  const lines: string[] = [];
  const line = repeatedLine((level, message) => lines.push(`${level} ${message}`), 'notice', { each: 1 });
  for (let i = 0; i < 531; i++) line('fd00::a', `connected ${i}`);
  line.close();
  line.close();
  expect(lines).toEqual(['notice connected 0', 'notice connected 530 (and 529 more like it in 60 s)']);
});

test('a line has its cause, and so has the sum of those like it', () => {
  const causes: unknown[] = [];
  const line = repeatedLine((_level, _message, cause) => causes.push(cause), 'error', { each: 1 });
  line('a', 'one', 1);
  line('a', 'another', 2);
  line.close();
  expect(causes).toEqual([1, 2]);
});
