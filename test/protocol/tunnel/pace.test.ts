import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { encodePace, isPace, LEAST_PACE, MOST_PACE, parsePace } from '../../../protocol/tunnel/pace.ts';

test('the bytes are those of docs/wire.md', () => {
  expect(toHex(encodePace(60))).toBe('f7010000003c');
});

test('what is encoded is read again', () => {
  for (let seconds = LEAST_PACE; seconds <= MOST_PACE; seconds++)
    expect(parsePace(encodePace(seconds))).toBe(seconds);
});

test.each([
  ['no kind', 'f7'],
  ['a kind of later', 'f7020000003c'],
  ['too short', 'f701003c'],
  ['too long', 'f7010000003c00'],
  ['no time', 'f70100000000'],
  ['a second less than the least', 'f7010000001d'],
  ['a second more than the most', 'f7010000012d'],
  ['the largest number', 'f701ffffffff'],
])('%s is ignored', (_, hex) => {
  expect(parsePace(fromHex(hex))).toBe('ignored');
});

test('another message is another message', () => {
  expect(parsePace(fromHex('f6010000003c'))).toBeUndefined();
  expect(parsePace(new Uint8Array(0))).toBeUndefined();
});

test('only whole seconds within the bounds are a pace', () => {
  for (const pace of ['60', 60.5, 29, 301, Number.NaN, null, undefined, {}]) expect(isPace(pace)).toBe(false);
});
