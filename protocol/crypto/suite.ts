import { blake2b } from '@noble/hashes/blake2.js';
import { concat, equal } from '../bytes.ts';
import { Failure } from '../failure.ts';
import type { Aead, Primitives } from './primitives.ts';

/** A suite spec as it stands on the wire (xtt-protocol.md §2.3). */
export type SuiteSpec = 1 | 2 | 3 | 4;

export const SUITE_NAMES: Record<SuiteSpec, string> = {
  1: 'X25519_LRSW_ECDSAP256_CHACHA20POLY1305_SHA512',
  2: 'X25519_LRSW_ECDSAP256_CHACHA20POLY1305_BLAKE2B',
  3: 'X25519_LRSW_ECDSAP256_AES256GCM_SHA512',
  4: 'X25519_LRSW_ECDSAP256_AES256GCM_BLAKE2B',
};

/** What one suite uses: sizes are the same for all four (hash 64, key 32, nonce 12, tag 16, share 32). */
export interface Suite {
  readonly spec: SuiteSpec;
  readonly name: string;
  /** The suite hash of the concatenated parts, 64 bytes. */
  hash(...parts: readonly Uint8Array[]): Uint8Array;
  /** prf(length, key, input) of §8; `key` 64 bytes, `length` 1..64. */
  prf(length: number, key: Uint8Array, input: Uint8Array): Uint8Array;
  /** prf(length, key, input ‖ label) for each label and the length at its place, one behind the other. */
  prfEach(
    key: Uint8Array,
    input: Uint8Array,
    lengths: Uint8Array,
    ...labels: readonly Uint8Array[]
  ): Uint8Array;
  /** ciphertext ‖ tag under a 32-byte key and a 12-byte nonce. */
  seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** The plaintext. @throws Failure `xtt.not-authentic` */
  open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array;
  /** The X25519 share of a 32-byte secret. */
  share(secret: Uint8Array): Uint8Array;
  /** The X25519 shared secret, 32 bytes. @throws Failure `xtt.weak-share` if it is all zero */
  exchange(secret: Uint8Array, peerShare: Uint8Array): Uint8Array;
  /** A 32-byte shared secret that is one. @throws Failure `xtt.weak-share` if it is all zero */
  strong(shared: Uint8Array): Uint8Array;
  /** ECDSA P-256 over SHA-256(message); false for anything malformed. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

/**
 * The suite with this number, over the given primitives.
 * @throws Failure `xtt.unknown-suite` for anything but 1..4
 */
export function suite(p: Primitives, spec: number): Suite {
  if (!isSuiteSpec(spec)) {
    throw new Failure('xtt.unknown-suite', 'retry', `suite: expected 1 to 4, got ${spec}`, {
      action: 'Check which suites this version and the other side support.',
    });
  }
  const aead: Aead = spec <= 2 ? 'chacha20-poly1305' : 'aes-256-gcm';
  const blake = spec === 2 || spec === 4;
  const prf: Suite['prf'] = blake
    ? keyedBlake2b(p)
    : (length, key, input) => p.hmacSha512(key, input).slice(0, length);
  return {
    spec,
    name: SUITE_NAMES[spec],
    hash: blake ? (...parts) => p.blake2b512(...parts) : (...parts) => p.sha512(...parts),
    prf,
    prfEach:
      !blake && p.hmacSha512Each !== undefined
        ? (key, input, lengths, ...labels) => p.hmacSha512Each!(key, input, lengths, ...labels)
        : (key, input, lengths, ...labels) =>
            concat(...labels.map((label, i) => prf(lengths[i]!, key, concat(input, label)))),
    seal: (key, nonce, aad, plaintext) => p.seal(aead, key, nonce, aad, plaintext),
    open: (key, nonce, aad, sealed) => {
      const plaintext = p.open(aead, key, nonce, aad, sealed);
      if (plaintext === undefined) throw notAuthentic();
      return plaintext;
    },
    share: (secret) => p.x25519Public(secret),
    exchange: (secret, peerShare) => strong(p.x25519(secret, peerShare)),
    strong,
    verify: (publicKey, message, signature) => p.verifyEcdsa(publicKey, message, signature),
  };
}

/** True for 1..4. */
export function isSuiteSpec(spec: number): spec is SuiteSpec {
  return spec === 1 || spec === 2 || spec === 3 || spec === 4;
}

const ZERO = new Uint8Array(32);

function strong(shared: Uint8Array): Uint8Array {
  if (equal(shared, ZERO)) throw weakShare();
  return shared;
}

/** Nothing secret comes of an exchange with it. */
export function weakShare(): Failure {
  return new Failure('xtt.weak-share', 'retry', 'the X25519 share of the other side is of small order', {
    action: 'The other side is defective or hostile; check which server answers at the configured address.',
  });
}

/** A message does not fit its tag. */
export function notAuthentic(): Failure {
  return new Failure(
    'xtt.not-authentic',
    'retry',
    'the authentication tag of the encrypted message is not valid',
    { action: 'If it happens again, look for a device on the path that alters traffic.' },
  );
}

/**
 * Keyed BLAKE2b whose digest length is a parameter of the hash, not a truncation (§8). Never node:crypto's, which
 * silently ignores a key given to BLAKE2b.
 */
function keyedBlake2b(p: Primitives): Suite['prf'] {
  if (p.blake2bMac !== undefined) return (length, key, input) => p.blake2bMac!(key, input, length);
  return (length, key, input) => blake2b(new Uint8Array(input), { key: new Uint8Array(key), dkLen: length });
}
