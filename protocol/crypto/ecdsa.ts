import { p256 } from '@noble/curves/nist.js';
import { wipe } from '../bytes.ts';
import { Failure } from '../failure.ts';

/** Bytes of an uncompressed P-256 point, `04 ‖ X ‖ Y`. */
export const PUBLIC_KEY_LENGTH = 65;

/** Bytes of a raw ECDSA P-256 signature, r ‖ s. */
export const SIGNATURE_LENGTH = 64;

/**
 * The 65-byte uncompressed public key of a 32-byte P-256 scalar.
 * @throws Failure `ecdsa.bad-secret` if the scalar is not 32 bytes in 1..n-1
 */
export function publicKeyOf(secret: Uint8Array): Uint8Array {
  checkSecret(secret);
  return withCopy(secret, (scalar) => p256.getPublicKey(scalar, false));
}

/** True if `publicKey` is a 65-byte uncompressed point on P-256 with both coordinates below p. */
export function isPublicKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== PUBLIC_KEY_LENGTH) return false;
  try {
    p256.Point.fromBytes(new Uint8Array(publicKey)).assertValidity();
    return true;
  } catch {
    return false;
  }
}

/**
 * Signs SHA-256(message) by RFC 6979: the same key and message give the same 64 bytes r ‖ s, so that the server's
 * handshake signature can be computed again when its cookie returns instead of being remembered. High s is left
 * as it falls, like the peers do (xtt-protocol.md §2.4). The signer keeps its own copy of the 32-byte scalar.
 * @throws Failure `ecdsa.bad-secret`
 */
export function deterministicSigner(secret: Uint8Array): (message: Uint8Array) => Uint8Array {
  checkSecret(secret);
  const scalar = new Uint8Array(secret);
  return (message) => p256.sign(new Uint8Array(message), scalar, { lowS: false, prehash: true });
}

/** The library takes plain Uint8Arrays only, and a secret may be a view of something else. */
function withCopy<T>(secret: Uint8Array, use: (scalar: Uint8Array) => T): T {
  const scalar = new Uint8Array(secret);
  try {
    return use(scalar);
  } finally {
    wipe(scalar);
  }
}

/** @throws Failure `ecdsa.bad-secret` unless the secret is 32 bytes in 1..n-1 */
export function checkSecret(secret: Uint8Array): void {
  if (withCopy(secret, (scalar) => p256.utils.isValidSecretKey(scalar))) return;
  throw new Failure(
    'ecdsa.bad-secret',
    'operator',
    `a P-256 private key has 32 bytes with a value in 1..n-1; the ${secret.length} bytes given are not one`,
    { action: 'Restore the key file from a backup or create a new key.' },
  );
}
