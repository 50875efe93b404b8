import { expect, test } from 'vitest';
import { toHex } from '../../../protocol/bytes.ts';
import { encodeBeats } from '../../../protocol/tunnel/beats.ts';

test('the bytes are those of docs/wire.md', () => {
  expect(toHex(encodeBeats({ periodMs: 4_000, timeoutMs: 3_000 }))).toBe('f90100000fa000000bb8');
});
