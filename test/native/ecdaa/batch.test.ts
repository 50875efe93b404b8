/** Batches with every kind of forgery in them: what is accepted is what the reference accepts, one by one. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import type { EcdaaFace, NativeGroup } from '../../../native/ecdaa/ecdaa.ts';
import { addon } from '../../../native/index.ts';
import { concat } from '../../../protocol/bytes.ts';
import { decodeG1, encodeG1, encodeScalar } from '../../../protocol/crypto/encoding.ts';
import { G1, n } from '../../../protocol/crypto/fp256bn.ts';
import { generateIssuer, groupPublicKey, issueCredential } from '../../../protocol/crypto/issuer.ts';
import { generateMemberSecret, softwareDaaKey } from '../../../protocol/crypto/member.ts';
import { groupVerifier } from '../../../protocol/crypto/verifier.ts';
import { arithmetics } from './arithmetics.ts';

const face = addon() as EcdaaFace;
const NONE: Uint8Array = new Uint8Array(0);
const BASENAME: Uint8Array = new TextEncoder().encode('a batch');
const draws = (count: number) => concat(...Array.from({ length: count }, () => primitives.random(65)));

const issuer = generateIssuer(primitives);
const gpk = groupPublicKey(issuer.publicKey);
const group = (basename = BASENAME, secretKeys = NONE, pseudonyms = NONE): NativeGroup =>
  face.ecdaaGroup(gpk, basename, secretKeys, pseudonyms)!;

interface Claim {
  readonly signature: Uint8Array;
  readonly message: Uint8Array;
}

/** A member of the group with its credential. */
function newMember(secret = generateMemberSecret(primitives)) {
  const { publicPoint } = softwareDaaKey(primitives, secret);
  const { credential } = issueCredential(primitives, issuer.secret, publicPoint);
  return { secret, credential };
}
const members = [newMember(), newMember(), newMember()];

function honest(i: number, basename = BASENAME): Claim {
  const { secret, credential } = members[i % members.length]!;
  const message = primitives.random(20);
  return { signature: face.ecdaaSign(secret, credential, message, basename, draws(3))!, message };
}

/** A signature whose Schnorr proof holds, under a credential that nobody issued. */
function forged(): Claim {
  const secret = generateMemberSecret(primitives);
  const point = () =>
    G1.BASE.multiply(primitives.random(30).reduce((sum, byte) => sum * 256n + BigInt(byte), 1n));
  const B = point();
  const sk = secret.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  const credential = concat(...[point(), B, point(), B.multiply(sk)].map(encodeG1));
  const message = primitives.random(20);
  return { signature: face.ecdaaSign(secret, credential, message, BASENAME, draws(3))!, message };
}

/** The claim with `D` added to T, which the Schnorr proof does not cover. */
function shifted({ signature, message }: Claim, D = G1.BASE): Claim {
  const T = decodeG1(signature.slice(194, 259)).add(D);
  return { signature: concat(signature.slice(0, 194), encodeG1(T), signature.slice(259)), message };
}

function flipped({ signature, message }: Claim, at: number): Claim {
  return { signature: signature.map((byte, i) => (i === at ? byte ^ 1 : byte)), message };
}

async function ask(of: NativeGroup, claims: readonly Claim[]): Promise<boolean[]> {
  const verdicts = await face.ecdaaVerify(
    of,
    claims.map(({ signature }) => signature),
    claims.map(({ message }) => message),
  );
  return [...verdicts].map((verdict) => verdict === 1);
}

describe.each(arithmetics())('a batch (%s)', (arithmetic) => {
  beforeAll(() => {
    expect(face.ecdaaArithmetic(arithmetic)).toBe(arithmetic);
  });
  const all = group();

  it.each([1, 2, 3, 8, 63, 64])('of %i honest signatures is accepted', async (count) => {
    const claims = Array.from({ length: count }, (_, i) => honest(i));
    expect(await ask(all, claims)).toEqual(claims.map(() => true));
  });

  it('with the same signature many times is accepted, and refused if that is bad', async () => {
    const claims = [...Array<Claim>(60).fill(honest(0)), ...Array<Claim>(4).fill(honest(1))];
    expect(await ask(all, claims)).toEqual(claims.map(() => true));
    const bad = Array<Claim>(8).fill(forged());
    expect(await ask(all, [...bad, ...claims.slice(8)])).toEqual(claims.map((_, i) => i >= 8));
  });

  it('without a basename is accepted, and not under one', async () => {
    const claims = [honest(0, NONE), honest(1, NONE), honest(2)];
    expect(await ask(group(NONE), claims)).toEqual([true, true, false]);
    expect(await ask(all, claims)).toEqual([false, false, true]);
  });

  it('in which two errors cancel each other is refused: T + D beside T − D', async () => {
    const claims = Array.from({ length: 16 }, (_, i) => honest(i));
    claims[5] = shifted(claims[5]!);
    claims[6] = shifted(claims[6]!, G1.BASE.negate());
    expect(await ask(all, claims)).toEqual(claims.map((_, i) => i !== 5 && i !== 6));
    expect(await ask(all, claims.slice(5, 7))).toEqual([false, false]);
  });

  it('in which S, T and the pairing with them shift together is refused', async () => {
    // R, S, T, W of two members exchanged crosswise: each equation of the sum holds for equal weights.
    const [first, second] = [honest(0), honest(1)];
    const exchange = (from: number, to: number): Claim[] => [
      {
        ...first,
        signature: concat(
          first.signature.slice(0, from),
          second.signature.slice(from, to),
          first.signature.slice(to),
        ),
      },
      {
        ...second,
        signature: concat(
          second.signature.slice(0, from),
          first.signature.slice(from, to),
          second.signature.slice(to),
        ),
      },
    ];
    expect(await ask(all, exchange(64, 129))).toEqual([false, false]);
    expect(await ask(all, exchange(194, 259))).toEqual([false, false]);
    expect(await ask(all, [first, second])).toEqual([true, true]);
  });

  it('loses exactly its forgeries, wherever they are and however many', async () => {
    const good = Array.from({ length: 24 }, (_, i) => honest(i));
    const bad = [forged(), flipped(good[0]!, 40), shifted(good[1]!), { ...good[2]!, message: NONE }];
    const chosen = fc.array(fc.option(fc.nat(bad.length - 1), { freq: 3 }), { minLength: 1, maxLength: 24 });
    await fc.assert(
      fc.asyncProperty(chosen, async (choice) => {
        const claims = choice.map((which, i) => (which === null ? good[i]! : bad[which]!));
        expect(await ask(all, claims)).toEqual(choice.map((which) => which === null));
      }),
      { numRuns: 40 },
    );
  });

  it('of forgeries only is refused as a whole', async () => {
    const claims = Array.from({ length: 64 }, forged);
    expect(await ask(all, claims)).toEqual(claims.map(() => false));
  });

  it('gives the same answers as the reference for any byte changed', async () => {
    const reference = groupVerifier(primitives, gpk, BASENAME);
    const claim = honest(0);
    const bytes = fc.sample(fc.nat(420), 24);
    const claims = bytes.map((at) => flipped(claim, at));
    const expected = await Promise.all(
      claims.map(async (each) => reference.verify(each.signature, each.message).catch(() => false)),
    );
    expect(await ask(all, claims)).toEqual(expected);
    expect(await reference.verify(claim.signature, claim.message)).toBe(true);
  });

  it('refuses c and s from n on, though they are the same mod n', async () => {
    const { signature, message } = honest(0);
    const number = (at: number) =>
      signature.slice(at, at + 32).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
    // Only a small number has room for another n below 2^256; so the group order itself stands in for zero.
    const withC = { signature: concat(encodeScalar(n), signature.slice(32)), message };
    const withS = {
      signature: concat(signature.slice(0, 32), encodeScalar(n), signature.slice(64)),
      message,
    };
    expect(number(0)).toBeLessThan(n);
    expect(await ask(all, [withC, withS, { signature, message }])).toEqual([false, false, true]);
  });

  it('refuses lengths that are none', async () => {
    const { signature, message } = honest(0);
    const wrong = [NONE, signature.slice(1), concat(signature, Uint8Array.of(0)), signature.slice(0, 356)];
    expect(
      await ask(
        all,
        wrong.map((each) => ({ signature: each, message })),
      ),
    ).toEqual(wrong.map(() => false));
  });

  it('refuses the members that were shut out, by secret and by pseudonym', async () => {
    const claims = [honest(0), honest(1), honest(2)];
    const K = claims[1]!.signature.slice(356);
    expect(await ask(group(BASENAME, members[0]!.secret), claims)).toEqual([false, true, true]);
    expect(await ask(group(BASENAME, NONE, K), claims)).toEqual([true, false, true]);
    const many = concat(...Array.from({ length: 50 }, () => generateMemberSecret(primitives)));
    expect(await ask(group(BASENAME, concat(many, members[2]!.secret, many), K), claims)).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('without a basename refuses the members whose secret was revoked', async () => {
    const claims = [honest(0, NONE), honest(1, NONE)];
    const others = concat(generateMemberSecret(primitives), members[1]!.secret);
    expect(await ask(group(NONE, others), claims)).toEqual([true, false]);
  });
});

describe('a group', () => {
  const bad = (change: (copy: Uint8Array) => void): Uint8Array => {
    const copy = gpk.slice();
    change(copy);
    return copy;
  };

  it('is refused if its key is none', () => {
    const offCurve = bad((copy) => copy.set([copy[200]! ^ 1], 200));
    const tagged = bad((copy) => copy.set([2], 129));
    for (const key of [NONE, gpk.slice(1), concat(gpk, NONE, Uint8Array.of(0)), offCurve, tagged]) {
      expect(face.ecdaaGroup(key, BASENAME, NONE, NONE)).toBeUndefined();
    }
    expect(face.ecdaaGroup(gpk, BASENAME, NONE, NONE)).toBeDefined();
  });

  it('is refused if a revocation is none', () => {
    const K = encodeG1(G1.BASE);
    const secrets = [
      encodeScalar(0n),
      encodeScalar(n),
      concat(encodeScalar(1n), encodeScalar(0n)),
      new Uint8Array(33),
    ];
    for (const each of secrets) expect(face.ecdaaGroup(gpk, BASENAME, each, NONE)).toBeUndefined();
    for (const each of [
      K.slice(1),
      K.map((byte, i) => (i === 64 ? byte ^ 1 : byte)),
      concat(K, NONE, K.slice(1)),
    ]) {
      expect(face.ecdaaGroup(gpk, BASENAME, NONE, each)).toBeUndefined();
    }
    // Without a basename no signature carries a pseudonym that could be compared.
    expect(face.ecdaaGroup(gpk, NONE, NONE, K)).toBeUndefined();
    expect(face.ecdaaGroup(gpk, BASENAME, NONE, K)).toBeDefined();
  });
});

describe('bad arguments are TypeErrors', () => {
  const all = group();
  const { signature, message } = honest(0);
  type Any = (...values: unknown[]) => unknown;
  const functions = face as unknown as Record<string, Any>;
  const arity: Record<string, number> = {
    ecdaaGroup: 4,
    ecdaaPublicPoint: 1,
    ecdaaRespond: 3,
    ecdaaIssue: 3,
    ecdaaSign: 5,
    fp256bnMultiply: 2,
    fp256bnMultiplyEach: 2,
    fp256bnMultiplyAdd: 4,
    fp256bnDraw: 1,
    fp256bnHashToG1: 1,
    fp256bnIsG2: 1,
    fp256bnProductIsOne: 4,
  };
  const wrong = [
    undefined,
    null,
    1,
    'text',
    {},
    [],
    new Uint16Array(65),
    new DataView(new ArrayBuffer(65)),
    all,
  ];

  it.each(Object.entries(arity))('of %s', (name, count) => {
    for (let at = 0; at < count; at++) {
      for (const value of wrong) {
        const values = Array.from({ length: count }, (_, i) => (i === at ? value : new Uint8Array(65)));
        expect(() => functions[name]!(...values), `argument ${at}`).toThrow(TypeError);
      }
    }
    expect(() => functions[name]!()).toThrow(TypeError);
  });

  it('of ecdaaVerify', () => {
    const many = Array.from({ length: 65 }, () => signature);
    const cases: unknown[][] = [
      [],
      [all],
      [all, [signature]],
      [all, [], []],
      [all, [signature], []],
      [all, many, many],
      [all, signature, message],
      [all, [signature], ['text']],
      [all, [null], [message]],
      [all, { length: 1, 0: signature }, [message]],
      ...[undefined, {}, 7, Object.create(all as object), new Uint8Array(8)].map((each) => [
        each,
        [signature],
        [message],
      ]),
    ];
    for (const values of cases) expect(() => functions.ecdaaVerify!(...values)).toThrow(TypeError);
  });

  it('of ecdaaArithmetic', () => {
    for (const value of ['', 'avx', 1, {}, 'x'.repeat(100)]) {
      expect(() => functions.ecdaaArithmetic!(value)).toThrow(TypeError);
    }
  });

  it('and contents that are not valid are undefined', () => {
    const { secret, credential } = members[0]!;
    const drawn = draws(3);
    expect(face.ecdaaSign(secret, credential, message, BASENAME, drawn)).toBeDefined();
    expect(face.ecdaaSign(secret.slice(1), credential, message, BASENAME, drawn)).toBeUndefined();
    expect(face.ecdaaSign(secret, credential.slice(1), message, BASENAME, drawn)).toBeUndefined();
    expect(face.ecdaaSign(secret, credential, message, BASENAME, drawn.slice(1))).toBeUndefined();
    expect(face.ecdaaSign(secret, credential, message, BASENAME, new Uint8Array(195))).toBeUndefined();
    expect(face.ecdaaSign(members[1]!.secret, credential, message, BASENAME, drawn)).toBeUndefined();
    expect(face.ecdaaIssue(issuer.secret, encodeG1(G1.BASE), draws(2))).toBeDefined();
    expect(face.ecdaaIssue(issuer.secret, encodeG1(G1.BASE), new Uint8Array(130))).toBeUndefined();
    expect(face.ecdaaIssue(new Uint8Array(64), encodeG1(G1.BASE), draws(2))).toBeUndefined();
    expect(face.ecdaaIssue(issuer.secret, new Uint8Array(65), draws(2))).toBeUndefined();
  });
});
