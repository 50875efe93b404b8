import { x25519 } from '@noble/curves/ed25519.js';
import { p256 } from '@noble/curves/nist.js';
import { blake2b } from '@noble/hashes/blake2.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { ecdsaSigner, generateP256, primitives } from '../../crypto/primitives.ts';
import { ascii, concat, fromHex, toHex } from '../../protocol/bytes.ts';
import type { Aead } from '../../protocol/crypto/primitives.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const message = fc.uint8Array({ maxLength: 300 });

/** Plain arrays of their own: a Buffer would slice differently, a view of a pool would keep secrets alive. */
function expectPlain(result: Uint8Array): void {
  expect(Object.getPrototypeOf(result)).toBe(Uint8Array.prototype);
  expect(result.buffer.byteLength).toBe(result.length);
}

describe('hashes and MACs', () => {
  it('agree with noble, however the input is split', () => {
    fc.assert(
      fc.property(message, message, fc.uint8Array({ maxLength: 200 }), (a, b, key) => {
        const whole = concat(a, b);
        expect(primitives.sha256(a, b)).toEqual(sha256(whole));
        expect(primitives.sha512(a, b)).toEqual(sha512(whole));
        expect(primitives.blake2b512(a, b)).toEqual(blake2b(whole, { dkLen: 64 }));
        expect(primitives.hmacSha256(key, a, b)).toEqual(hmac(sha256, key, whole));
        expect(primitives.hmacSha512(key, a, b)).toEqual(hmac(sha512, key, whole));
      }),
    );
  });

  it('return plain Uint8Arrays', () => {
    const empty = new Uint8Array();
    for (const hash of [primitives.sha256, primitives.sha512, primitives.blake2b512])
      expectPlain(hash(empty));
    expectPlain(primitives.hmacSha256(empty));
    expectPlain(primitives.hmacSha512(empty));
  });
});

describe('x25519', () => {
  it('[H-B9] forgets a key at once, and makes no text of it', () => {
    const secret = primitives.random(32);
    const peer = x25519.getPublicKey(primitives.random(32));
    const toText = vi.spyOn(Buffer.prototype, 'toString');
    const key = primitives.x25519Key(secret);
    const shared = x25519.getSharedSecret(secret, peer);
    expect(key.exchange(peer)).toEqual(shared);
    const made = toText.mock.results.map(({ value }) => value as string);
    toText.mockRestore();
    expect(made).not.toContain(Buffer.from(secret).toString('base64url'));
    secret.fill(0);
    expect(key.exchange(peer)).toEqual(shared);
    key.forget();
    expect(() => key.exchange(peer)).toThrow('forgotten');
  });

  it('agrees with noble', () => {
    fc.assert(
      fc.property(bytes(32), bytes(32), (secret, peer) => {
        const share = primitives.x25519Public(secret);
        expect(share).toEqual(x25519.getPublicKey(secret));
        const peerShare = x25519.getPublicKey(peer);
        expect(primitives.x25519(secret, peerShare)).toEqual(x25519.getSharedSecret(secret, peerShare));
      }),
      { numRuns: 30 },
    );
  });

  it('accepts any 32 bytes as a share, as RFC 7748 says', () => {
    fc.assert(
      fc.property(bytes(32), bytes(32), (secret, share) => {
        expect(primitives.x25519(secret, share)).toEqual(x25519.getSharedSecret(secret, share));
      }),
      { numRuns: 30 },
    );
  });

  it.each([
    ['0', '00'.repeat(32)],
    ['1', `01${'00'.repeat(31)}`],
    ['order 8', 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'],
    ['p', `ed${'ff'.repeat(30)}7f`],
  ])('shows a share of small order (%s) as an all-zero result', (_name, share) => {
    expect(primitives.x25519(primitives.random(32), fromHex(share))).toEqual(new Uint8Array(32));
  });

  it('throws a plain Error for other lengths', () => {
    expect(() => primitives.x25519Public(new Uint8Array(31))).toThrow(/32 bytes/);
    expect(() => primitives.x25519(new Uint8Array(33), new Uint8Array(32))).toThrow(/32 bytes/);
    expect(() => primitives.x25519(new Uint8Array(32), new Uint8Array(31))).toThrow(/32 bytes/);
  });

  it('returns plain Uint8Arrays', () => {
    expectPlain(primitives.x25519Public(primitives.random(32)));
    expectPlain(primitives.x25519(primitives.random(32), x25519.getPublicKey(primitives.random(32))));
  });
});

/** RFC 8439 §2.8.2 and test case 16 of the GCM specification, the latter with its 16-byte tag. */
const KNOWN: readonly {
  aead: Aead;
  key: string;
  nonce: string;
  aad: string;
  plaintext: string;
  sealed: string;
}[] = [
  {
    aead: 'chacha20-poly1305',
    key: '808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f',
    nonce: '070000004041424344454647',
    aad: '50515253c0c1c2c3c4c5c6c7',
    plaintext: toHex(
      ascii(
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
      ),
    ),
    sealed:
      'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b' +
      '1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc' +
      '3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691',
  },
  {
    aead: 'aes-256-gcm',
    key: 'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308',
    nonce: 'cafebabefacedbaddecaf888',
    aad: 'feedfacedeadbeeffeedfacedeadbeefabaddad2',
    plaintext:
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
    sealed:
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838' +
      'c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b',
  },
];

describe.each(KNOWN)('$aead', ({ aead, ...known }) => {
  const [key, nonce, aad, plaintext, sealed] = [
    known.key,
    known.nonce,
    known.aad,
    known.plaintext,
    known.sealed,
  ].map(fromHex) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];

  it('returns the published result', () => {
    expect(toHex(primitives.seal(aead, key, nonce, aad, plaintext))).toBe(known.sealed);
    expect(primitives.open(aead, key, nonce, aad, sealed)).toEqual(plaintext);
    expectPlain(primitives.seal(aead, key, nonce, aad, plaintext));
    expectPlain(primitives.open(aead, key, nonce, aad, sealed)!);
  });

  it('opens what it sealed, also an empty plaintext', () => {
    fc.assert(
      fc.property(bytes(32), bytes(12), message, message, (key, nonce, aad, plaintext) => {
        const sealed = primitives.seal(aead, key, nonce, aad, plaintext);
        expect(sealed).toHaveLength(plaintext.length + 16);
        expect(primitives.open(aead, key, nonce, aad, sealed)).toEqual(plaintext);
      }),
    );
  });

  it('does not open with any bit of key, nonce, AAD or sealed text changed, or any length', () => {
    const inputs = [key, nonce, aad, sealed];
    for (const [which, input] of inputs.entries()) {
      for (let bit = 0; bit < input.length * 8; bit += which === 3 ? 1 : 5) {
        const [k, n, a, s] = inputs.with(which, input.with(bit >> 3, input[bit >> 3]! ^ (1 << (bit & 7))));
        expect(primitives.open(aead, k!, n!, a!, s!)).toBeUndefined();
      }
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(primitives.open(aead, key, nonce, aad, sealed.slice(0, length))).toBeUndefined();
    }
  });
});

describe('ECDSA P-256', () => {
  const { secret, publicKey } = generateP256();
  const text = ascii('message');
  const order = p256.Point.Fn.ORDER;
  const value = (part: Uint8Array): bigint => BigInt(`0x${toHex(part)}`);
  const part = (number: bigint): Uint8Array => fromHex(number.toString(16).padStart(64, '0'));

  it('agrees with noble, in both directions', async () => {
    for (let i = 0; i < 20; i++) {
      const text = primitives.random(i * 7);
      const signature = await ecdsaSigner(secret)(text);
      expectPlain(signature);
      expect(p256.verify(signature, text, publicKey, { lowS: false, prehash: true })).toBe(true);
      const theirs = p256.sign(text, secret, { lowS: false, prehash: true });
      expect(primitives.verifyEcdsa(publicKey, text, theirs)).toBe(true);
    }
  });

  it('accepts a high s and a low s', async () => {
    const signature = await ecdsaSigner(secret)(text);
    const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
    const other = concat(r, part(order - value(s)));
    expect(primitives.verifyEcdsa(publicKey, text, signature)).toBe(true);
    expect(primitives.verifyEcdsa(publicKey, text, other)).toBe(true);
  });

  it('is false for every malformed signature', async () => {
    const signature = await ecdsaSigner(secret)(text);
    const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
    const [zero, n, ones] = [new Uint8Array(32), part(order), new Uint8Array(32).fill(0xff)];
    const over = (half: Uint8Array): Uint8Array[] =>
      value(half) + order < 2n ** 256n ? [part(value(half) + order)] : [];
    const malformed = [
      ...[zero, n, ones, ...over(r)].map((bad) => concat(bad, s)),
      ...[zero, n, ones, ...over(s)].map((bad) => concat(r, bad)),
      concat(zero, zero),
      ...[0, 1, 32, 63].map((length) => signature.slice(0, length)),
      concat(signature, Uint8Array.of(0)),
      new Uint8Array(p256.Signature.fromBytes(signature, 'compact').toBytes('der')),
    ];
    for (const bad of malformed) expect(primitives.verifyEcdsa(publicKey, text, bad), toHex(bad)).toBe(false);
    fc.assert(
      fc.property(fc.nat(511), (bit) => {
        const flipped = signature.with(bit >> 3, signature[bit >> 3]! ^ (1 << (bit & 7)));
        expect(primitives.verifyEcdsa(publicKey, text, flipped)).toBe(false);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (noise) => {
        expect(primitives.verifyEcdsa(publicKey, text, noise)).toBe(false);
      }),
    );
  });

  it('is false for every malformed public key', async () => {
    const signature = await ecdsaSigner(secret)(text);
    const field = p256.Point.Fp.ORDER;
    const malformed = [
      ...[0, 1, 33, 64].map((length) => publicKey.slice(0, length)),
      concat(publicKey, Uint8Array.of(0)),
      p256.getPublicKey(secret, true),
      publicKey.with(0, 0x06),
      publicKey.with(64, publicKey[64]! ^ 1),
      new Uint8Array(65),
      concat(Uint8Array.of(4), part(field), publicKey.subarray(33)),
      concat(Uint8Array.of(4), new Uint8Array(64).fill(0xff)),
      generateP256().publicKey,
    ];
    for (const bad of malformed) expect(primitives.verifyEcdsa(bad, text, signature), toHex(bad)).toBe(false);
    expect(primitives.verifyEcdsa(publicKey, text, signature)).toBe(true);
  });

  it('stays correct after more keys than are cached', async () => {
    const signature = await ecdsaSigner(secret)(text);
    for (let i = 0; i < 600; i++) {
      const other = p256.Point.BASE.multiply(BigInt(i + 2)).toBytes(false);
      if (i % 100 === 0) expect(primitives.verifyEcdsa(publicKey, text, signature)).toBe(true);
      expect(primitives.verifyEcdsa(other, text, signature)).toBe(false);
    }
    expect(primitives.verifyEcdsa(publicKey, text, signature)).toBe(true);
  });

  it('generates pairs that belong together, also when the private key starts with a zero byte', () => {
    const pairs = Array.from({ length: 10 }, generateP256);
    let small = generateP256();
    for (let i = 0; small.secret[0] !== 0 && i < 20_000; i++) small = generateP256();
    expect(small.secret[0]).toBe(0);
    for (const pair of [...pairs, small]) {
      expectPlain(pair.secret);
      expectPlain(pair.publicKey);
      expect(pair.secret).toHaveLength(32);
      expect(p256.getPublicKey(pair.secret, false)).toEqual(pair.publicKey);
    }
  });

  it('keeps its own copy of the key', async () => {
    const copy = secret.slice();
    const sign = ecdsaSigner(copy);
    copy.fill(0);
    expect(primitives.verifyEcdsa(publicKey, text, await sign(text))).toBe(true);
  });

  it.each([
    ['zero', new Uint8Array(32)],
    ['the order', part(order)],
    ['33 bytes', new Uint8Array(33).fill(1)],
  ])('takes a private key of %s for a mistake of the caller', (_name, bad) => {
    expect(() => ecdsaSigner(bad)).toThrow();
  });
});

describe('random', () => {
  it('returns the requested number of bytes, different ones each time', () => {
    for (const length of [0, 1, 32, 1000]) expect(primitives.random(length)).toHaveLength(length);
    const drawn = new Set(Array.from({ length: 100 }, () => toHex(primitives.random(16))));
    expect(drawn.size).toBe(100);
    expectPlain(primitives.random(16));
  });
});
