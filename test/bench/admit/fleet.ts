import type { EcdaaFace } from '../../../native/ecdaa.ts';
import { addon } from '../../../native/index.ts';
import { primitives } from '../../../os/primitives.ts';
import { concat } from '../../../protocol/bytes.ts';
import { decodeG1, encodeG1 } from '../../../protocol/crypto/encoding.ts';
import { groupId } from '../../../protocol/crypto/group.ts';
import { generateIssuer, groupPublicKey } from '../../../protocol/crypto/issuer.ts';
import { generateMemberSecret } from '../../../protocol/crypto/member.ts';
import { encodeLabel } from '../../../protocol/label.ts';

/** A batch of devices as the factory makes it. */
export interface BenchGroup {
  readonly gid: Uint8Array;
  readonly basename: Uint8Array;
  readonly label: string;
  readonly issuerSecret: Uint8Array;
}

/** What a chip holds. */
export interface Chip {
  readonly group: BenchGroup;
  readonly secret: Uint8Array;
  readonly credential: Uint8Array;
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
  };
}

/** A new device of the group; `issuerSecret` of another group makes one whose credential is worth nothing in this one. */
export function makeChip(group: BenchGroup, issuerSecret = group.issuerSecret): Chip {
  const secret = generateMemberSecret(primitives);
  const issued = native().ecdaaIssue(issuerSecret, native().ecdaaPublicPoint(secret)!, draws(2))!;
  return { group, secret, credential: issued.slice(0, 260) };
}

/** A device's group signature over a message, 421 bytes, as a C device without a TPM would make it. */
export function signAs({ group, secret, credential }: Chip, message: Uint8Array): Uint8Array {
  return native().ecdaaSign(secret, credential, message, group.basename, draws(3))!;
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
