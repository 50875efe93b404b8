declare const signerBrand: unique symbol;
declare const x25519Brand: unique symbol;

/** A P-256 secret that the addon holds; wiped when collected. */
export interface SignerHandle {
  readonly [signerBrand]: true;
}

/** An X25519 secret that the addon holds; wiped when forgotten or collected. */
export interface X25519Handle {
  readonly [x25519Brand]: true;
}

/**
 * Curves, hashes, MACs and AEADs on raw bytes, without an object per call. A bad argument is a TypeError; an Error means
 * that OpenSSL has no memory or was built without the algorithm. A fabric has whole messages computed (native/xtt/xtt.ts): these are for clients of
 * load generators, which must cost less than the server, and for tests.
 */
export interface CurvesFace {
  /** RFC 7748: the share (32 bytes) of a secret (32 bytes). */
  x25519Public(secret: Uint8Array): Uint8Array;
  /** Takes a copy of the 32-byte secret. */
  x25519Key(secret: Uint8Array): X25519Handle;
  /** The shared value, 32 bytes; zeros for a peer share of small order. @throws Error once the key was forgotten */
  x25519Shared(key: X25519Handle, peerShare: Uint8Array): Uint8Array;
  /** Wipes the key; allowed any number of times. */
  x25519Forget(key: X25519Handle): void;
  /**
   * ECDSA over SHA-256(message) with a 65-byte uncompressed key and a signature r ‖ s. False for whatever is malformed,
   * off the curve or out of range; high s is valid.
   */
  p256Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Takes a copy of the 32-byte scalar. @throws TypeError unless it is in 1..n-1 */
  p256Signer(secret: Uint8Array): SignerHandle;
  /** RFC 6979 over SHA-256(message): r ‖ s, 64 bytes, high s left as it falls. */
  p256Sign(signer: SignerHandle, message: Uint8Array): Uint8Array;

  /** At most 8 parts, here and below. */
  sha512(...parts: readonly Uint8Array[]): Uint8Array;
  blake2b512(...parts: readonly Uint8Array[]): Uint8Array;
  hmacSha512(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
  /** HMAC-SHA-512 of `input ‖ label` for each label, cut to the length at its place (1..64), one behind the other. 1 to 5 labels. */
  hmacSha512Each(
    key: Uint8Array,
    input: Uint8Array,
    lengths: Uint8Array,
    ...labels: readonly Uint8Array[]
  ): Uint8Array;
  /** BLAKE2b with a key of 1..64 bytes and a digest of `length` bytes, 1..64: a parameter of the hash, not a truncation. */
  blake2bMac(key: Uint8Array, input: Uint8Array, length: number): Uint8Array;
  /** ciphertext ‖ 16-byte tag, with `chacha20-poly1305` or `aes-256-gcm`; at most 64 KB of text. */
  aeadSeal(
    aead: string,
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
  ): Uint8Array;
  /** The plaintext, or undefined if the tag does not fit. */
  aeadOpen(
    aead: string,
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined;
}
