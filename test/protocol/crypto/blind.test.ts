import fc from 'fast-check';
import { expect, it } from 'vitest';
import { multiplyEach } from '../../../protocol/crypto/blind.ts';
import { G1, n } from '../../../protocol/crypto/fp256bn.ts';

const scalar = fc.bigInt({ min: 1n, max: n - 1n });

it('is the multiplication of each point', () => {
  fc.assert(
    fc.property(scalar, fc.array(scalar, { minLength: 1, maxLength: 3 }), (secret, seeds) => {
      const points = seeds.map((seed) => G1.BASE.multiplyUnsafe(seed));
      const products = multiplyEach(points, secret);
      for (const [i, point] of points.entries())
        expect(products[i]!.equals(point.multiplyUnsafe(secret))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

it.each([1n, 2n, 15n, 16n, 17n, (1n << 128n) - 1n, 1n << 128n, n - 2n, n - 1n, n >> 1n])(
  'takes the scalar %s',
  (secret) => {
    const [product] = multiplyEach([G1.BASE], secret);
    expect(product!.equals(G1.BASE.multiplyUnsafe(secret))).toBe(true);
  },
);
