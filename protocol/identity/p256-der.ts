import { concat, fromHex } from '../bytes.ts';
import { der, derUnsigned, TAG } from './der.ts';

/** What certificates and requests say of a P-256 key and its signatures (RFC 5480, RFC 5758). */

/** AlgorithmIdentifier of ECDSA with SHA-256. */
export const ECDSA_WITH_SHA256 = der(TAG.sequence, fromHex('06082a8648ce3d040302'));
/** AlgorithmIdentifier of a P-256 key. */
export const P256_KEY = der(TAG.sequence, fromHex('06072a8648ce3d0201'), fromHex('06082a8648ce3d030107'));

/** SubjectPublicKeyInfo of a public key of 65 bytes, uncompressed. */
export const p256KeyInfo = (publicKey: Uint8Array): Uint8Array =>
  der(TAG.sequence, P256_KEY, bitString(publicKey));

/** `content` with its ECDSA signature (r ‖ s, 64 bytes) behind it, as certificates and requests are signed. */
export function signedDer(content: Uint8Array, signature: Uint8Array): Uint8Array {
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
  const integers = der(TAG.sequence, derUnsigned(r), derUnsigned(s));
  return der(TAG.sequence, content, ECDSA_WITH_SHA256, bitString(integers));
}

/** Whole bytes as a BIT STRING. */
const bitString = (bytes: Uint8Array): Uint8Array => der(TAG.bitString, concat(Uint8Array.of(0), bytes));
