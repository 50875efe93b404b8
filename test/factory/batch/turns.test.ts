import { expect, test } from 'vitest';
import { inTurns } from '../../../factory/batch/turns.ts';

/** A thing that says each time that it is taken and given back. */
function thing(most: number, fails: () => string | undefined = () => undefined) {
  const said: string[] = [];
  const turn = inTurns<string>(most, async (key, work) => {
    said.push(`take ${key}`);
    const wrong = fails();
    if (wrong === 'taking') throw new Error(wrong);
    await work(key);
    said.push(`give ${key}`);
    if (wrong === 'giving') throw new Error(wrong);
  });
  const use = (key: string, name: string, wrong?: Error): Promise<string> =>
    turn(key, async (held) => {
      said.push(`${name} has ${held}`);
      await new Promise((resolve) => setImmediate(resolve));
      if (wrong !== undefined) throw wrong;
      said.push(`${name} is done`);
      return name;
    });
  return { said, use };
}

test('who waits for a thing has it while it is held, one after the other, and so many at most', async () => {
  const { said, use } = thing(2);
  const all = ['a', 'b', 'c'].map((name) => use('x', name));
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c']);
  await new Promise((resolve) => setImmediate(resolve));
  expect(said).toEqual([
    ...['take x', 'a has x', 'a is done', 'b has x', 'b is done', 'give x'],
    ...['take x', 'c has x', 'c is done', 'give x'],
  ]);
  // Nobody waits any more: the next one takes it anew.
  said.length = 0;
  await use('x', 'd');
  // Whoever has had it does not wait until it is given back.
  await new Promise((resolve) => setImmediate(resolve));
  expect(said).toEqual(['take x', 'd has x', 'd is done', 'give x']);
});

test('another thing is held beside it', async () => {
  const { said, use } = thing(2);
  await Promise.all([use('x', 'a'), use('y', 'b')]);
  expect(said.indexOf('b has y')).toBeLessThan(said.indexOf('a is done'));
});

test('a failure is that of whom it met; the others have the thing taken anew', async () => {
  const { said, use } = thing(9);
  const all = [use('x', 'a'), use('x', 'b', new Error('b fails')), use('x', 'c')];
  expect(await Promise.allSettled(all)).toEqual([
    { status: 'fulfilled', value: 'a' },
    { status: 'rejected', reason: new Error('b fails') },
    { status: 'fulfilled', value: 'c' },
  ]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(said.slice(-5)).toEqual(['give x', 'take x', 'c has x', 'c is done', 'give x']);
});

test('what cannot be taken is the failure of all who wait, and of nobody after them', async () => {
  let wrong: string | undefined = 'taking';
  const { use } = thing(9, () => wrong);
  for (const each of await Promise.allSettled([use('x', 'a'), use('x', 'b')]))
    expect(each).toEqual({ status: 'rejected', reason: new Error('taking') });
  wrong = undefined;
  expect(await use('x', 'c')).toBe('c');
  // What was done before it was given back stays done.
  wrong = 'giving';
  expect(await use('x', 'd')).toBe('d');
});
