// Prints native/fp256bn/constants.h: everything the native curve knows about FP256BN, derived from the parameter u.
//   node native/fp256bn/generate.mjs > native/fp256bn/constants.h
// test/native/fp256bn/constants.test.ts runs it again and compares. Plain bigint arithmetic, no dependency.

const u = -0x6882f5c030b0a801n;
const p = 36n * u ** 4n + 36n * u ** 3n + 24n * u ** 2n + 6n * u + 1n;
const n = 36n * u ** 4n + 36n * u ** 3n + 18n * u ** 2n + 6n * u + 1n;
/** The Montgomery radix. */
const R = 1n << 256n;

const mod = (x, m = p) => ((x % m) + m) % m;

function power(base, exponent, m = p) {
  let result = 1n;
  for (let b = mod(base, m), e = exponent; e > 0n; e >>= 1n, b = (b * b) % m)
    if (e & 1n) result = (result * b) % m;
  return result;
}

/** −1/m mod 2^64 for odd m: the group of units has exponent 2^62. */
const negativeInverse = (m) => mod(-power(m, (1n << 62n) - 1n, 1n << 64n), 1n << 64n);

/** Fp2 = Fp[i]/(i² + 1) as pairs. */
const multiply2 = ([a, b], [c, d]) => [mod(a * c - b * d), mod(a * d + b * c)];
function power2(base, exponent) {
  let result = [1n, 0n];
  for (let b = base, e = exponent; e > 0n; e >>= 1n, b = multiply2(b, b))
    if (e & 1n) result = multiply2(result, b);
  return result;
}
function invert2([a, b]) {
  const norm = power(a * a + b * b, p - 2n);
  return [mod(a * norm), mod(-b * norm)];
}

/** Digits of width-w NAF, most significant first; w = 2 is the plain NAF. */
function signedDigits(value, width) {
  const digits = [];
  for (let rest = value; rest > 0n; rest >>= 1n) {
    const low = rest % (1n << BigInt(width));
    const digit = rest % 2n === 0n ? 0n : low >= 1n << BigInt(width - 1) ? low - (1n << BigInt(width)) : low;
    digits.unshift(digit);
    rest -= digit;
  }
  return digits;
}

// The lattice of all (a, b) with a + b·λ = 0 mod n, and λ itself from its short vector.
const [a1, b1] = [6n * u ** 2n + 2n * u, -2n * u - 1n];
const [a2, b2] = [2n * u + 1n, 6n * u ** 2n + 4n * u + 1n];
const lambda = mod(-a1 * power(b1, n - 2n, n), n);
const beta = 0x13988e140921018659bcdd79df1932d1edb1c0a24a3a1b807n;
const SHIFT = 384n;
const rounded = (numerator) => ((numerator << SHIFT) + n / 2n) / n;

function check(condition, what) {
  if (!condition) throw new Error(`FP256BN: ${what}`);
}
check(power(beta, 3n) === 1n && beta !== 1n, 'β is a cube root of unity');
check(mod(a1 + b1 * lambda, n) === 0n && mod(a2 + b2 * lambda, n) === 0n, 'the basis lies in the lattice');
check(a1 * b2 - a2 * b1 === n, 'the basis spans the lattice');
check(b2 > 0n && b1 > 0n && a1 > 0n && a2 < 0n, 'the signs that glv_split() assumes');

const limbs = (x, count = 4) =>
  `{${Array.from({ length: count }, (_, i) => `0x${((x >> BigInt(64 * i)) & 0xffffffffffffffffn).toString(16).padStart(16, '0')}`).join(', ')}}`;
const limbs52 = (x) =>
  `{${Array.from({ length: 5 }, (_, i) => `0x${((x >> BigInt(52 * i)) & 0xfffffffffffffn).toString(16).padStart(13, '0')}`).join(', ')}}`;
const montgomery = (x) => `{${limbs(mod(x * R))}}`;
const pair = ([a, b]) => `{${montgomery(a)},\n   ${montgomery(b)}}`;
const list = (items) => `{\n  ${items.join(',\n  ')}}`;

const inverseXi = invert2([1n, 1n]);
const psiX = power2(inverseXi, (p - 1n) / 3n);
const psiY = power2(inverseXi, (p - 1n) / 2n);
// w^(k(p−1)) for k = 0 … 5: what the Frobenius map multiplies the coefficient of w^k with.
const frobenius1 = Array.from({ length: 6 }, (_, k) => power2([1n, 1n], (BigInt(k) * (p - 1n)) / 6n));
const frobenius2 = frobenius1.map(([a, b]) => multiply2([a, b], [a, mod(-b)]));
const frobenius3 = frobenius1.map((each, k) => multiply2(each, frobenius2[k]));
check(
  frobenius2.every(([, b]) => b === 0n),
  'the square of Frobenius acts by elements of Fp',
);

const ate = signedDigits(6n * -u - 2n, 2);
const uDigits = signedDigits(-u, 3);
const subgroup = signedDigits(6n * u * u, 2);
const digits = (name, values) => `static const int8_t ${name}[${values.length}] = {${values.join(', ')}};`;
const lines = ate.slice(1).reduce((count, digit) => count + (digit === 0n ? 1 : 2), 2);

console.log(`// FP256BN as numbers. Made by native/fp256bn/generate.mjs; do not edit. Field elements are in Montgomery form (x·2^256 mod p),
// everything is least significant limb first.
#pragma once
#include "types.h"

// p, -1/p mod 2^64, 2^256 mod p (one), 2^512 mod p (into Montgomery form), 3.
static const uint64_t FIELD_ORDER[4] = ${limbs(p)};
static const uint64_t FIELD_INVERSE = 0x${negativeInverse(p).toString(16)};
static const fp FP_ONE = ${montgomery(1n)};
static const fp FP_R2 = {${limbs(mod(R * R))}};
static const fp FP_THREE = ${montgomery(3n)};
// q·(2^256 - p) for q = 0 ... 7: what q·2^256 is mod p.
static const fp FIELD_EXCESS[8] = ${list(Array.from({ length: 8 }, (_, q) => `{${limbs(BigInt(q) * (R - p))}}`))};

// p - 2 (inversion) and (p + 1)/4 (square roots: p is 3 mod 4).
static const uint64_t P_MINUS_2[4] = ${limbs(p - 2n)};
static const uint64_t P_PLUS_1_OVER_4[4] = ${limbs((p + 1n) / 4n)};
// n, -1/n mod 2^64, and 2^512 mod n.
static const uint64_t GROUP_ORDER[4] = ${limbs(n)};
static const uint64_t GROUP_INVERSE = 0x${negativeInverse(n).toString(16)};
static const uint64_t GROUP_R2[4] = ${limbs(mod(R * R, n))};

// GLV: (x, y) -> (BETA x, y) is multiplication by lambda. GLV_G1 = round(2^384 b2 / n), GLV_G2 = round(2^384 b1 / n); the
// basis (a1, b1), (a2, b2) of the lattice mod 2^192.
static const fp BETA = ${montgomery(beta)};
static const uint64_t GLV_G1[5] = ${limbs(rounded(b2), 5)};
static const uint64_t GLV_G2[5] = ${limbs(rounded(b1), 5)};
static const uint64_t GLV_A1[3] = ${limbs(a1, 3)};
static const uint64_t GLV_B1[3] = ${limbs(b1, 3)};
static const uint64_t GLV_A2[3] = ${limbs(a2, 3)};
static const uint64_t GLV_B2[3] = ${limbs(b2, 3)};

// The generator of G2, and the twist's constant 3(1 + i).
static const fp2 G2_X = ${pair([0xfe0c3350b4c96c2028560f577c28913ace1c539a12bf843cd22616b689c09efbn, 0x4ea66057738ac054db5ae1c637d813b924dd78e287d03589d269ed34a37e6a2bn])};
static const fp2 G2_Y = ${pair([0x702046e7c542a3b376770d75124e3e51efcb24758d615848e909b481bedc27ffn, 0x0554e3bcd388c29042eea649297eb29f8b4cbe80821a98b3e01281114aad049bn])};
static const fp2 TWIST_B = ${pair([3n, 3n])};

// psi(x, y) = (conj(x) PSI_X, conj(y) PSI_Y).
static const fp2 PSI_X = ${pair(psiX)};
static const fp2 PSI_Y = ${pair(psiY)};
// What x -> x^p, x^(p^2), x^(p^3) multiply the (conjugated) coefficients of w^0 ... w^5 with.
static const fp2 FROBENIUS1[6] = ${list(frobenius1.map(pair))};
static const fp FROBENIUS2[6] = ${list(frobenius2.map(([a]) => montgomery(a)))};
static const fp2 FROBENIUS3[6] = ${list(frobenius3.map(pair))};

// Signed digits, most significant first: of 6|u| - 2 (Miller loop), of |u| with digits up to 3 (final exponentiation), and of
// 6u^2 (subgroup test).
#define ATE_LENGTH ${ate.length}
${digits('ATE_DIGITS', ate)}
#define U_LENGTH ${uDigits.length}
${digits('U_DIGITS', uDigits)}
#define SUBGROUP_LENGTH ${subgroup.length}
${digits('SUBGROUP_DIGITS', subgroup)}
// How many lines a Miller loop has, the last two included.
#define ATE_LINES ${lines}

// For eight lanes of five 52-bit limbs, Montgomery form x·2^260: p and its multiples, 2^256 - p, -1/p mod 2^52, one, beta.
static const uint64_t LANES_P[5] = ${limbs52(p)};
static const uint64_t LANES_2P[5] = ${limbs52(2n * p)};
static const uint64_t LANES_4P[5] = ${limbs52(4n * p)};
static const uint64_t LANES_8P[5] = ${limbs52(8n * p)};
static const uint64_t LANES_FOLD[5] = ${limbs52(R - p)};
static const uint64_t LANES_INVERSE = 0x${(negativeInverse(p) & ((1n << 52n) - 1n)).toString(16)};
static const uint64_t LANES_ONE[5] = ${limbs52(mod(R * 16n))};
static const uint64_t LANES_BETA[5] = ${limbs52(mod(beta * R * 16n))};
// 2^252: takes x·2^260 to x·2^256 in one multiplication.
static const fp FP_FROM_LANES = {${limbs(1n << 252n)}};`);
