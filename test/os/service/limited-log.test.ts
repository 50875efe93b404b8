import { afterEach, expect, test, vi } from 'vitest';
import { limitedLog } from '../../../os/service/limited-log.ts';

afterEach(() => vi.useRealTimers());

test('passes so many messages per period, and says how many it has suppressed', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const lines: string[] = [];
  const log = limitedLog((message) => lines.push(message), { burst: 2, periodMs: 1_000 });
  for (const message of ['a', 'b', 'c', 'd']) log(message);
  expect(lines).toEqual(['a', 'b']);
  vi.advanceTimersByTime(999);
  log('e');
  vi.advanceTimersByTime(1);
  log('f');
  log('g');
  expect(lines).toEqual(['a', 'b', 'f (and 3 more before)', 'g']);
});
