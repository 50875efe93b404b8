import { blake2b } from '@noble/hashes/blake2.js';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { curves, PORTABLE_CURVES } from '../../crypto/curves.ts';
import { primitives } from '../../crypto/primitives.ts';
import { concat } from '../../protocol/bytes.ts';
import { deterministicSigner, publicKeyOf } from '../../protocol/crypto/ecdsa.ts';
import { suite } from '../../protocol/crypto/suite.ts';

const native = curves();
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const message = fc.uint8Array({ maxLength: 300 });
const some = { numRuns: 25 };

it('use the addon in this build', () => {
  expect(native.native).toBe(true);
  expect(PORTABLE_CURVES.native).toBe(false);
});

describe('signing', () => {
  it('returns the same bytes as noble, and both verify them', () => {
    fc.assert(
      fc.property(bytes(31), message, message, (tail, text, other) => {
        const secret = Uint8Array.of(1, ...tail);
        const signature = native.signer(secret)(text);
        expect(signature).toEqual(deterministicSigner(secret)(text));
        for (const p of [native.primitives, primitives]) {
          expect(p.verifyEcdsa(publicKeyOf(secret), text, signature)).toBe(true);
          expect(p.verifyEcdsa(publicKeyOf(secret), Uint8Array.of(...other, 1), signature)).toBe(
            other.length + 1 === text.length && text.every((byte, i) => byte === [...other, 1][i]),
          );
        }
      }),
      some,
    );
  });

  it('refuses invalid scalars, as noble does', () => {
    const order = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
    for (const bad of [new Uint8Array(32), new Uint8Array(31).fill(1), Buffer.from(order, 'hex')])
      expect(() => native.signer(bad)).toThrow(expect.objectContaining({ code: 'ecdsa.bad-secret' }));
  });
});

describe('verifying', () => {
  const secret = new Uint8Array(32).fill(7);
  const key = publicKeyOf(secret);
  const text = new Uint8Array(64).fill(9);
  const signature = native.signer(secret)(text);

  it('refuses every flipped bit of key and signature', () => {
    for (let bit = 0; bit < 8 * 64; bit += 7) {
      const flip = (of: Uint8Array): Uint8Array => of.with(bit >> 3, of[bit >> 3]! ^ (1 << (bit & 7)));
      expect(native.primitives.verifyEcdsa(key, text, flip(signature))).toBe(false);
      expect(native.primitives.verifyEcdsa(flip(key), text, signature)).toBe(false);
    }
  });

  it('refuses other encodings of the key, points off the curve, r or s out of range, and other lengths', () => {
    const { verifyEcdsa } = native.primitives;
    const compressed = Uint8Array.of(2 + (key[64]! & 1), ...key.subarray(1, 33));
    const hybrid = key.with(0, 6 + (key[64]! & 1));
    for (const bad of [compressed, hybrid, new Uint8Array(65), key.with(64, key[64]! ^ 1), new Uint8Array(0)])
      expect(verifyEcdsa(bad, text, signature)).toBe(false);
    const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex');
    for (const bad of [
      new Uint8Array(64),
      Uint8Array.of(...order, ...signature.subarray(32)),
      Uint8Array.of(...signature.subarray(0, 32), ...order),
      signature.subarray(0, 63),
      new Uint8Array(0),
    ])
      expect(verifyEcdsa(key, text, bad)).toBe(false);
    expect(verifyEcdsa(key, text, signature)).toBe(true);
  });
});

describe('X25519', () => {
  it('agrees with node:crypto', () => {
    fc.assert(
      fc.property(bytes(32), bytes(32), (a, b) => {
        const share = primitives.x25519Public(b);
        for (const p of [native.primitives, primitives]) {
          const key = p.x25519Key(a);
          expect(key.share).toEqual(primitives.x25519Public(a));
          expect(key.exchange(share)).toEqual(primitives.x25519(a, share));
          key.forget();
          key.forget();
          expect(() => key.exchange(share)).toThrow('forgotten');
        }
        expect(native.primitives.x25519Public(a)).toEqual(primitives.x25519Public(a));
        expect(native.primitives.x25519(a, share)).toEqual(primitives.x25519(a, share));
      }),
      some,
    );
  });

  it('returns zeros for a share of small order, and the suite refuses it', () => {
    const small = Uint8Array.of(1, ...new Uint8Array(31));
    for (const p of [native.primitives, primitives]) {
      expect(p.x25519(new Uint8Array(32).fill(5), small)).toEqual(new Uint8Array(32));
      expect(p.x25519Key(new Uint8Array(32).fill(5)).exchange(small)).toEqual(new Uint8Array(32));
      for (const refused of [
        () => suite(p, 1).exchange(new Uint8Array(32).fill(5), small),
        () => suite(p, 1).strong(new Uint8Array(32)),
      ])
        expect(refused).toThrow(expect.objectContaining({ code: 'xtt.weak-share' }));
    }
  });
});

describe('hashes, MACs and AEADs', () => {
  it('agree with node:crypto, however the input is split', () => {
    const parts = fc.array(message, { maxLength: 5 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), parts, (key, parts) => {
        expect(native.primitives.sha512(...parts)).toEqual(primitives.sha512(...parts));
        expect(native.primitives.blake2b512(...parts)).toEqual(primitives.blake2b512(...parts));
        expect(native.primitives.hmacSha512(key, ...parts)).toEqual(primitives.hmacSha512(key, ...parts));
        const labels = parts.length > 0 ? parts : [key];
        const lengths = Uint8Array.from(labels, (label) => 1 + (label.length % 64));
        expect(native.primitives.hmacSha512Each!(key, key, lengths, ...labels)).toEqual(
          concat(...labels.map((label, i) => primitives.hmacSha512(key, key, label).subarray(0, lengths[i]))),
        );
      }),
    );
  });

  it('open what the other has sealed', () => {
    const aead = fc.constantFrom('chacha20-poly1305' as const, 'aes-256-gcm' as const);
    fc.assert(
      fc.property(
        aead,
        bytes(32),
        bytes(12),
        message,
        message,
        fc.nat(),
        (aead, key, nonce, aad, text, place) => {
          const sealed = native.primitives.seal(aead, key, nonce, aad, text);
          expect(sealed).toEqual(primitives.seal(aead, key, nonce, aad, text));
          expect(native.primitives.open(aead, key, nonce, aad, sealed)).toEqual(text);
          const at = place % sealed.length;
          expect(
            native.primitives.open(aead, key, nonce, aad, sealed.with(at, sealed[at]! ^ 1)),
          ).toBeUndefined();
          expect(native.primitives.open(aead, key, nonce, Uint8Array.of(...aad, 0), sealed)).toBeUndefined();
          expect(native.primitives.open(aead, key, nonce, aad, sealed.subarray(0, 15))).toBeUndefined();
        },
      ),
    );
  });
});

it('keyed BLAKE2b agrees with noble, for every length', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 64 }),
      message,
      fc.integer({ min: 1, max: 64 }),
      (key, input, length) => {
        expect(native.primitives.blake2bMac!(key, input, length)).toEqual(
          blake2b(input, { key, dkLen: length }),
        );
        expect(suite(native.primitives, 2).prf(length, key, input)).toEqual(
          suite(primitives, 2).prf(length, key, input),
        );
      },
    ),
  );
});

describe('without the addon', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  it('everything works, slower, and this is reported', async () => {
    vi.stubEnv('ENF_ADDON', '/nonexistent/enf.node');
    vi.resetModules();
    const fresh = await import('../../crypto/curves.ts');
    expect(fresh.curves()).toBe(fresh.PORTABLE_CURVES);
    const secret = new Uint8Array(32).fill(7);
    expect(fresh.curves().signer(secret)(secret)).toEqual(native.signer(secret)(secret));
  });
});

it('derives several keys from as many lengths, each of 1 to 64 bytes', () => {
  const each = native.primitives.hmacSha512Each!;
  const [key, label] = [new Uint8Array(64), new Uint8Array(3)];
  for (const [lengths, labels] of [
    [[0], [label]],
    [[65], [label]],
    [[1, 1], [label]],
    [[1], [label, label]],
    [[], []],
    [[1, 1, 1, 1, 1, 1], Array<Uint8Array>(6).fill(label)],
  ] as const)
    expect(() => each(key, key, Uint8Array.from(lengths), ...labels)).toThrow(TypeError);
});

it('returns what was signed before, beside many other signatures', () => {
  const sign = native.signer(new Uint8Array(32).fill(7));
  const reference = deterministicSigner(new Uint8Array(32).fill(7));
  const messages = Array.from({ length: 9_000 }, (_, i) => Uint8Array.of(i >> 8, i));
  const first = messages.map((each) => sign(each));
  for (const [i, each] of messages.entries()) expect(sign(each)).toEqual(first[i]);
  for (const i of [0, 1, 4_095, 4_096, 8_999]) expect(first[i]).toEqual(reference(messages[i]!));
});
