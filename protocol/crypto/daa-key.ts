/**
 * A member's ECDAA secret key sk on FP256BN, wherever it lives: in software (`softwareDaaKey`) or in a TPM
 * (`tpm/daa.ts`). The scheme above only ever sees commitments and responses (ecdaa.md §5, §9).
 */
export interface DaaKey {
  /** Q = sk·G1, 65 bytes uncompressed. */
  readonly publicPoint: Uint8Array;
  /** Draws a fresh k: E = k·base and, with a basename, K = sk·P2 and L = k·P2. All 65 bytes. */
  commit(base: Uint8Array, basename?: BasenamePoint): Promise<Commitment>;
}

/** HashToG1(basename) in the forms software and TPM need (ecdaa.md §4, §9.1). */
export interface BasenamePoint {
  /** P2, 65 bytes; its last 32 bytes are the TPM's y2. */
  readonly point: Uint8Array;
  /** LE32(i) ‖ basename: the preimage whose SHA-256 is P2's x. */
  readonly s2: Uint8Array;
}

/** One pending commitment; `sign` may be called once. */
export interface Commitment {
  readonly E: Uint8Array;
  readonly K?: Uint8Array;
  readonly L?: Uint8Array;
  /**
   * c = SHA-256(nonce ‖ c1) mod n; s = k + c·sk mod n. `c1` is 32 bytes, already reduced mod n.
   * Both results as the key produced them: a TPM may strip leading zeros, the caller then starts again (§9.4).
   */
  sign(c1: Uint8Array): Promise<{ readonly nonce: Uint8Array; readonly s: Uint8Array }>;
}
