import { createHmac } from 'node:crypto';
import { concat, u32 } from '../../protocol/bytes.ts';

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
      .digest(),
  ).slice(0, 8);

/**
 * Identifiers no device may have: those RFC 5453 reserves (subnet-router anycast, the IANA Ethernet block, subnet
 * anycast), and 0000:0000:0000:0000–ffff, which the operator keeps; the fabric's host is ::1 there.
 */
export function isReserved(identifier: Uint8Array): boolean {
  const value = identifier.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return RESERVED.some(([first, last]) => value >= first && value <= last);
}

const RESERVED: readonly (readonly [bigint, bigint])[] = [
  [0x0000_0000_0000_0000n, 0x0000_0000_0000_ffffn],
  [0x0200_5eff_fe00_0000n, 0x0200_5eff_feff_ffffn],
  [0xfdff_ffff_ffff_ff80n, 0xfdff_ffff_ffff_ffffn],
];

/** The fabric host's own address in a network: `<prefix>::1`. */
export function hostAddress(prefix: Uint8Array): Uint8Array {
  return concat(prefix.subarray(0, 8), Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1));
}
