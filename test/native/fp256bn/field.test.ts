/** The fields of the native curve against bigint and noble, with every arithmetic: above all where limbs and their carries end. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Fp, Fp2, Fp12, p } from '../../../protocol/crypto/fp256bn.ts';
import { runParts } from '../parts.ts';

const R = 1n << 256n;
const fromR = Fp.inv(R % p);
/** What a number in Montgomery form stands for, and back. */
const plain = (x: bigint) => Fp.mul(x, fromR);
const montgomery = (x: bigint) => Fp.mul(x, R % p);

const parts = readdirSync(fileURLToPath(new URL('../../../native/fp256bn', import.meta.url)))
  .filter((name) => name.endsWith('.c'))
  .map((name) => `fp256bn/${name.slice(0, -2)}`);

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

const hex = (x: bigint) => x.toString(16).padStart(64, '0');
/** Not 1/0. */
const allowed = (name: string) => (x: Numbers) =>
  !/^fp12invert|^cyclotomic/.test(name) || x.some((each) => each !== 0n);

/** The cases of each operation as words for the program. */
const CASES = Object.entries(OPERATIONS).map(([name, [count, expected]]) => {
  const drawn = fc.sample(fc.array(element, { minLength: count, maxLength: count }), { numRuns: 40, seed: 19 });
  const cases = [...edges.map((edge) => Array<bigint>(count).fill(edge)), ...drawn].filter(allowed(name));
  const words = cases.map((each) => [name, ...each.map((x) => x.toString(16))].join(':'));
  return { name, words, results: cases.map((each) => expected(each).map(hex).join(':')) };
});

it('computes what bigint and noble do, in portable C and with the assembly of this processor', async () => {
  const words = CASES.flatMap((each) => each.words);
  const { stdout, stderr, code } = await runParts('fp256bn/field_parts', parts, '', ['-O2'], words);
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
}, 300_000);
