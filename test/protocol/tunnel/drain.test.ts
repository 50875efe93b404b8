import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { encodeDrain, MOST_DRAIN_SECONDS, parseDrain } from '../../../protocol/tunnel/drain.ts';

const LEAVE = { kind: 'leave', within: 30, after: 10, spread: 2 } as const;

test('the bytes are those of docs/wire.md', () => {
  expect(toHex(encodeDrain(LEAVE))).toBe('f8010000001e0000000a00000002');
  expect(toHex(encodeDrain({ kind: 'stay' }))).toBe('f802');
});

test('what is encoded is read again', () => {
  const most = { kind: 'leave', within: 0, after: MOST_DRAIN_SECONDS, spread: MOST_DRAIN_SECONDS } as const;
  for (const message of [LEAVE, most, { kind: 'stay' } as const])
    expect(parseDrain(encodeDrain(message))).toEqual(message);
});

test.each([
  ['no kind', 'f8'],
  ['a kind of later', 'f803'],
  ['leave, cut off', 'f8010000001e0000000a000000'],
  ['leave, and more', 'f8010000001e0000000a0000000200'],
  ['stay, and more', 'f80200'],
  ['a longer time to leave', 'f80100000e110000000000000000'],
  ['a longer time to come back', 'f8010000000000000e1100000000'],
  ['a longer spread', 'f801000000000000000000000e11'],
  ['the largest numbers', 'f801ffffffffffffffffffffffff'],
])('%s is ignored', (_, hex) => {
  expect(parseDrain(fromHex(hex))).toBe('ignored');
});

test('another message is another message', () => {
  for (const hex of ['f702', 'f7010000003c', '']) expect(parseDrain(fromHex(hex))).toBeUndefined();
});
