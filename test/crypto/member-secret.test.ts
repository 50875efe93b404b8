import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawMemberSecret, keptDaaKey, memberPoint } from '../../crypto/member-secret.ts';
import { primitives } from '../../crypto/primitives.ts';
import { toHex, wipe } from '../../protocol/bytes.ts';
import type { Entropy } from '../../protocol/crypto/encoding.ts';
import { encodeScalar } from '../../protocol/crypto/encoding.ts';
import { n } from '../../protocol/crypto/fp256bn.ts';
import { generateIssuer, groupPublicKey, issueCredential } from '../../protocol/crypto/issuer.ts';
import { checkMemberKey, join, sign, softwareDaaKey } from '../../protocol/crypto/member.ts';
import { groupVerifier } from '../../protocol/crypto/verifier.ts';

const WIPED = '00'.repeat(32);
const issuer = generateIssuer(primitives);
const gpk = groupPublicKey(issuer.publicKey);

/** Two that draw the same, each from its beginning. */
function twins(): [Entropy, Entropy] {
  const drawn: Uint8Array[] = [];
  const from = (): Entropy => {
    let next = 0;
    return {
      ...primitives,
      random(length) {
        drawn[next] ??= primitives.random(length);
        return drawn[next++]!.slice();
      },
    };
  };
  return [from(), from()];
}

/** A secret, and where it is opened: each opening is kept to be looked at. */
function vault() {
  const secret = drawMemberSecret(primitives);
  const openings: Uint8Array[] = [];
  return {
    secret,
    point: memberPoint(secret),
    openings,
    async open() {
      const opened = drawMemberSecret(primitives);
      opened.set(secret);
      openings.push(opened);
      return opened;
    },
  };
}

describe('a secret that is kept elsewhere', () => {
  test('joins and signs byte for byte as one in software, and is wiped after each', async () => {
    const arbitrary = fc.record({
      message: fc.uint8Array({ maxLength: 70 }),
      basename: fc.uint8Array({ maxLength: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(arbitrary, async ({ message, basename }) => {
        const { secret, point, openings, open } = vault();
        const { credential } = issueCredential(primitives, issuer.secret, point);
        const [here, there] = twins();
        const kept = keptDaaKey(here, point, open);
        const software = softwareDaaKey(there, secret);
        const name = basename.length === 0 ? undefined : basename;
        const joined = await join(here, kept, message, name);
        expect(toHex(joined)).toBe(toHex(await join(there, software, message, name)));
        checkMemberKey(primitives, joined, message, name);
        const signature = await sign(here, kept, credential, message, basename);
        expect(toHex(signature)).toBe(toHex(await sign(there, software, credential, message, basename)));
        const verifier = groupVerifier(primitives, gpk, name);
        expect(await verifier.verify(signature, message)).toBe(true);
        expect(openings.map(toHex)).toEqual([WIPED, WIPED]);
      }),
      { numRuns: 12 },
    );
  });

  test('is open between commitment and answer alone, and answers once', async () => {
    const { point, openings, open } = vault();
    const commitment = await keptDaaKey(primitives, point, open).commit(point);
    expect(toHex(openings[0]!)).not.toBe(WIPED);
    await commitment.sign(new Uint8Array(32));
    expect(toHex(openings[0]!)).toBe(WIPED);
    await expect(commitment.sign(new Uint8Array(32))).rejects.toThrow('only once');
  });

  test('is wiped, too, where nothing comes of it', async () => {
    const { point, openings, open } = vault();
    const key = keptDaaKey(primitives, point, open);
    // What is no point is not multiplied.
    await expect(key.commit(new Uint8Array(65))).rejects.toMatchObject({ code: 'ecdaa.bad-member-secret' });
    // A credential of another key: the answer proves nothing.
    const other = vault();
    const { credential } = issueCredential(primitives, issuer.secret, other.point);
    await expect(sign(primitives, key, credential, new Uint8Array(3))).rejects.toMatchObject({
      code: 'ecdaa.bad-response',
    });
    expect(openings.map(toHex)).toEqual([WIPED, WIPED]);
  });

  test('that is none is refused', async () => {
    for (const bad of [
      new Uint8Array(32),
      encodeScalar(n),
      new Uint8Array(32).fill(255),
      new Uint8Array(31),
    ]) {
      expect(() => memberPoint(bad)).toThrow(/member secret of 32 bytes/);
      const key = keptDaaKey(primitives, new Uint8Array(65), async () => bad.slice());
      const { point } = vault();
      const made = key.commit(point).then(({ sign }) => sign(new Uint8Array(32)));
      await expect(made).rejects.toMatchObject({ code: 'ecdaa.bad-member-secret' });
    }
  });

  test('lies outside of the heap, where the garbage collector would copy it', () => {
    // What JavaScript makes of up to 64 bytes lies in the heap until its buffer is asked for; that of the addon never does.
    const secret = drawMemberSecret(primitives);
    expect(secret.buffer.byteLength).toBe(32);
    wipe(secret);
    expect(toHex(secret)).toBe(WIPED);
    expect(toHex(drawMemberSecret(primitives))).not.toBe(toHex(drawMemberSecret(primitives)));
  });
});
