import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import { concat } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import {
  makeRootCertificate,
  makeServerCertificate,
  parseRootCertificate,
  parseServerCertificate,
  verifyServerCertificate,
} from '../../../protocol/xtt/certificate.ts';

const rootPair = generateP256();
const serverKey = generateP256().publicKey;
const rootId = primitives.random(16);
const root = makeRootCertificate(rootId, rootPair.publicKey);
const signAsRoot = ecdsaSigner(rootPair.secret);
const certificate = await makeServerCertificate({ rootId, publicKey: serverKey }, signAsRoot);

describe('root certificate', () => {
  it('is id and key', () => {
    expect(root).toHaveLength(81);
    expect(parseRootCertificate(root)).toEqual({ id: rootId, publicKey: rootPair.publicKey });
  });

  it('refuses anything else, and encodes what it accepts to itself', () => {
    const mutated = fc.tuple(fc.nat(80), fc.nat(255)).map(([at, value]) => root.with(at, value));
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 90 })), (input) => {
        try {
          const { id, publicKey } = parseRootCertificate(input);
          expect(makeRootCertificate(id, publicKey)).toEqual(input);
        } catch (error) {
          if (!isFailure(error, 'xtt.bad-root-certificate')) throw error;
        }
      }),
      { numRuns: 500 },
    );
    expect(() => parseRootCertificate(root.with(16, 2))).toThrow(
      expect.objectContaining({ code: 'xtt.bad-root-certificate', remedy: 'operator' }),
    );
  });

  it('is not made from what is no key or no id', () => {
    expect(() => makeRootCertificate(rootId, new Uint8Array(65))).toThrow(/P-256/);
    expect(() => makeRootCertificate(rootId.slice(1), rootPair.publicKey)).toThrow(/16 bytes/);
  });
});

describe('server certificate', () => {
  it('is verified by its root', () => {
    expect(certificate).toHaveLength(169);
    expect(verifyServerCertificate(primitives, certificate, [root])).toEqual(serverKey);
  });

  it('keeps what the reserved field is given', async () => {
    const reserved = primitives.random(24);
    const made = await makeServerCertificate({ rootId, publicKey: serverKey, reserved }, signAsRoot);
    expect(parseServerCertificate(made).reserved).toEqual(reserved);
    expect(verifyServerCertificate(primitives, made, [root])).toEqual(serverKey);
  });

  it('is refused with any bit flipped', () => {
    for (let bit = 0; bit < certificate.length * 8; bit++) {
      const flipped = certificate.with(bit >> 3, certificate[bit >> 3]! ^ (1 << (bit & 7)));
      const inRootId = bit >= 24 * 8 && bit < 40 * 8;
      expect(() => verifyServerCertificate(primitives, flipped, [root])).toThrow(
        expect.objectContaining(
          inRootId
            ? { code: 'xtt.unknown-root', remedy: 'operator' }
            : { code: 'xtt.bad-root-signature', remedy: 'retry' },
        ),
      );
    }
  });

  it('is refused at another length', () => {
    for (const bad of [new Uint8Array(), certificate.slice(1), concat(certificate, Uint8Array.of(0))]) {
      expect(() => verifyServerCertificate(primitives, bad, [root])).toThrow(
        expect.objectContaining({ code: 'xtt.bad-server-certificate' }),
      );
    }
  });

  it('comes back from its fields', async () => {
    const { signature, ...fields } = parseServerCertificate(certificate);
    expect(await makeServerCertificate(fields, async () => signature)).toEqual(certificate);
  });

  it('is not made from what is no key, no id or no signature', async () => {
    await expect(
      makeServerCertificate({ rootId, publicKey: new Uint8Array(65) }, signAsRoot),
    ).rejects.toThrow(/P-256/);
    const short = { rootId: rootId.slice(1), publicKey: serverKey };
    await expect(makeServerCertificate(short, signAsRoot)).rejects.toThrow(/root id/);
    const unsigned = makeServerCertificate({ rootId, publicKey: serverKey }, async () => new Uint8Array(63));
    await expect(unsigned).rejects.toThrow(/signature/);
  });
});
