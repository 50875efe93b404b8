import type { EcdaaFace } from '../native/ecdaa/ecdaa.ts';
import { addon } from '../native/index.ts';
import { concat, wipe } from '../protocol/bytes.ts';
import type { Commitment, DaaKey } from '../protocol/crypto/daa-key.ts';
import {
  drawScalar,
  type Entropy,
  encodeScalar,
  G1_LENGTH,
  hashToScalar,
  SCALAR_LENGTH,
} from '../protocol/crypto/encoding.ts';
import { Failure } from '../protocol/failure.ts';

/*
 * A member's secret that is in memory only while something is computed with it. It never becomes a big integer, which nobody can wipe, and lies
 * in memory that the garbage collector does not copy: that of the addon's answers.
 */

const DRAW_LENGTH = 65;

/** @throws Error if the addon was built without ECDAA */
function face(): EcdaaFace {
  const offered: Partial<EcdaaFace> = addon();
  if (offered.ecdaaRespond === undefined)
    throw new Error('the addon was built without ECDAA: a secret in memory could not be wiped');
  return offered as EcdaaFace;
}

/** Draws a member's secret, 32 bytes; the caller wipes it. */
export function drawMemberSecret(p: Pick<Entropy, 'random'>): Uint8Array {
  const draw = p.random(DRAW_LENGTH);
  try {
    return face().fp256bnDraw(draw)!;
  } finally {
    wipe(draw);
  }
}

/** Q = sk·G1, 65 bytes. @throws Failure `ecdaa.bad-member-secret` */
export function memberPoint(secret: Uint8Array): Uint8Array {
  const point = face().ecdaaPublicPoint(secret);
  if (point === undefined) throw badSecret(secret.length);
  return point;
}

/**
 * The key of a secret that is kept elsewhere. `open` gives it anew for each commitment, in memory that can be wiped; it is wiped when the
 * commitment has signed. Byte for byte what `softwareDaaKey` of protocol/crypto/member.ts makes.
 */
export function keptDaaKey(p: Entropy, publicPoint: Uint8Array, open: () => Promise<Uint8Array>): DaaKey {
  return {
    publicPoint,
    async commit(base, basename): Promise<Commitment> {
      const secret = await open();
      const committed = drawMemberSecret(p);
      const forget = (): void => wipe(secret, committed);
      try {
        const points = basename === undefined ? [base] : [base, basename.point, basename.point];
        const scalars = basename === undefined ? [committed] : [committed, secret, committed];
        const [E, K, L] = multiply(points, scalars);
        return { E: E!, ...(K && { K }), ...(L && { L }), sign: answering(p, secret, committed, forget) };
      } catch (error) {
        forget();
        throw error;
      }
    },
  };
}

function answering(
  p: Entropy,
  secret: Uint8Array,
  committed: Uint8Array,
  forget: () => void,
): Commitment['sign'] {
  let spent = false;
  return async (c1) => {
    // Two answers under one k would give the secret away.
    if (spent) throw new Error('a commitment can be signed with only once');
    spent = true;
    try {
      const nonce = encodeScalar(drawScalar(p));
      const s = face().ecdaaRespond(secret, committed, encodeScalar(hashToScalar(p, nonce, c1)));
      if (s === undefined) throw badSecret(secret.length);
      return { nonce, s };
    } finally {
      forget();
    }
  };
}

/** Each point times its scalar. @throws Failure `ecdaa.bad-member-secret` */
function multiply(points: readonly Uint8Array[], scalars: readonly Uint8Array[]): Uint8Array[] {
  // More than 64 bytes: not in memory that the garbage collector copies.
  const all = scalars.length === 1 ? scalars[0]! : concat(...scalars);
  try {
    const products = face().fp256bnMultiplyEach(concat(...points), all);
    if (products === undefined) throw badSecret(all.length / scalars.length);
    return points.map((_, i) => products.slice(i * G1_LENGTH, (i + 1) * G1_LENGTH));
  } finally {
    if (all !== scalars[0]) wipe(all);
  }
}

function badSecret(length: number): Failure {
  return new Failure(
    'ecdaa.bad-member-secret',
    'operator',
    `expected a member secret of ${SCALAR_LENGTH} bytes between 0 and the group order, got ${length} bytes or a scalar out of range`,
    { action: 'Personalise the device again: "enf-factory device wipe", then "device personalise".' },
  );
}
