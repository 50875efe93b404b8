/**
 * FP256BN, the Barreto–Naehrig curve of ISO/IEC 15946-5 that a TPM calls TPM_ECC_BN_P256 (ecdaa.md §1), as a parameter
 * file for the generic curve modules of @noble/curves.
 *
 *   u   = -0x6882f5c030b0a801
 *   p   = 36u⁴ + 36u³ + 24u² + 6u + 1        n = 36u⁴ + 36u³ + 18u² + 6u + 1
 *   E   : y² = x³ + 3            over Fp,                 cofactor 1,       G1 = (1, 2)
 *   E'  : y² = x³ + 3(1+i)       over Fp2 = Fp[i]/(i²+1), cofactor 2p − n:  the M-type sextic twist
 *   Fp6 = Fp2[v]/(v³ − (1+i)),   Fp12 = Fp6[w]/(w² − v)
 *
 * A 256-bit BN curve gives about 100 bits of security; the wire format fixes it.
 */
import { type BlsPostPrecomputeFn, blsBasic } from '@noble/curves/abstract/bls.js';
import { Field } from '@noble/curves/abstract/modular.js';
import {
  type Fp2 as Fp2Element,
  type Fp12 as Fp12Element,
  psiFrobenius,
  tower12,
} from '@noble/curves/abstract/tower.js';
import { type WeierstrassPoint, weierstrass } from '@noble/curves/abstract/weierstrass.js';

export type G1Point = WeierstrassPoint<bigint>;
export type G2Point = WeierstrassPoint<Fp2Element>;

/** −u: the curve's parameter is negative, every chain below runs over its absolute value. */
const MINUS_U = 0x6882f5c030b0a801n;
/** The field's order. */
export const p = 0xfffffffffffcf0cd46e5f25eee71a49f0cdc65fb12980a82d3292ddbaed33013n;
/** The order of G1, G2 and the pairing's target group. */
export const n = 0xfffffffffffcf0cd46e5f25eee71a49e0cdc65fb1299921af62d536cd10b500dn;

/** −u with digits −1, 0, 1, most significant first: fewer multiplications, and inversion is only a conjugation here. */
const SIGNED_DIGITS = signedDigits(MINUS_U);

const tower = tower12({
  ORDER: p,
  X_LEN: 63,
  FP2_NONRESIDUE: [1n, 1n],
  Fp2mulByB: (x: Fp2Element) => Fp2.mul(Fp2.mulByNonresidue(x), 3n),
  Fp12finalExponentiate: finalExponentiate,
});
export const { Fp, Fp2, Fp12 } = tower;
/** Arithmetic with scalars, mod n. */
export const Fr = Field(n);

const { psi, G2psi } = psiFrobenius(Fp, Fp2, Fp2.div(Fp2.ONE, Fp2.NONRESIDUE));

/** (x, y) → (βx, y), which multiplies by a λ (GLV). */
export const ENDOMORPHISM = {
  beta: 0x13988e140921018659bcdd79df1932d1edb1c0a24a3a1b807n,
  // Reduced basis of the lattice of all (a, b) with a + b·λ = 0 mod n: (6u²+2u, −2u−1) and (2u+1, 6u²+4u+1).
  basises: [
    [0xfffffffffffe78670bf5eeee7c669004n, 0xd105eb8061615001n],
    [-0xd105eb8061615001n, 0xfffffffffffe78663af0036e1b054003n],
  ] as [[bigint, bigint], [bigint, bigint]],
};

/**
 * The points of E. `multiply` is for secret scalars (fixed sequence of operations, blinded, 1 … n−1); `multiplyUnsafe` and
 * `mulAddUnsafe` are for public ones (0 … n−1) and go through the GLV endomorphism.
 */
export const G1 = weierstrass(
  { p, n, h: 1n, a: 0n, b: 3n, Gx: 1n, Gy: 2n },
  {
    Fp,
    Fn: Fr,
    allowInfinityPoint: true,
    endo: ENDOMORPHISM,
  },
);

/** The order-n points of E'; `assertValidity` includes the subgroup test. */
export const G2 = weierstrass<Fp2Element>(
  {
    p: Fp2.ORDER,
    n,
    h: 2n * p - n,
    a: Fp2.ZERO,
    b: Fp2.mul(Fp2.NONRESIDUE, 3n),
    Gx: Fp2.fromBigTuple([
      0xfe0c3350b4c96c2028560f577c28913ace1c539a12bf843cd22616b689c09efbn,
      0x4ea66057738ac054db5ae1c637d813b924dd78e287d03589d269ed34a37e6a2bn,
    ]),
    Gy: Fp2.fromBigTuple([
      0x702046e7c542a3b376770d75124e3e51efcb24758d615848e909b481bedc27ffn,
      0x0554e3bcd388c29042eea649297eb29f8b4cbe80821a98b3e01281114aad049bn,
    ]),
  },
  {
    Fp: Fp2,
    Fn: Fr,
    allowInfinityPoint: true,
    // ψ² − tψ + p = 0 on E'(Fp2) with t − 1 = 6u². So ψ(P) = (t−1)P implies (p + 1 − t)P = nP = 0: the test is exact.
    isTorsionFree: (curve, point) => point.multiplyUnsafe(6n * MINUS_U * MINUS_U).equals(G2psi(curve, point)),
  },
);

/**
 * The last two lines of the R-ate pairing. The generic builder conjugates for u < 0 at the very end, so they go in negated:
 * −ψ(Q), then +ψ²(Q).
 */
const lastLines: BlsPostPrecomputeFn = (Rx, Ry, Rz, Qx, Qy, pointAdd) => {
  const [x, y] = psi(Qx, Qy);
  const next = pointAdd(Rx, Ry, Rz, x, Fp2.neg(y));
  const [x2, y2] = psi(x, y);
  pointAdd(next.Rx, next.Ry, next.Rz, x2, y2);
};

/** The optimal (R-ate) pairing e: G1 × G2 → Fp12; only equalities of its values mean anything to a peer. */
export const pairings = blsBasic({ Fp, Fp2, Fp6: tower.Fp6, Fp12, Fr }, G1, G2, {
  ateLoopSize: 6n * MINUS_U - 2n,
  xNegative: true,
  twistType: 'multiplicative',
  postPrecompute: lastLines,
});

/** The Miller loop's line coefficients of one G2 point (about 75 KB): a group's points never change. */
export type Lines = ReturnType<typeof pairings.utils.calcPairingPrecomputes>;

/** Precomputes the lines of `point`, which must be valid and not infinity. */
export function linesOf(point: G2Point): Lines {
  return pairings.utils.calcPairingPrecomputes(point);
}

/** True if the product of e(P, Q) over `terms` is 1; false also if a P is infinity. One final exponentiation in all. */
export function productIsOne(terms: readonly (readonly [G1Point, Lines])[]): boolean {
  if (terms.some(([point]) => point.is0())) return false;
  const pairs = terms.map(([point, lines]): [Lines, bigint, bigint] => {
    const { x, y } = point.toAffine();
    return [lines, x, y];
  });
  return Fp12.eql(Fp12.finalExponentiate(pairings.millerLoopBatch(pairs)), Fp12.ONE);
}

/**
 * f^((p¹²−1)/n) up to the fixed power 2u(6u²+3u+1), which is prime to n (Fuentes-Castañeda, Knapp, Rodríguez-Henríquez:
 * "Faster hashing to G2", §5; the chain of noble's bn254 with u < 0).
 */
function finalExponentiate(f: Fp12Element): Fp12Element {
  const easy = Fp12.mul(Fp12.conjugate(f), Fp12.inv(f));
  const r = Fp12.mul(Fp12.frobeniusMap(easy, 2), easy);
  const y1 = Fp12._cyclotomicSquare(powerMinusU(r));
  const y2 = Fp12.mul(Fp12._cyclotomicSquare(y1), y1);
  const y4 = powerMinusU(y2);
  const y6 = powerMinusU(Fp12._cyclotomicSquare(y4));
  const y8 = Fp12.mul(Fp12.mul(Fp12.conjugate(y6), y4), Fp12.conjugate(y2));
  const y9 = Fp12.mul(y8, y1);
  const y10 = Fp12.mul(Fp12.mul(y8, y4), r);
  const low = Fp12.mul(Fp12.frobeniusMap(y9, 1), y10);
  const middle = Fp12.frobeniusMap(y8, 2);
  const high = Fp12.frobeniusMap(Fp12.mul(Fp12.conjugate(r), y9), 3);
  return Fp12.mul(high, Fp12.mul(middle, low));
}

/** f^(−u) for f of the cyclotomic subgroup. */
function powerMinusU(f: Fp12Element): Fp12Element {
  const inverse = Fp12.conjugate(f);
  let power = f;
  for (const digit of SIGNED_DIGITS.slice(1)) {
    power = Fp12._cyclotomicSquare(power);
    if (digit === 1) power = Fp12.mul(power, f);
    else if (digit === -1) power = Fp12.mul(power, inverse);
  }
  return power;
}

function signedDigits(value: bigint): number[] {
  const digits: number[] = [];
  for (let rest = value; rest > 0n; rest >>= 1n) {
    const digit = rest % 2n === 0n ? 0 : rest % 4n === 3n ? -1 : 1;
    digits.unshift(digit);
    rest -= BigInt(digit);
  }
  return digits;
}
