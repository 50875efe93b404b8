import { createHmac } from 'node:crypto';
import { concat, readU32, u32 } from '../../protocol/bytes.ts';

/**
 * The interface identifier (8 bytes) of a chip in a network: the same chip gets the same one even if its row were
 * lost. `counter` counts up when the identifier is taken or reserved.
 */
export type Identifier = (networkKey: Uint8Array, pseudonym: Uint8Array, counter: number) => Uint8Array;

/** First 8 bytes of HMAC-SHA-256(network key, pseudonym ‖ counter u32). */
export const deriveIdentifier: Identifier = (networkKey, pseudonym, counter) =>
  new Uint8Array(
    createHmac('sha256', networkKey)
      .update(concat(pseudonym, u32(counter)))
      .digest()
      .subarray(0, 8),
  );

/**
 * Identifiers no device may have: those RFC 5453 reserves (subnet-router anycast, the IANA Ethernet block, subnet
 * anycast), and 0000:0000:0000:0000–ffff, which the operator keeps; the fabric's host is ::1 there.
 */
export function isReserved(identifier: Uint8Array): boolean {
  const [upper, lower] = [readU32(identifier, 0), readU32(identifier, 4)];
  return RESERVED.some((range) => upper === range.upper && lower >= range.first && lower <= range.last);
}

/** Both halves of an identifier as numbers: the upper one is the same in all of a range. */
const RESERVED: readonly { readonly upper: number; readonly first: number; readonly last: number }[] = [
  { upper: 0x0000_0000, first: 0x0000_0000, last: 0x0000_ffff },
  { upper: 0x0200_5eff, first: 0xfe00_0000, last: 0xfeff_ffff },
  { upper: 0xfdff_ffff, first: 0xffff_ff80, last: 0xffff_ffff },
];

/** The fabric host's own address in a network: `<prefix>::1`. */
export function hostAddress(prefix: Uint8Array): Uint8Array {
  return concat(prefix.subarray(0, 8), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1));
}
