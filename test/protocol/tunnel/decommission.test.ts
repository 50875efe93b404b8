import { expect, test } from 'vitest';
import { toHex } from '../../../protocol/bytes.ts';
import {
  type DecommissionMessage,
  encodeDecommission,
  parseDecommission,
} from '../../../protocol/tunnel/decommission.ts';

test('the messages are those of docs/wire.md, and are read as they were written', () => {
  const messages: [DecommissionMessage, string][] = [
    [{ kind: 'request' }, 'f501'],
    [{ kind: 'refused', reason: 'forbidden' }, 'f50201'],
    [{ kind: 'refused', reason: 'too-many' }, 'f50202'],
  ];
  for (const [message, bytes] of messages) {
    expect(toHex(encodeDecommission(message))).toBe(bytes);
    expect(parseDecommission(encodeDecommission(message))).toEqual(message);
  }
});

test('whatever is of another type, kind, length or reason is none', () => {
  for (const packet of [
    [],
    [0xf5],
    [0xf5, 0],
    [0xf5, 1, 0],
    [0xf5, 2],
    [0xf5, 2, 0],
    [0xf5, 2, 3],
    [0xf5, 2, 1, 0],
    [0xf5, 3],
    [0xf4, 1],
  ])
    expect(parseDecommission(Uint8Array.from(packet)), String(packet)).toBeUndefined();
});
