import { concat, fromHex, u16 } from '../../protocol/bytes.ts';

/**
 * A UDP packet between two addresses, all of one flow; its payload is `size` bytes of `mark`. Its checksum is not valid.
 */
export function udp(source: Uint8Array, destination: Uint8Array, mark = 1, size = 20): Uint8Array {
  const payload = new Uint8Array(8 + size).fill(mark);
  payload.set([0, 7, 0, 7]);
  return concat(
    fromHex('60000000'),
    u16(payload.length),
    Uint8Array.of(17, 64),
    source,
    destination,
    payload,
  );
}
