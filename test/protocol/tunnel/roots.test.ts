import { expect, test } from 'vitest';
import { toHex } from '../../../protocol/bytes.ts';
import { encodeRootsMessage, parseRootsMessage } from '../../../protocol/tunnel/roots.ts';

test('the messages are those of docs/wire.md, and are read as they were written', () => {
  const notice = encodeRootsMessage({ kind: 'notice', version: 3 });
  const known = encodeRootsMessage({
    kind: 'known',
    version: 0xffff_ffff,
    digest: Uint8Array.of(1, 2, 3, 4),
  });
  const update = encodeRootsMessage({ kind: 'update', update: Uint8Array.of(1, 2, 3) });
  expect([notice, known, update].map(toHex)).toEqual(['f40100000003', 'f402ffffffff01020304', 'f403010203']);
  expect(parseRootsMessage(notice)).toEqual({ kind: 'notice', version: 3 });
  expect(parseRootsMessage(known)).toEqual({
    kind: 'known',
    version: 0xffff_ffff,
    digest: Uint8Array.of(1, 2, 3, 4),
  });
  expect(parseRootsMessage(update)).toEqual({ kind: 'update', update: Uint8Array.of(1, 2, 3) });
});

test('whatever is of another type, kind or length is none', () => {
  for (const packet of [
    [],
    [0xf4],
    [0xf4, 1],
    [0xf4, 1, 0, 0, 0],
    [0xf4, 1, 0, 0, 0, 1, 0],
    [0xf4, 4, 0, 0, 0, 1],
  ])
    expect(parseRootsMessage(Uint8Array.from(packet)), String(packet)).toBeUndefined();
  expect(parseRootsMessage(Uint8Array.of(0xf3, 1, 0, 0, 0, 1))).toBeUndefined();
});
