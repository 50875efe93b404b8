import { expect, test } from 'vitest';
import { ownTurn } from '../../../fabric/registry/turns.ts';

test('[H-E] of all long work one part is done in a turn of the event loop, in the order in which it was asked for', async () => {
  const events: string[] = [];
  let left = 5;
  const turn = (): void => {
    events.push('|');
    if (left > 0) setImmediate(turn);
  };
  const work = async (name: string): Promise<void> => {
    await ownTurn();
    events.push(name);
    left--;
  };
  setImmediate(turn);
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map(work));
  expect(events.join('')).toMatch(/^\|?a\|+b\|+c\|+d\|+e$/);
});
