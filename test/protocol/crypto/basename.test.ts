import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { ascii, concat, fromHex, toHex, u32le } from '../../../protocol/bytes.ts';
import { hashToG1 } from '../../../protocol/crypto/basename.ts';
import { vectors } from './vectors.ts';

describe('hashing a basename to a point', () => {
  it.each(vectors.hash_to_g1)(
    'of 0x$input uses counter $counter and returns the recorded point',
    (vector) => {
      const basename = fromHex(vector.input);
      const hashed = hashToG1(primitives, basename);
      expect(toHex(hashed.point)).toBe(vector.point);
      expect(hashed.counter).toBe(vector.counter);
      expect(hashed.s2).toEqual(concat(u32le(vector.counter), basename));
    },
  );

  // The specification's own table.
  it.each([
    [
      'BASENAME',
      1,
      '04f98c8f8cf174998c90a2567982159a2a5c592dff144f84961865db814566607628ed6b25b3c4085fe3482977b8c36b19da52e19c61d7a7181f3fc1b8bb6bc172',
    ],
    [
      'xaprcnet',
      0,
      '049b65a9f6f379bd3f1e8e25bb4560ea34eb4319c0831423adda34ed1fc54d15c4c321ad7e513fb336cf84152a73052378d2996f3920401e8c3f2b6b04f7acf622',
    ],
    [
      'a',
      0,
      '046358ccddd27939a0a393383fac062f15a72c0abb19cd54ec821b6a2252f43bdc74d9f68a5005b23506aac311a27ef296e4b11660d9785dd4a24a64764ca51676',
    ],
    [
      'ccc',
      3,
      '043c0867a159d7d65642da53f29df0637fdf45f7e6161494818e5df74ee7cd7dfd2c4ee784d09b0a39f7850fa117f3443a438d572a328f350f54adcd177b65db8e',
    ],
  ])('of %j takes counter %i', (text, counter, point) => {
    const hashed = hashToG1(primitives, ascii(text));
    expect(toHex(hashed.point)).toBe(point);
    expect(hashed.counter).toBe(counter);
    expect(hashed.P2.toAffine().y % 2n).toBe(0n);
  });

  it('gives up after 232 counters without a point', () => {
    // There is no point with x = 3: 3³ + 3 = 30 is not a square.
    let asked = 0;
    const sha256 = () => {
      asked++;
      return Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? 3 : 0));
    };
    expect(() => hashToG1({ sha256 }, ascii('a'))).toThrow(
      expect.objectContaining({ code: 'ecdaa.bad-basename' }),
    );
    expect(asked).toBe(232);
  });
});
