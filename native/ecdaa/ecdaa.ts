declare const groupBrand: unique symbol;

/** A group prepared for verification; freed when garbage-collected. */
export interface NativeGroup {
  readonly [groupBrand]: true;
}

/**
 * How the addon multiplies: in portable C; with the processor's mulx, adcx and adox; or, what is public, besides in the eight
 * lanes of AVX-512 IFMA.
 */
export type Arithmetic = 'portable' | 'adx' | 'lanes';

/**
 * ECDAA on FP256BN, byte for byte as protocol/crypto does it (ecdaa.md). Arguments of a wrong type are TypeErrors; contents that
 * are not valid (lengths, points, scalars) are answered with undefined, and protocol/crypto can say what is wrong with them.
 */
export interface EcdaaFace {
  /** Which arithmetic is in use; with an argument, chooses it, while nothing is under way. @throws TypeError if the processor lacks it */
  ecdaaArithmetic(choice?: Arithmetic): Arithmetic;
  /** `gpk` 258 bytes; an empty basename is none; `secretKeys` n times 32 bytes, `pseudonyms` n times 65. */
  ecdaaGroup(
    gpk: Uint8Array,
    basename: Uint8Array,
    secretKeys: Uint8Array,
    pseudonyms: Uint8Array,
  ): NativeGroup | undefined;
  /** 1 to 64 signatures at once on a thread of libuv's pool; 1 for each that a current member made over its message, else 0. */
  ecdaaVerify(
    group: NativeGroup,
    signatures: readonly Uint8Array[],
    messages: readonly Uint8Array[],
  ): Promise<Uint8Array>;
  /** sk·G1, 65 bytes. */
  ecdaaPublicPoint(secret: Uint8Array): Uint8Array | undefined;
  /** k + c·sk mod n, 32 bytes: the answer of whoever committed to k to the challenge c (ecdaa.md §5). Undefined unless sk and k are 1 … n−1 and c is below n. */
  ecdaaRespond(secret: Uint8Array, committed: Uint8Array, challenge: Uint8Array): Uint8Array | undefined;
  /** Credential and its signature, 324 bytes, from two draws of 65 random bytes. */
  ecdaaIssue(issuerSecret: Uint8Array, memberPoint: Uint8Array, draws: Uint8Array): Uint8Array | undefined;
  /** A signature of 421 bytes, or 356 with an empty basename, from three draws of 65 random bytes. */
  ecdaaSign(
    secret: Uint8Array,
    credential: Uint8Array,
    message: Uint8Array,
    basename: Uint8Array,
    draws: Uint8Array,
  ): Uint8Array | undefined;

  /** scalar·point by the path for secrets; infinity is empty. */
  fp256bnMultiply(point: Uint8Array, scalar: Uint8Array): Uint8Array | undefined;
  /** 1 to 8 products by the path for secrets, as issuing and signing multiply; 65 bytes each, infinity is all zero. A TPM's host signs with it. */
  fp256bnMultiplyEach(points: Uint8Array, scalars: Uint8Array): Uint8Array | undefined;
  /** a·P + b·Q by the path for public values; infinity is empty. */
  fp256bnMultiplyAdd(P: Uint8Array, a: Uint8Array, Q: Uint8Array, b: Uint8Array): Uint8Array | undefined;
  /** The scalar of 65 random bytes (ecdaa.md §3), in memory that the garbage collector does not copy. */
  fp256bnDraw(bytes: Uint8Array): Uint8Array | undefined;
  /** ecdaa.md §4. */
  fp256bnHashToG1(basename: Uint8Array): Uint8Array | undefined;
  /** Whether these 129 bytes are a point of the subgroup of order n. */
  fp256bnIsG2(point: Uint8Array): boolean;
  /** Whether e(P, Q)·e(P2, Q2) = 1. */
  fp256bnProductIsOne(P: Uint8Array, Q: Uint8Array, P2: Uint8Array, Q2: Uint8Array): boolean | undefined;
}
