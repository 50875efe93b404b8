/** The fields of the native curve, and its sums of many points, against bigint and noble: above all where limbs and their carries end. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Fp, Fp2, Fp12, Fr, G1, n, p } from '../../../protocol/crypto/fp256bn.ts';
import { runParts } from '../parts.ts';

const R = 1n << 256n;
const fromR = Fp.inv(R % p);
/** What a number in Montgomery form stands for, and back. */
const plain = (x: bigint) => Fp.mul(x, fromR);
const montgomery = (x: bigint) => Fp.mul(x, R % p);

const parts = ['adx', 'affine', 'fp', 'fp2', 'fp12', 'g1', 'invert', 'multiply', 'scalar'].map(
  (name) => `fp256bn/${name}`,
);

/** Where additions overflow, carries ripple through all limbs, and the limbs of a product are as large as they get. */
const edges = [
  ...[0n, 1n, 2n, p - 1n, p - 2n, (p - 1n) / 2n, (p + 1n) / 2n, R - p, R - p - 1n, R - p + 1n],
  ...[64n, 128n, 192n, 255n].flatMap((bit) => [1n << bit, (1n << bit) - 1n, p - (1n << bit)]),
  // All limbs full but the highest, which cannot be.
  (((p >> 192n) - 1n) << 192n) | ((1n << 192n) - 1n),
];
const element = fc.oneof(
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: p - 1n }) },
  { weight: 2, arbitrary: fc.constantFrom(...edges) },
);

type Numbers = readonly bigint[];
const fp2 = ([a, b]: Numbers) => Fp2.fromBigTuple([a!, b!]);
const fp12 = (x: Numbers) =>
  Fp12.fromBigTwelve(x.map(plain) as unknown as Parameters<typeof Fp12.fromBigTwelve>[0]);
type Element12 = ReturnType<typeof fp12>;
const numbers12 = ({ c0, c1 }: Element12): bigint[] =>
  [c0, c1].flatMap(({ c0, c1, c2 }) => [c0, c1, c2].flatMap((c) => [c.c0, c.c1])).map(montgomery);
const sum = (xs: Numbers) => xs.reduce((a, b) => Fp.add(a, b), 0n);
const dot = (x: Numbers, y: Numbers) => Fp.mul(sum(x.map((each, i) => Fp.mul(each, y[i]!))), fromR);
const inverse = (x: bigint) => (x === 0n ? 0n : montgomery(Fp.inv(plain(x))));

/** l0 + l1·v + v·w */
const line = (l: Numbers): Element12 => fp12([...l, ...[0n, 0n, 0n, 0n], montgomery(1n), ...[0n, 0n, 0n]]);

/** x^((p⁶ − 1)(p² + 1)), and that to the fourth power. */
function cyclotomic(x: Element12): Element12 {
  const first = Fp12.mul(Fp12.conjugate(x), Fp12.inv(x));
  const base = Fp12.mul(Fp12.frobeniusMap(first, 2), first);
  return Fp12.sqr(Fp12.sqr(base));
}

/** Each operation: how many numbers it takes, and what it must make of them. */
const OPERATIONS: Record<string, readonly [number, (x: Numbers) => Numbers]> = {
  add: [2, ([x, y]) => [Fp.add(x!, y!)]],
  sub: [2, ([x, y]) => [Fp.sub(x!, y!)]],
  mul: [2, ([x, y]) => [dot([x!], [y!])]],
  sqr: [1, ([x]) => [dot([x!], [x!])]],
  half: [1, ([x]) => [Fp.div(x!, 2n)]],
  invert: [1, ([x]) => [inverse(x!)]],
  invertPublic: [1, ([x]) => [inverse(x!)]],
  dot2: [4, (x) => [dot(x.slice(0, 2), x.slice(2))]],
  dot3: [6, (x) => [dot(x.slice(0, 3), x.slice(3))]],
  dot4: [9, (x) => [Fp.add(dot(x.slice(0, 4), x.slice(4, 8)), x[8]!)]],
  dot6: [12, (x) => [dot(x.slice(0, 6), x.slice(6))]],
  fp2mul: [
    4,
    (x) => {
      const { c0, c1 } = Fp2.mul(fp2(x.slice(0, 2).map(plain)), fp2(x.slice(2).map(plain)));
      return [c0, c1].map(montgomery);
    },
  ],
  fp12mul: [24, (x) => numbers12(Fp12.mul(fp12(x.slice(0, 12)), fp12(x.slice(12))))],
  fp12sqr: [12, (x) => numbers12(Fp12.sqr(fp12(x)))],
  fp12invert: [12, (x) => numbers12(Fp12.inv(fp12(x)))],
  line: [16, (x) => numbers12(Fp12.mul(fp12(x.slice(0, 12)), line(x.slice(12))))],
  cyclotomic: [12, (x) => numbers12(cyclotomic(fp12(x)))],
};

const u = -0x6882f5c030b0a801n;
/** What (x, y) → (βx, y) multiplies with. */
const lambda = Fr.div(Fr.create(6n * u * u + 2n * u), Fr.create(2n * u + 1n));

/** Σ weight·k·G of pairs k, weight; a weight is low + high·λ. */
function weightedSum(x: Numbers): Numbers {
  let total = 0n;
  for (let i = 0; i < x.length; i += 2) {
    const [low, high] = [BigInt.asUintN(64, x[i + 1]!), x[i + 1]! >> 64n];
    total = Fr.add(total, Fr.mul(x[i]!, Fr.add(low, Fr.mul(high, lambda))));
  }
  if (total === 0n) return [0n, 0n];
  const { x: sumX, y } = G1.BASE.multiplyUnsafe(total).toAffine();
  return [sumX, y].map(montgomery);
}

/** Points that are all different, all the same, each other's opposites; weights that are the same, and at their ends. */
const sums = (() => {
  const drawn = fc.sample(fc.bigInt({ min: 1n, max: n - 1n }), { numRuns: 12, seed: 7 });
  const weights = fc.sample(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), { numRuns: 12, seed: 8 });
  const pairs = (k: (i: number) => bigint, weight: (i: number) => bigint) =>
    Array.from({ length: 12 }, (_, i) => [k(i), weight(i)]).flat();
  const opposite = (i: number) => (i % 2 === 0 ? drawn[0]! : n - drawn[0]!);
  return [
    pairs(
      (i) => drawn[i]!,
      (i) => weights[i]!,
    ),
    pairs(
      () => drawn[0]!,
      (i) => weights[i]!,
    ),
    pairs(
      () => drawn[0]!,
      () => weights[0]!,
    ),
    pairs(opposite, () => weights[1]!),
    pairs(opposite, (i) => weights[i]!),
    pairs(
      (i) => drawn[i]!,
      () => (1n << 128n) - 1n,
    ),
    pairs(
      (i) => drawn[i]!,
      () => 0n,
    ),
    pairs(
      (i) => BigInt(2 * i + 1),
      () => 3n | (5n << 64n),
    ),
    [drawn[0]!, 1n],
  ];
})();

const hex = (x: bigint) => x.toString(16).padStart(64, '0');
/** Not 1/0. */
const allowed = (name: string) => (x: Numbers) =>
  !/^fp12invert|^cyclotomic/.test(name) || x.some((each) => each !== 0n);

/** The cases of each operation as words for the program. */
const CASES = Object.entries(OPERATIONS).map(([name, [count, expected]]) => {
  const drawn = fc.sample(fc.array(element, { minLength: count, maxLength: count }), {
    numRuns: 40,
    seed: 19,
  });
  const cases = [...edges.map((edge) => Array<bigint>(count).fill(edge)), ...drawn].filter(allowed(name));
  const words = cases.map((each) => [name, ...each.map((x) => x.toString(16))].join(':'));
  return { name, words, results: cases.map((each) => expected(each).map(hex).join(':')) };
});
CASES.push({
  name: 'sum',
  words: sums.map((each) => ['sum', ...each.map((x) => x.toString(16))].join(':')),
  results: sums.map((each) => weightedSum(each).map(hex).join(':')),
});

it.each([
  ['as shipped', ''],
  ['sanitized', 'address,undefined'],
])(
  'computes what bigint and noble do, in portable C and with the assembly of this processor (%s)',
  async (_, sanitizer) => {
    const words = CASES.flatMap((each) => each.words);
    const { stdout, stderr, code } = await runParts('fp256bn/field_parts', parts, sanitizer, ['-O2'], words);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const lines = stdout.trimEnd().split('\n');
    // One arithmetic after the other.
    expect([words.length, 2 * words.length]).toContain(lines.length);
    for (let start = 0; start < lines.length; ) {
      for (const { name, results } of CASES) {
        expect(lines.slice(start, start + results.length), name).toEqual(results);
        start += results.length;
      }
    }
  },
  300_000,
);
