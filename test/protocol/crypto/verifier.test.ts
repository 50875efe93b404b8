import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { ascii, concat, fromHex } from '../../../protocol/bytes.ts';
import { decodeG1, decodeG1Points, encodeG1, encodeScalar } from '../../../protocol/crypto/encoding.ts';
import { Fr, G1, n } from '../../../protocol/crypto/fp256bn.ts';
import { generateIssuer, groupPublicKey, issueCredential } from '../../../protocol/crypto/issuer.ts';
import {
  checkMemberKey,
  generateMemberSecret,
  join,
  sign,
  softwareDaaKey,
  validateCredential,
} from '../../../protocol/crypto/member.ts';
import {
  groupVerifier,
  LINKED_SIGNATURE_LENGTH,
  pseudonymOf,
  SIGNATURE_LENGTH,
} from '../../../protocol/crypto/verifier.ts';
import { altered, flipped } from './vectors.ts';

const failure = (code: string) => expect.objectContaining({ code });
const issuer = generateIssuer(primitives);
const gpk = groupPublicKey(issuer.publicKey);
const basename = ascii('enf.example');
const message = ascii('a message');

async function enrol() {
  const secret = generateMemberSecret(primitives);
  const key = softwareDaaKey(primitives, secret);
  const nonce = primitives.random(16);
  const memberKey = await join(primitives, key, nonce);
  checkMemberKey(primitives, memberKey, nonce);
  const { credential, signature } = issueCredential(primitives, issuer.secret, memberKey.subarray(0, 65));
  validateCredential(primitives, gpk, key.publicPoint, credential, signature);
  return { secret, key, credential };
}

const alice = await enrol();
const bob = await enrol();
const linked = await sign(primitives, alice.key, alice.credential, message, basename);
const unlinked = await sign(primitives, alice.key, alice.credential, message);
const verifier = groupVerifier(primitives, gpk, basename);
const unlinkedVerifier = groupVerifier(primitives, gpk);

describe('a group verifier', () => {
  it('accepts what a member signs, of any length of message and basename', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300, size: 'max' }),
        fc.uint8Array({ maxLength: 64, size: 'max' }),
        async (text, name) => {
          const signature = await sign(primitives, alice.key, alice.credential, text, name);
          expect(signature).toHaveLength(name.length > 0 ? LINKED_SIGNATURE_LENGTH : SIGNATURE_LENGTH);
          expect(await groupVerifier(primitives, gpk, name).verify(signature, text)).toBe(true);
        },
      ),
      { numRuns: 8 },
    );
  });

  it('refuses another message, another basename, the other form, another group', async () => {
    expect(await verifier.verify(linked, message)).toBe(true);
    expect(await verifier.verify(linked, concat(message, Uint8Array.of(0)))).toBe(false);
    expect(await groupVerifier(primitives, gpk, ascii('enf.other')).verify(linked, message)).toBe(false);
    expect(await unlinkedVerifier.verify(unlinked, message)).toBe(true);
    expect(await unlinkedVerifier.verify(linked, message)).toBe(false);
    expect(await verifier.verify(unlinked, message)).toBe(false);
    const other = groupPublicKey(generateIssuer(primitives).publicKey);
    expect(await groupVerifier(primitives, other, basename).verify(linked, message)).toBe(false);
  });

  it('keeps its basename when the caller reuses the buffer', async () => {
    const buffer = basename.slice();
    const kept = groupVerifier(primitives, gpk, buffer);
    buffer.fill(0);
    expect(await kept.verify(linked, message)).toBe(true);
  });

  it('refuses any pair of swapped points', async () => {
    const at = (index: number) => linked.subarray(64 + 65 * index, 129 + 65 * index);
    for (const [a, b] of [
      [0, 1],
      [0, 2],
      [0, 3],
      [1, 2],
      [1, 3],
      [2, 3],
    ] as const) {
      const order = [0, 1, 2, 3].map((i) => (i === a ? b : i === b ? a : i));
      const swapped = concat(linked.subarray(0, 64), ...order.map(at), linked.subarray(324));
      expect(await verifier.verify(swapped, message), `${a} and ${b}`).toBe(false);
    }
  });

  it('refuses R and T that the proof does not cover, by the pairing', async () => {
    for (const offset of [64, 194]) {
      const foreign = encodeG1(decodeG1(linked.subarray(offset, offset + 65)).double());
      const forged = altered(linked, (copy) => copy.set(foreign, offset));
      expect(await verifier.verify(forged, message)).toBe(false);
    }
  });

  it('refuses two errors that would cancel without random weights on the two equations', async () => {
    // A member who wants another pseudonym picks any sk' and B' = D / sk', so that D = sk'·B' and the proof holds. Moving C
    // by the same B' − B leaves T − S, and so the unweighted product of both equations, as it was.
    const [A, B, C, D] = decodeG1Points(alice.credential, 4);
    const secret = 12345n;
    const movedB = D!.multiply(Fr.inv(secret));
    const movedC = C!.add(movedB.subtract(B!));
    const forged = concat(...[A!, movedB, movedC, D!].map(encodeG1));
    const key = softwareDaaKey(primitives, encodeScalar(secret));
    const signature = await sign(primitives, key, forged, message, basename);

    const unweighted = {
      ...primitives,
      random: (length: number) => new Uint8Array(length).fill(1, length - 1),
    };
    expect(await groupVerifier(unweighted, gpk, basename).verify(signature, message)).toBe(true);
    expect(await verifier.verify(signature, message)).toBe(false);
  });

  it('refuses W = −R, which makes a pairing term infinity', async () => {
    const A = G1.BASE.multiply(5n);
    const key = softwareDaaKey(primitives, encodeScalar(n - 1n));
    const forged = concat(...[A, A, A, A.negate()].map(encodeG1));
    const signature = await sign(primitives, key, forged, message, basename);
    expect(await verifier.verify(signature, message)).toBe(false);
  });

  it('refuses c and s at the group order and above', async () => {
    for (const offset of [0, 32]) {
      for (const value of [encodeScalar(n), new Uint8Array(32).fill(255)]) {
        const changed = altered(linked, (copy) => copy.set(value, offset));
        expect(await verifier.verify(changed, message)).toBe(false);
      }
    }
  });

  it('refuses every single changed byte and never throws', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(linked.length - 1), fc.integer({ min: 1, max: 255 }), async (index, mask) => {
        const changed = altered(linked, (copy) => {
          copy[index]! ^= mask;
        });
        expect(await verifier.verify(changed, message)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses any bytes of any length and never throws', async () => {
    const sized = fc.oneof(
      fc.uint8Array({ maxLength: 500, size: 'max' }),
      fc.uint8Array({ minLength: 421, maxLength: 421, size: 'max' }),
    );
    await fc.assert(
      fc.asyncProperty(sized, async (bytes) => {
        expect(await verifier.verify(bytes, message)).toBe(false);
        expect(await unlinkedVerifier.verify(bytes, message)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  it('refuses an invalid group key', () => {
    expect(() => groupVerifier(primitives, flipped(gpk, 257))).toThrow(failure('ecdaa.bad-group-key'));
    expect(() => groupVerifier(primitives, gpk.subarray(1), basename)).toThrow(
      failure('ecdaa.bad-group-key'),
    );
  });
});

describe('pseudonyms', () => {
  it('link one member under one basename, and nothing else', async () => {
    const again = await sign(primitives, alice.key, alice.credential, ascii('more'), basename);
    const elsewhere = await sign(primitives, alice.key, alice.credential, message, ascii('enf.other'));
    const bobs = await sign(primitives, bob.key, bob.credential, message, basename);
    expect(pseudonymOf(again)).toEqual(pseudonymOf(linked));
    expect(pseudonymOf(elsewhere)).not.toEqual(pseudonymOf(linked));
    expect(pseudonymOf(bobs)).not.toEqual(pseudonymOf(linked));
    for (let offset = 64; offset < 324; offset += 65) {
      expect(again.subarray(offset, offset + 65)).not.toEqual(linked.subarray(offset, offset + 65));
    }
  });

  it('cannot be taken from a signature without one', () => {
    expect(() => pseudonymOf(unlinked)).toThrow(failure('ecdaa.no-pseudonym'));
  });

  it('of another basename or another member cannot be put into a signature', async () => {
    const elsewhere = await sign(primitives, alice.key, alice.credential, message, ascii('enf.other'));
    const bobs = await sign(primitives, bob.key, bob.credential, message, basename);
    for (const foreign of [elsewhere, bobs]) {
      const forged = altered(linked, (copy) => copy.set(pseudonymOf(foreign), 356));
      expect(await verifier.verify(forged, message)).toBe(false);
    }
  });
});

describe('revocation', () => {
  const bobs = sign(primitives, bob.key, bob.credential, message, basename);
  const none = { secretKeys: [], pseudonyms: [] };

  it('by secret key revokes its member only, with and without a basename', async () => {
    const revocations = { ...none, secretKeys: [generateMemberSecret(primitives), alice.secret] };
    const strict = groupVerifier(primitives, gpk, basename, revocations);
    expect(await strict.verify(linked, message)).toBe(false);
    expect(await strict.verify(await bobs, message)).toBe(true);
    const strictUnlinked = groupVerifier(primitives, gpk, undefined, revocations);
    expect(await strictUnlinked.verify(unlinked, message)).toBe(false);
    const bobsUnlinked = await sign(primitives, bob.key, bob.credential, message);
    expect(await strictUnlinked.verify(bobsUnlinked, message)).toBe(true);
  });

  it('by pseudonym revokes its member only', async () => {
    const strict = groupVerifier(primitives, gpk, basename, { ...none, pseudonyms: [pseudonymOf(linked)] });
    expect(await strict.verify(linked, message)).toBe(false);
    expect(await strict.verify(await bobs, message)).toBe(true);
  });

  it.each([
    ['a pseudonym off the curve', { ...none, pseudonyms: [flipped(linked.subarray(356), 64)] }],
    ['a short pseudonym', { ...none, pseudonyms: [linked.subarray(357)] }],
    ['a secret key of zero', { ...none, secretKeys: [alice.secret, new Uint8Array(32)] }],
    ['a secret key out of range', { ...none, secretKeys: [encodeScalar(n)] }],
  ])('refuses %s instead of revoking nobody', (_, revocations) => {
    expect(() => groupVerifier(primitives, gpk, basename, revocations)).toThrow(
      failure('ecdaa.bad-revocation'),
    );
  });

  it('refuses pseudonyms where no signature carries one', () => {
    const revocations = { ...none, pseudonyms: [pseudonymOf(linked)] };
    expect(() => groupVerifier(primitives, gpk, undefined, revocations)).toThrow(
      failure('ecdaa.bad-revocation'),
    );
    expect(() => groupVerifier(primitives, gpk, fromHex(''), revocations)).toThrow(
      failure('ecdaa.bad-revocation'),
    );
  });
});
