import { primitives } from '../../../crypto/primitives.ts';
import type { EcdaaFace } from '../../../native/ecdaa/ecdaa.ts';
import { addon } from '../../../native/index.ts';
import { concat } from '../../../protocol/bytes.ts';
import {
  decodeG1,
  encodeG1,
  encodeScalar,
  hashToScalar,
  toNumber,
} from '../../../protocol/crypto/encoding.ts';
import { Fr } from '../../../protocol/crypto/fp256bn.ts';
import { groupId } from '../../../protocol/crypto/group.ts';
import { generateIssuer, groupPublicKey } from '../../../protocol/crypto/issuer.ts';
import { generateMemberSecret } from '../../../protocol/crypto/member.ts';
import { encodeLabel } from '../../../protocol/label.ts';
import { numberBytes } from './longterm.ts';

/** A batch of devices as the factory makes it. */
export interface BenchGroup {
  readonly gid: Uint8Array;
  readonly basename: Uint8Array;
  readonly label: string;
  readonly issuerSecret: Uint8Array;
  /** The basename on the curve, 65 bytes. */
  readonly point: Uint8Array;
}

/** What a chip holds, and all of a signature that does not depend on the message. */
export interface Chip {
  readonly group: BenchGroup;
  readonly secret: bigint;
  /** R, S, T, W, each 65 bytes. */
  readonly blinded: Uint8Array;
  readonly pseudonym: Uint8Array;
  readonly k: bigint;
  /** Of the challenge: before the message. */
  readonly commitment: Uint8Array;
}

const native = (): EcdaaFace => addon() as EcdaaFace;
const draws = (count: number): Uint8Array =>
  concat(...Array.from({ length: count }, () => primitives.random(65)));

export function makeGroup(name: string): BenchGroup {
  const { secret, publicKey } = generateIssuer(primitives);
  const gpk = groupPublicKey(publicKey);
  const basename = new TextEncoder().encode(`${name} basename`);
  return {
    gid: groupId(primitives, gpk, basename),
    basename,
    label: encodeLabel({ gpk, basename, name }),
    issuerSecret: secret,
    point: native().fp256bnHashToG1(basename)!,
  };
}

/**
 * A new device of the group; `issuerSecret` of another group makes one whose credential is worth nothing in this one. Its
 * first signature is made here and taken apart, so that the load generator has next to nothing to do for the following
 * ones: they all have the same k, which would give a real device's secret away.
 */
export function makeChip(group: BenchGroup, issuerSecret = group.issuerSecret): Chip {
  const addon = native();
  const secret = generateMemberSecret(primitives);
  const issued = addon.ecdaaIssue(issuerSecret, addon.ecdaaPublicPoint(secret)!, draws(2))!;
  const first = addon.ecdaaSign(
    secret,
    issued.subarray(0, 260),
    new Uint8Array(64),
    group.basename,
    draws(3),
  )!;
  const [c, s] = [toNumber(first.subarray(0, 32)), toNumber(first.subarray(32, 64))];
  const sk = toNumber(secret);
  const k = Fr.sub(s, Fr.mul(c, sk));
  const [blinded, pseudonym] = [first.slice(64, 324), first.slice(356)];
  const [S, W] = [blinded.subarray(65, 130), blinded.subarray(195)];
  const E = addon.fp256bnMultiply(S, encodeScalar(k))!;
  const L = addon.fp256bnMultiply(group.point, encodeScalar(k))!;
  const commitment = concat(E, S, W, L, group.point, pseudonym, group.basename);
  return { group, secret: sk, blinded, pseudonym, k, commitment };
}

/** A device's group signature over a message, 421 bytes: ecdaa.md §5 from step 2 on. */
export function signAs({ secret, blinded, pseudonym, k, commitment }: Chip, message: Uint8Array): Uint8Array {
  const c1 = numberBytes(hashToScalar(primitives, commitment, message));
  const nonce = primitives.random(32);
  const c = hashToScalar(primitives, nonce, c1);
  const s = Fr.add(k, Fr.mul(c, secret));
  return concat(numberBytes(c), numberBytes(s), blinded, nonce, pseudonym);
}

/** What a hostile client sends in place of a good signature. */
export type Forgery = 'bad-schnorr' | 'bad-credential' | 'cancelling';

/** T, the third point of a signature: no part of the Schnorr proof, only of the credential. */
const T = { start: 194, end: 259 } as const;

/**
 * Makes forged signatures. A bad Schnorr proof is one with another s; a bad credential was issued for another group, under
 * a proof that holds; of a cancelling pair one has T + D and the next T − D, so that a sum without coefficients would hold.
 */
export function forger(kind: Forgery, group: BenchGroup): (message: Uint8Array) => Uint8Array {
  if (kind === 'bad-credential') {
    const chip = makeChip(group, makeGroup('foreign').issuerSecret);
    return (message) => signAs(chip, message);
  }
  const chip = makeChip(group);
  if (kind === 'bad-schnorr') {
    return (message) => {
      const signature = signAs(chip, message);
      return signature.with(63, signature[63]! ^ 1);
    };
  }
  const D = decodeG1(native().ecdaaPublicPoint(generateMemberSecret(primitives))!);
  let sign = 1;
  return (message) => {
    const signature = signAs(chip, message);
    const moved = decodeG1(signature.subarray(T.start, T.end)).add(sign === 1 ? D : D.negate());
    sign = -sign;
    signature.set(encodeG1(moved), T.start);
    return signature;
  };
}
