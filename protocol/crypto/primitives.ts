/**
 * The ready-made primitives the protocol needs. They come in as an argument: programs inject node:crypto
 * (`crypto/primitives.ts`), so that nothing below touches a platform module. All values are raw bytes.
 */
export interface Primitives {
  sha256(...parts: readonly Uint8Array[]): Uint8Array;
  sha512(...parts: readonly Uint8Array[]): Uint8Array;
  /** Unkeyed BLAKE2b with a 64-byte digest. */
  blake2b512(...parts: readonly Uint8Array[]): Uint8Array;
  hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
  hmacSha512(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
  /** HMAC-SHA-512 of `input ‖ label` for each label, cut to its length, one behind the other, where one call is cheaper than several. */
  hmacSha512Each?(
    key: Uint8Array,
    input: Uint8Array,
    lengths: Uint8Array,
    ...labels: readonly Uint8Array[]
  ): Uint8Array;
  /** RFC 7748: the public share (32 bytes) of a 32-byte secret. */
  x25519Public(secret: Uint8Array): Uint8Array;
  /** RFC 7748: 32 bytes. An all-zero result is returned as such; the caller refuses it. */
  x25519(secret: Uint8Array, peerShare: Uint8Array): Uint8Array;
  /** An X25519 secret (32 bytes, copied) that is used for many peers. */
  x25519Key(secret: Uint8Array): X25519Key;
  /** Keyed BLAKE2b with a digest of `length` bytes, where it is cheaper than noble's. */
  blake2bMac?(key: Uint8Array, input: Uint8Array, length: number): Uint8Array;
  /** ciphertext ‖ 16-byte tag. */
  seal(aead: Aead, key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** The plaintext, or undefined if the tag does not fit. */
  open(
    aead: Aead,
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined;
  /**
   * ECDSA P-256 over SHA-256(message); `publicKey` is 65 bytes uncompressed, `signature` r ‖ s, 64 bytes.
   * False for any malformed, off-curve or out-of-range input. High s is valid (xtt-protocol.md §2.4).
   */
  verifyEcdsa(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Cryptographically secure random bytes. */
  random(length: number): Uint8Array;
}

/** One X25519 secret. */
export interface X25519Key {
  /** 32 bytes. */
  readonly share: Uint8Array;
  /** As `x25519`. */
  exchange(peerShare: Uint8Array): Uint8Array;
  /** Wipes it, as far as the platform lets us; nothing can be exchanged any more. */
  forget(): void;
}

/** AEAD of a suite: 32-byte key, 12-byte nonce, 16-byte tag. */
export type Aead = 'chacha20-poly1305' | 'aes-256-gcm';

/** Signs SHA-256(message) with ECDSA P-256; returns r ‖ s, 64 bytes. The key stays with whoever made this function. */
export type EcdsaSigner = (message: Uint8Array) => Promise<Uint8Array>;
