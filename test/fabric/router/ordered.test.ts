import { expect, test } from 'vitest';
import { orderedKeys } from '../../../fabric/router/ordered.ts';

test('[H-E] keys come in pages, in order, whatever was added or removed between two of them', () => {
  const keys = orderedKeys();
  for (const key of ['m', 'c', 'x', 'a', 'q', 'c']) keys.add(key);
  expect(keys.page(undefined, 2)).toEqual(['a', 'c']);
  keys.delete('c');
  keys.delete('z');
  keys.add('b');
  keys.add('d');
  // The key itself has gone.
  expect(keys.page('c', 2)).toEqual(['d', 'm']);
  expect(keys.page('m', 9)).toEqual(['q', 'x']);
  expect(keys.page('x', 9)).toEqual([]);
  expect(keys.page(undefined, 9)).toEqual(['a', 'b', 'd', 'm', 'q', 'x']);
});
