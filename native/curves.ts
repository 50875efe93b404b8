declare const signerBrand: unique symbol;

/** A P-256 secret that the addon holds; wiped when collected. */
export interface SignerHandle {
  readonly [signerBrand]: true;
}

/**
 * Curves and MACs from raw bytes, without a key object per call. A bad argument is a TypeError; an Error means that
 * OpenSSL has no memory or was built without the algorithm.
 */
export interface CurvesFace {
  /** RFC 7748: the share (32 bytes) of a secret (32 bytes). */
  x25519Public(secret: Uint8Array): Uint8Array;
  /** Our share ‖ the shared value, 64 bytes; a peer share of small order gives a shared value of zeros. */
  x25519Exchange(secret: Uint8Array, peerShare: Uint8Array): Uint8Array;
  /**
   * ECDSA over SHA-256(message) with a 65-byte uncompressed key and a signature r ‖ s. False for whatever is malformed,
   * off the curve or out of range; high s is valid.
   */
  p256Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** Takes a copy of the 32-byte scalar. @throws TypeError unless it is in 1..n-1 */
  p256Signer(secret: Uint8Array): SignerHandle;
  /** RFC 6979 over SHA-256(message): r ‖ s, 64 bytes, high s left as it falls. */
  p256Sign(signer: SignerHandle, message: Uint8Array): Uint8Array;
  /** BLAKE2b with a key of 1..64 bytes and a digest of `length` bytes, 1..64: a parameter of the hash, not a truncation. */
  blake2bMac(key: Uint8Array, input: Uint8Array, length: number): Uint8Array;
}
