/** A group's public key and the one equation that both credentials and signatures must satisfy (ecdaa.md §6, §7). */
import { Failure, isFailure } from '../failure.ts';
import { decodeG2, type Entropy, G2_LENGTH, toNumber } from './encoding.ts';
import { type G1Point, G2, type G2Point, type Lines, linesOf, productIsOne } from './fp256bn.ts';
import type { Primitives } from './primitives.ts';

export const GROUP_KEY_LENGTH = 2 * G2_LENGTH;
/** XTT's bound; a TPM could take 124 bytes (§9). */
export const MAX_BASENAME_LENGTH = 64;

/** A group public key X ‖ Y in the form that verification needs. */
export interface Group {
  readonly X: Lines;
  readonly Y: Lines;
}

/** Checks X(129) ‖ Y(129): both points of G2. @throws Failure `ecdaa.bad-group-key` */
export function checkGroupPublicKey(gpk: Uint8Array): void {
  groupPoints(gpk);
}

/** Precomputes what every verification under `gpk` (258 bytes) shares, some 10 ms of work. @throws Failure `ecdaa.bad-group-key` */
export function readGroup(gpk: Uint8Array): Group {
  const { X, Y } = groupPoints(gpk);
  return { X: linesOf(X), Y: linesOf(Y) };
}

/**
 * GID = SHA-256(GPK ‖ basename), 32 bytes, by which a client names its group (xtt-protocol.md §5). The key's points are
 * not checked. @throws Failure `ecdaa.bad-group-key`, `ecdaa.bad-basename`
 */
export function groupId(p: Pick<Primitives, 'sha256'>, gpk: Uint8Array, basename: Uint8Array): Uint8Array {
  checkGroupKeyLength(gpk);
  if (basename.length < 1 || basename.length > MAX_BASENAME_LENGTH) {
    throw new Failure(
      'ecdaa.bad-basename',
      'operator',
      `expected a basename of 1 to ${MAX_BASENAME_LENGTH} bytes, got ${basename.length}`,
      { action: 'Use the basename that the group was created with.' },
    );
  }
  return p.sha256(gpk, basename);
}

let generatorLines: Lines | undefined;

/**
 * True if (R, S, T, W) is a credential of this group, blinded or not: e(R, Y) = e(S, G2) and e(T, G2) = e(R + W, X).
 * Both at once, the second to the power of a fresh 128-bit z, so that a forgery passes with probability 2⁻¹²⁸:
 * e(R, Y) · e(zT − S, G2) · e(−z(R + W), X) = 1. Any infinity is refused.
 */
export function certifies(
  p: Pick<Entropy, 'random'>,
  group: Group,
  [R, S, T, W]: readonly [G1Point, G1Point, G1Point, G1Point],
): boolean {
  if ([R, S, T, W].some((point) => point.is0())) return false;
  generatorLines ??= linesOf(G2.BASE);
  const z = toNumber(p.random(16));
  return productIsOne([
    [R, group.Y],
    [T.multiplyUnsafe(z).subtract(S), generatorLines],
    [R.add(W).multiplyUnsafe(z).negate(), group.X],
  ]);
}

/** @throws Failure `ecdaa.bad-group-key` unless it has 258 bytes */
export function checkGroupKeyLength(gpk: Uint8Array): void {
  if (gpk.length !== GROUP_KEY_LENGTH) throw badGroupKey(`${gpk.length} bytes`);
}

/** X and Y of a GPK (258 bytes). @throws Failure `ecdaa.bad-group-key` */
export function groupPoints(gpk: Uint8Array): { X: G2Point; Y: G2Point } {
  checkGroupKeyLength(gpk);
  try {
    return { X: decodeG2(gpk.subarray(0, G2_LENGTH)), Y: decodeG2(gpk.subarray(G2_LENGTH)) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw badGroupKey(error.message, error);
  }
}

function badGroupKey(got: string, cause?: unknown): Failure {
  return new Failure(
    'ecdaa.bad-group-key',
    'operator',
    `expected a group public key of ${GROUP_KEY_LENGTH} bytes, two points of G2: got ${got}`,
    { action: 'Take the group public key again from its label or from the issuer.', cause },
  );
}
