import { expect, test } from 'vitest';
import { guard } from '../../../fabric/account/guard.ts';

const wrong = async (): Promise<string | undefined> => undefined;
const right = async (): Promise<string | undefined> => 'in';

/** The code of the refusal, or what the attempt resolves to. */
const outcome = (work: Promise<string | undefined>): Promise<string | undefined> =>
  work.catch(({ code }: { code: string }) => code);

test('who guesses one name from many addresses, or many names from one, waits', async () => {
  let now = 0;
  const on = guard(() => now);
  for (let count = 0; count < 5; count++) await on.attempt('anna', `192.0.2.${count}`, wrong);
  expect(await outcome(on.attempt('anna', '192.0.2.99', right))).toBe('access.too-many-attempts');
  expect(await outcome(on.attempt('bob', '192.0.2.99', right))).toBe('in');
  for (let count = 0; count < 5; count++) await on.attempt(`name ${count}`, '198.51.100.1', wrong);
  expect(await outcome(on.attempt('carl', '198.51.100.1', right))).toBe('access.too-many-attempts');
  for (let count = 0; count < 5; count++) await on.attempt(`other ${count}`, `2001:db8::${count}`, wrong);
  expect(await outcome(on.attempt('carl', '2001:db8::77', right))).toBe('access.too-many-attempts');
  now += 1_000;
  expect(await outcome(on.attempt('anna', '192.0.2.99', right))).toBe('in');
});

test('a stranger locks nobody out where the account was entered before', async () => {
  const on = guard(() => 0);
  expect(await on.attempt('anna', '192.0.2.1', right)).toBe('in');
  for (let count = 0; count < 9; count++) await outcome(on.attempt('anna', `198.51.100.${count}`, wrong));
  expect(await outcome(on.attempt('anna', '198.51.100.99', right))).toBe('access.too-many-attempts');
  expect(await outcome(on.attempt('anna', '192.0.2.1', right))).toBe('in');
  for (let count = 0; count < 5; count++) await on.attempt('anna', '192.0.2.1', wrong);
  expect(await outcome(on.attempt('anna', '192.0.2.1', right))).toBe('access.too-many-attempts');
});

test('whoever gets in again and again wins no further guesses at others by that', async () => {
  const on = guard(() => 0);
  const outcomes: (string | undefined)[] = [];
  for (let count = 0; count < 7; count++) {
    await on.attempt('mallory', '192.0.2.1', right);
    outcomes.push(await outcome(on.attempt(`victim ${count}`, '192.0.2.1', wrong)));
  }
  expect(outcomes).toEqual([...Array(5).fill(undefined), ...Array(2).fill('access.too-many-attempts')]);
});

test('two attempts of one source may be under way', async () => {
  const on = guard(() => 0);
  let finish = (_: string): void => {};
  const slow = new Promise<string>((resolve) => {
    finish = resolve;
  });
  const first = [1, 2].map(() => on.attempt('anna', '192.0.2.1', () => slow));
  expect(await outcome(on.attempt('anna', '192.0.2.1', right))).toBe('access.busy');
  expect(await outcome(on.attempt('bob', '192.0.2.2', right))).toBe('in');
  finish('in');
  expect(await Promise.all(first)).toEqual(['in', 'in']);
  expect(await outcome(on.attempt('anna', '192.0.2.1', right))).toBe('in');
});

test('an attempt that fails otherwise is no guess', async () => {
  const on = guard(() => 0);
  const broken = () => Promise.reject(new Error('no disk'));
  for (let count = 0; count < 9; count++)
    await expect(on.attempt('anna', '192.0.2.1', broken)).rejects.toThrow('no disk');
  expect(await outcome(on.attempt('anna', '192.0.2.1', right))).toBe('in');
});

test('one failure a minute of a source is noted, and ten of all', () => {
  let now = 0;
  const on = guard(() => now);
  expect([on.isNotable('192.0.2.1'), on.isNotable('192.0.2.1'), on.isNotable('192.0.2.2')]).toEqual([
    true,
    false,
    true,
  ]);
  now += 59_999;
  expect(on.isNotable('192.0.2.1')).toBe(false);
  now += 1;
  const all = Array.from({ length: 20 }, (_, index) => on.isNotable(`198.51.100.${index}`));
  expect(all.filter((noted) => noted)).toHaveLength(10);
});
