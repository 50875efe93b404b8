import { blake2b } from '@noble/hashes/blake2.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { type SuiteSpec, suite as suiteOf } from '../../../protocol/crypto/suite.ts';

const SPECS: readonly SuiteSpec[] = [1, 2, 3, 4];

describe.each(SPECS)('suite %i', (spec) => {
  const suite = suiteOf(primitives, spec);
  const blake = spec % 2 === 0;

  it('has its hash and its prf', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array({ minLength: 64, maxLength: 64 }), (input, key) => {
        expect(suite.hash(input)).toEqual(blake ? blake2b(input, { dkLen: 64 }) : sha512(input));
        for (const length of [12, 32, 64]) {
          const expected = blake
            ? blake2b(input, { key, dkLen: length })
            : hmac(sha512, key, input).slice(0, length);
          expect(suite.prf(length, key, input)).toEqual(expected);
        }
      }),
    );
  });

  it('has a keyed prf: another key, another output, and no truncation of one another with BLAKE2b', () => {
    const [a, b, input] = [new Uint8Array(64), new Uint8Array(64).fill(1), new Uint8Array(5)];
    expect(suite.prf(32, a, input)).not.toEqual(suite.prf(32, b, input));
    const truncated = suite.prf(64, a, input).slice(0, 32);
    if (blake) expect(suite.prf(32, a, input)).not.toEqual(truncated);
    else expect(suite.prf(32, a, input)).toEqual(truncated);
  });

  it('seals with its AEAD and refuses what it did not seal', () => {
    const [key, nonce, aad, text] = [32, 12, 6, 81].map((length) => primitives.random(length)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const sealed = suite.seal(key, nonce, aad, text);
    expect(sealed).toEqual(
      primitives.seal(spec <= 2 ? 'chacha20-poly1305' : 'aes-256-gcm', key, nonce, aad, text),
    );
    expect(suite.open(key, nonce, aad, sealed)).toEqual(text);
    expect(() => suite.open(key, nonce, aad, sealed.with(0, sealed[0]! ^ 1))).toThrow(
      expect.objectContaining({ code: 'xtt.not-authentic', remedy: 'retry' }),
    );
  });

  it('exchanges secrets, and refuses a share of small order', () => {
    const [a, b] = [primitives.random(32), primitives.random(32)];
    expect(suite.exchange(a, suite.share(b))).toEqual(suite.exchange(b, suite.share(a)));
    expect(() => suite.exchange(a, new Uint8Array(32))).toThrow(
      expect.objectContaining({ code: 'xtt.weak-share', remedy: 'retry' }),
    );
  });
});

it.each([0, 5, 0xffff, -1, 1.5])('suite %d does not exist', (spec) => {
  expect(() => suiteOf(primitives, spec)).toThrow(
    expect.objectContaining({ code: 'xtt.unknown-suite', remedy: 'retry' }),
  );
});
