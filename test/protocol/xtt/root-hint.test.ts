import { expect, test } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { encodeClientInit } from '../../../protocol/xtt/message.ts';
import { HINT_LENGTH, hasHint, hintedNonce, rootHint } from '../../../protocol/xtt/root-hint.ts';

const ROOT = new Uint8Array(81).map((_, i) => i);

test('a hint is the beginning of a hash of the root, which every version computes alike', () => {
  // printf 'enf root hint' followed by the bytes 00 to 50, through sha256sum.
  expect(toHex(rootHint(primitives, ROOT))).toBe('2ea8afd510ed6fd9');
});

test('a nonce has the hint in front, and is a fresh one all the same', () => {
  const [one, other] = [hintedNonce(primitives, ROOT), hintedNonce(primitives, ROOT)];
  expect(one.length).toBe(32);
  expect(one.slice(0, HINT_LENGTH)).toEqual(other.slice(0, HINT_LENGTH));
  expect(one.slice(HINT_LENGTH)).not.toEqual(other.slice(HINT_LENGTH));
});

test('a ClientInit has its own hint and no other', () => {
  const init = encodeClientInit({
    suite: 1,
    nonce: hintedNonce(primitives, ROOT),
    share: new Uint8Array(32),
  });
  const hint = rootHint(primitives, ROOT);
  expect(hasHint(init, hint)).toBe(true);
  expect(hasHint(init, rootHint(primitives, concat(ROOT.subarray(1), fromHex('00'))))).toBe(false);
  expect(
    hasHint(encodeClientInit({ suite: 1, nonce: new Uint8Array(32), share: new Uint8Array(32) }), hint),
  ).toBe(false);
});
