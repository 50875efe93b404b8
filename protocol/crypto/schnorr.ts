/**
 * The common proof of ecdaa.md §5: knowledge of sk with PUB = sk·BASE and, under a basename, K = sk·P2. The prover's key
 * may be in software or in a TPM; both give the same bytes.
 */
import { concat, equal } from '../bytes.ts';
import { Failure, isFailure } from '../failure.ts';
import { type HashedBasename, hashToG1 } from './basename.ts';
import type { DaaKey } from './daa-key.ts';
import {
  decodeG1,
  decodeScalar,
  type Entropy,
  encodeG1,
  encodeScalar,
  hashToScalar,
  SCALAR_LENGTH,
} from './encoding.ts';
import { Fr, type G1Point } from './fp256bn.ts';
import { type HostArithmetic, PORTABLE } from './host-arithmetic.ts';

/** A TPM may strip a leading zero of its nonce (once in 256); the proof is then made again (§9.4). */
const ATTEMPTS = 9;

/** What the proof is about: PUB = sk·BASE, the message, and K = sk·P2 if there is a basename. */
export interface Statement {
  readonly base: G1Point;
  readonly publicPoint: G1Point;
  readonly message: Uint8Array;
  readonly pseudonym?: { readonly hashed: HashedBasename; readonly K: G1Point } | undefined;
}

/** c and s below n; the nonce is any 32-byte string. */
export interface Proof {
  readonly c: bigint;
  readonly s: bigint;
  readonly nonce: Uint8Array;
}

/** A proof in wire form: each 32 bytes, K 65 bytes if there was a basename. */
export interface EncodedProof {
  readonly c: Uint8Array;
  readonly s: Uint8Array;
  readonly nonce: Uint8Array;
  readonly K?: Uint8Array | undefined;
}

/** Reads c, s (0 … n−1) and the nonce, 32 bytes each. @throws Failure `ecdaa.bad-scalar` */
export function decodeProof(c: Uint8Array, s: Uint8Array, nonce: Uint8Array): Proof {
  return { c: decodeScalar(c), s: decodeScalar(s), nonce };
}

/** True if `proof` proves `statement`. Variable time: everything here is public. */
export function proves(
  p: Pick<Entropy, 'sha256'>,
  proof: Proof,
  statement: Statement,
  host: HostArithmetic = PORTABLE,
): boolean {
  const { message, pseudonym } = statement;
  const [base, publicPoint] = [encodeG1(statement.base), encodeG1(statement.publicPoint)];
  const [s, minusC] = [encodeScalar(proof.s), encodeScalar(Fr.neg(proof.c))];
  const K = pseudonym && encodeG1(pseudonym.K);
  const E = host.multiplyAdd(base, s, publicPoint, minusC);
  const L = pseudonym && K && host.multiplyAdd(pseudonym.hashed.point, s, K, minusC);
  // Infinity has no encoding.
  if (E.length === 0 || L?.length === 0) return false;
  const of = pseudonym && K && L && { hashed: pseudonym.hashed, L, K };
  const c1 = challenge(p, { E, base, publicPoint, message, pseudonym: of });
  return hashToScalar(p, proof.nonce, c1) === proof.c;
}

/**
 * Makes the proof with `key`: PUB = `publicPoint` = sk·`base`, both 65 bytes. An absent or empty basename makes none of K.
 * @throws Failure `ecdaa.short-nonce` after nine short nonces, `ecdaa.bad-response` if what the key answered proves nothing
 * (a credential for another key, or a faulty TPM); whatever the key throws.
 */
export async function prove(
  p: Pick<Entropy, 'sha256'>,
  key: DaaKey,
  base: Uint8Array,
  publicPoint: Uint8Array,
  message: Uint8Array,
  basename?: Uint8Array,
  host: HostArithmetic = PORTABLE,
): Promise<EncodedProof> {
  const hashed = basename && basename.length > 0 ? hashToG1(p, basename) : undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const commitment = await key.commit(base, hashed);
    const { E, K, L } = commitment;
    if (hashed && !(K && L)) throw badResponse('gave no K and L for the basename');
    const pseudonym = hashed && K && L ? { hashed, K, L } : undefined;
    const c1 = challenge(p, { E, base, publicPoint, message, pseudonym });
    const answer = await commitment.sign(c1);
    if (answer.nonce.length !== SCALAR_LENGTH) continue;
    const proof = {
      c: encodeScalar(hashToScalar(p, answer.nonce, c1)),
      s: widen(answer.s),
      nonce: answer.nonce,
      K: pseudonym?.K,
    };
    // Costs a multiplication, and tells the operator here what a server would only refuse.
    if (fits(proof, E, base, publicPoint, host)) return proof;
    throw badResponse('does not fit the public point');
  }
  throw new Failure(
    'ecdaa.short-nonce',
    'retry',
    `the key gave a nonce that is not ${SCALAR_LENGTH} bytes, ${ATTEMPTS} times in a row`,
    { action: 'Try again; if it stays, the TPM is faulty.' },
  );
}

/**
 * True if E = s·base − c·PUB: the key knows the secret of the public point, and did as it should. What it says of K and L
 * is only checked for being points; both follow from the same k and sk.
 */
function fits(
  proof: EncodedProof,
  E: Uint8Array,
  base: Uint8Array,
  publicPoint: Uint8Array,
  host: HostArithmetic,
): boolean {
  try {
    const { c, s } = decodeProof(proof.c, proof.s, proof.nonce);
    if (proof.K) decodeG1(proof.K);
    // E is no infinity if it is a point.
    decodeG1(E);
    return equal(host.multiplyAdd(base, encodeScalar(s), publicPoint, encodeScalar(Fr.neg(c))), E);
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw badResponse('is malformed', error);
  }
}

interface Commitments {
  readonly E: Uint8Array;
  readonly base: Uint8Array;
  readonly publicPoint: Uint8Array;
  readonly message: Uint8Array;
  readonly pseudonym?: { hashed: HashedBasename; K: Uint8Array; L: Uint8Array } | undefined;
}

/** c1, 32 bytes: E ‖ BASE ‖ PUB ‖ [L ‖ P2 ‖ K ‖ basename] ‖ message, hashed and reduced (§5 step 2). */
function challenge(p: Pick<Entropy, 'sha256'>, of: Commitments): Uint8Array {
  const { E, base, publicPoint, message, pseudonym } = of;
  const linked = pseudonym
    ? [pseudonym.L, pseudonym.hashed.point, pseudonym.K, pseudonym.hashed.basename]
    : [];
  return encodeScalar(hashToScalar(p, E, base, publicPoint, ...linked, message));
}

/** A TPM may strip leading zeros of s, which is a plain number: put them back. */
function widen(s: Uint8Array): Uint8Array {
  if (s.length >= SCALAR_LENGTH) return s;
  return concat(new Uint8Array(SCALAR_LENGTH - s.length), s);
}

function badResponse(what: string, cause?: unknown): Failure {
  return new Failure('ecdaa.bad-response', 'operator', `the ECDAA key's answer ${what}`, {
    action: 'Check that the credential was issued for this very key; if it was, the TPM is faulty.',
    cause,
  });
}
