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

/** An IPv6 packet with this next header and what follows it. */
export const ipv6 = (
  source: Uint8Array,
  destination: Uint8Array,
  next: number,
  payload: Uint8Array,
): Uint8Array =>
  concat(fromHex('60000000'), u16(payload.length), Uint8Array.of(next, 64), source, destination, payload);

/** Source and destination port. */
export type Ports = readonly [number, number];

/** A UDP header with some payload, and one of TCP with flags such as SYN (2), RST (4) and ACK (16). Checksums are not valid. */
export const udpTo = ([from, to]: Ports, size = 4): Uint8Array =>
  concat(u16(from), u16(to), u16(8 + size), u16(0), new Uint8Array(size));
export const tcpTo = ([from, to]: Ports, flags: number): Uint8Array =>
  concat(u16(from), u16(to), new Uint8Array(8), Uint8Array.of(0x50, flags), new Uint8Array(6));

/** An ICMPv6 echo request (128) or reply (129). */
export const echo = (type: number, identifier: number): Uint8Array =>
  concat(Uint8Array.of(type, 0), u16(0), u16(identifier), u16(1));

/** A fragment of a packet: `offset` in units of eight bytes. */
export const fragment = (
  next: number,
  offset: number,
  more: boolean,
  id: number,
  payload: Uint8Array,
): Uint8Array =>
  concat(Uint8Array.of(next, 0), u16((offset << 3) | (more ? 1 : 0)), u16(0), u16(id), payload);
