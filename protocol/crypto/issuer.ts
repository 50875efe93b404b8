/** The issuer of a group: its keys with their proof, and credentials for members (ecdaa.md §6). */
import { concat } from '../bytes.ts';
import { Failure, isFailure } from '../failure.ts';
import {
  decodeG1,
  decodeG2,
  decodeScalar,
  decodeSecret,
  drawScalar,
  type Entropy,
  encodeG1,
  encodeG2,
  encodeScalar,
  G2_LENGTH,
  hashToScalar,
  SCALAR_LENGTH,
} from './encoding.ts';
import { Fr, G1, G2, type G2Point } from './fp256bn.ts';
import { GROUP_KEY_LENGTH, groupPoints } from './group.ts';

const ISSUER_SECRET_LENGTH = 2 * SCALAR_LENGTH;
const ISSUER_KEY_LENGTH = GROUP_KEY_LENGTH + 3 * SCALAR_LENGTH;

/** Draws x, y and proves them. `secret` is x ‖ y; `publicKey` is X ‖ Y ‖ c ‖ sx ‖ sy, whose first 258 bytes are the GPK. */
export function generateIssuer(p: Entropy): {
  secret: Uint8Array /* 64 */;
  publicKey: Uint8Array /* 354 */;
} {
  const [x, y, rx, ry] = [drawScalar(p), drawScalar(p), drawScalar(p), drawScalar(p)];
  const [X, Y, Ux, Uy] = [x, y, rx, ry].map((scalar) => G2.BASE.multiply(scalar)) as [
    G2Point,
    G2Point,
    G2Point,
    G2Point,
  ];
  const c = issuerChallenge(p, Ux, Uy, X, Y);
  const sx = Fr.add(rx, Fr.mul(c, x));
  const sy = Fr.add(ry, Fr.mul(c, y));
  return {
    secret: concat(encodeScalar(x), encodeScalar(y)),
    publicKey: concat(encodeG2(X), encodeG2(Y), encodeScalar(c), encodeScalar(sx), encodeScalar(sy)),
  };
}

/** Checks the points and the proof of a 354-byte issuer public key. @throws Failure `ecdaa.bad-issuer-key` */
export function checkIssuerPublicKey(p: Entropy, ipk: Uint8Array): void {
  const gpk = groupPublicKey(ipk);
  if (!provesIssuer(p, gpk, ipk.subarray(GROUP_KEY_LENGTH))) throw badIssuerKey('a proof that does not hold');
}

/** The 258-byte GPK in a 354-byte issuer public key, unchecked. @throws Failure `ecdaa.bad-issuer-key` */
export function groupPublicKey(ipk: Uint8Array): Uint8Array {
  if (ipk.length !== ISSUER_KEY_LENGTH) throw badIssuerKey(`${ipk.length} bytes`);
  return ipk.slice(0, GROUP_KEY_LENGTH);
}

/**
 * Issues a credential A ‖ B ‖ C ‖ D with its signature c ‖ s to the member with public point Q (65 bytes), whose key the
 * caller has checked (`checkMemberKey`). `secret` is the issuer's 64 bytes.
 * @throws Failure `ecdaa.bad-issuer-secret`, `ecdaa.bad-point`
 */
export function issueCredential(
  p: Entropy,
  secret: Uint8Array,
  memberPoint: Uint8Array,
): { credential: Uint8Array /* 260 */; signature: Uint8Array /* 64 */ } {
  const { x, y } = decodeIssuerSecret(secret);
  const Q = decodeG1(memberPoint);
  const l = drawScalar(p);
  const ly = Fr.mul(l, y);
  const A = G1.BASE.multiply(l);
  const B = A.multiply(y);
  const D = Q.multiply(ly);
  const C = A.add(D).multiply(x);

  const r = drawScalar(p);
  const c = hashToScalar(p, ...[G1.BASE.multiply(r), Q.multiply(r), G1.BASE, B, Q, D].map(encodeG1));
  const s = Fr.add(r, Fr.mul(c, ly));
  return {
    credential: concat(...[A, B, C, D].map(encodeG1)),
    signature: concat(encodeScalar(c), encodeScalar(s)),
  };
}

function provesIssuer(p: Entropy, gpk: Uint8Array, proof: Uint8Array): boolean {
  try {
    const [X, Y] = [decodeG2(gpk.subarray(0, G2_LENGTH)), decodeG2(gpk.subarray(G2_LENGTH))];
    const scalar = (i: number) => decodeScalar(proof.subarray(i * SCALAR_LENGTH, (i + 1) * SCALAR_LENGTH));
    const [c, sx, sy] = [scalar(0), scalar(1), scalar(2)];
    const Ux = G2.BASE.mulAddUnsafe(sx, X, Fr.neg(c));
    const Uy = G2.BASE.mulAddUnsafe(sy, Y, Fr.neg(c));
    return issuerChallenge(p, Ux, Uy, X, Y) === c;
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw badIssuerKey(error.message, error);
  }
}

function issuerChallenge(p: Entropy, Ux: G2Point, Uy: G2Point, X: G2Point, Y: G2Point): bigint {
  return hashToScalar(p, ...[Ux, Uy, G2.BASE, X, Y].map(encodeG2));
}

/** Checks that an issuer's secret (64 bytes) belongs to this GPK. @throws Failure `ecdaa.bad-issuer-secret`, `ecdaa.bad-group-key` */
export function checkIssuerSecret(secret: Uint8Array, gpk: Uint8Array): void {
  const { x, y } = decodeIssuerSecret(secret);
  const { X, Y } = groupPoints(gpk);
  if (G2.BASE.multiply(x).equals(X) && G2.BASE.multiply(y).equals(Y)) return;
  throw badIssuerSecret('the secret of another public key');
}

function decodeIssuerSecret(secret: Uint8Array): { x: bigint; y: bigint } {
  if (secret.length !== ISSUER_SECRET_LENGTH) throw badIssuerSecret(`${secret.length} bytes`);
  try {
    return {
      x: decodeSecret(secret.subarray(0, SCALAR_LENGTH)),
      y: decodeSecret(secret.subarray(SCALAR_LENGTH)),
    };
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw badIssuerSecret('a scalar out of range');
  }
}

function badIssuerSecret(got: string): Failure {
  return new Failure(
    'ecdaa.bad-issuer-secret',
    'operator',
    `expected the issuer's secret, ${ISSUER_SECRET_LENGTH} bytes, two scalars between 0 and the group order: got ${got}`,
    { action: 'Restore the issuer key file from its backup.' },
  );
}

function badIssuerKey(got: string, cause?: unknown): Failure {
  return new Failure(
    'ecdaa.bad-issuer-key',
    'operator',
    `expected an issuer public key of ${ISSUER_KEY_LENGTH} bytes with a valid proof, got ${got}`,
    { action: 'Take the issuer public key again from the issuer.', cause },
  );
}
