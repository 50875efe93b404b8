import { availableParallelism } from 'node:os';
import type { Arithmetic, EcdaaFace, NativeGroup } from '../native/ecdaa/ecdaa.ts';
import { addon } from '../native/index.ts';
import { concat, wipe } from '../protocol/bytes.ts';
import type { DaaKey } from '../protocol/crypto/daa-key.ts';
import {
  decodeG1,
  type Entropy,
  encodeG1,
  encodeG2,
  G1_LENGTH,
  G2_LENGTH,
  SCALAR_LENGTH,
} from '../protocol/crypto/encoding.ts';
import { type G1Point, G2 } from '../protocol/crypto/fp256bn.ts';
import { checkGroupPublicKey } from '../protocol/crypto/group.ts';
import { type HostArithmetic, PORTABLE } from '../protocol/crypto/host-arithmetic.ts';
import * as issuer from '../protocol/crypto/issuer.ts';
import * as member from '../protocol/crypto/member.ts';
import type { GroupVerifier, Revocations } from '../protocol/crypto/verifier.ts';
import * as verifier from '../protocol/crypto/verifier.ts';
import { selfTestArithmetic } from './ecdaa-selftest.ts';
import { hostArithmetic } from './host-arithmetic.ts';

const DRAW_LENGTH = 65;
const CREDENTIAL_LENGTH = 260;
/** Largest batch for the addon; a larger one would gain little and delay its first signature. */
const MAX_BATCH = 64;
/** libuv has four threads by default; file operations and name lookups need one, too. */
const MAX_WORKERS = 3;

/** The implementation in use: the addon, with the best instructions of this processor, or TypeScript, some fifty times slower. */
export type EcdaaCore = `native (${Arithmetic})` | 'noble';

let native:
  | { readonly face: EcdaaFace; readonly queue: VerificationQueue }
  | { readonly missing: string }
  | undefined;

function core() {
  native ??= load();
  return native;
}

function load(): NonNullable<typeof native> {
  try {
    const face = addon();
    if (!hasEcdaa(face)) return { missing: 'the addon was built without ECDAA' };
    // One processor is left to the JavaScript thread, which has work of its own for every signature.
    const workers = Math.max(1, Math.min(MAX_WORKERS, availableParallelism() - 1));
    return { face, queue: verificationQueue(face, workers) };
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) };
  }
}

const hasEcdaa = (face: Partial<EcdaaFace>): face is EcdaaFace => face.ecdaaVerify !== undefined;

/** Which implementation is in use in this process; if it is the slow one, also why. */
export function ecdaaCore(): { readonly name: EcdaaCore; readonly because?: string } {
  const current = core();
  if ('missing' in current) return { name: 'noble', because: current.missing };
  return { name: `native (${current.face.ecdaaArithmetic()})` };
}

/** The self-test of a program that verifies signatures (`selfTestArithmetic`); does nothing without the addon. @throws Failure `ecdaa.wrong-arithmetic` */
export async function selfTestEcdaa(): Promise<void> {
  const current = core();
  if ('face' in current) await selfTestArithmetic(current.face);
}

/**
 * As `groupVerifier` of protocol/crypto/verifier.ts: the same arguments, answers and failures. Verifications run outside of
 * the event loop; those that wait for a free worker form a batch. Rejects only if memory is exhausted.
 * @throws Failure `ecdaa.bad-group-key`, `ecdaa.bad-revocation`
 */
export function groupVerifier(
  p: Entropy,
  gpk: Uint8Array,
  basename?: Uint8Array,
  revocations: Revocations = { secretKeys: [], pseudonyms: [] },
): GroupVerifier {
  const current = core();
  const group = 'face' in current ? nativeGroup(current.face, gpk, basename, revocations) : undefined;
  // The TypeScript implementation reports what is wrong with these arguments.
  if (!('face' in current) || !group) return inTurn(verifier.groupVerifier(p, gpk, basename, revocations));
  return { verify: (signature, message) => current.queue.verify(group, signature, message) };
}

/** As `issueCredential` of protocol/crypto/issuer.ts. @throws Failure `ecdaa.bad-issuer-secret`, `ecdaa.bad-point` */
export function issueCredential(
  p: Entropy,
  secret: Uint8Array,
  memberPoint: Uint8Array,
): { credential: Uint8Array /* 260 */; signature: Uint8Array /* 64 */ } {
  const current = core();
  if ('face' in current) {
    const draws = drawn(p, 2);
    const issued = current.face.ecdaaIssue(secret, memberPoint, draws);
    wipe(draws);
    if (issued) {
      return { credential: issued.slice(0, CREDENTIAL_LENGTH), signature: issued.slice(CREDENTIAL_LENGTH) };
    }
  }
  return issuer.issueCredential(p, secret, memberPoint);
}

/** The secrets of the keys that `softwareDaaKey` made here, so that `sign` can compute their signatures in the addon. */
const secrets = new WeakMap<DaaKey, Uint8Array>();

/** As `softwareDaaKey` of protocol/crypto/member.ts. @throws Failure `ecdaa.bad-member-secret` */
export function softwareDaaKey(p: Entropy, secret: Uint8Array): DaaKey {
  const current = core();
  const publicPoint = 'face' in current ? current.face.ecdaaPublicPoint(secret) : undefined;
  if (!publicPoint) return member.softwareDaaKey(p, secret);
  const own = secret.slice();
  const key: DaaKey = {
    publicPoint,
    commit: (base, basename) => member.softwareDaaKey(p, own).commit(base, basename),
  };
  secrets.set(key, own);
  return key;
}

/**
 * As `sign` of protocol/crypto/member.ts; fast for the keys of `softwareDaaKey` of this file.
 * @throws Failure `ecdaa.bad-credential`, `ecdaa.bad-response`, and what the key throws
 */
export async function sign(
  p: Entropy,
  key: DaaKey,
  credential: Uint8Array,
  message: Uint8Array,
  basename: Uint8Array = new Uint8Array(0),
): Promise<Uint8Array> {
  const current = core();
  const secret = secrets.get(key);
  if ('face' in current && secret) {
    const draws = drawn(p, 3);
    const signature = current.face.ecdaaSign(secret, credential, message, basename, draws);
    wipe(draws);
    if (signature) return signature;
  }
  return member.sign(p, key, credential, message, basename, host());
}

/** As `join` of protocol/crypto/member.ts. @throws Failure as `prove` of protocol/crypto/schnorr.ts */
export const join: typeof member.join = (p, key, nonce, basename) =>
  member.join(p, key, nonce, basename, host());

/** As `checkMemberKey` of protocol/crypto/member.ts. @throws Failure `ecdaa.bad-member-key` */
export const checkMemberKey: typeof member.checkMemberKey = (p, memberKey, nonce, basename) =>
  member.checkMemberKey(p, memberKey, nonce, basename, host());

/** As `validateCredential` of protocol/crypto/member.ts. @throws Failure `ecdaa.bad-credential`, `ecdaa.bad-group-key` */
export const validateCredential: typeof member.validateCredential = (
  p,
  gpk,
  memberPoint,
  credential,
  signature,
) => {
  const current = core();
  const fast = 'face' in current ? { host: host(), isIssued: isIssued(current.face) } : undefined;
  member.validateCredential(p, gpk, memberPoint, credential, signature, fast);
};

const host = (): HostArithmetic => ('face' in core() ? hostArithmetic() : PORTABLE);

/** e(A, Y) = e(B, G2) and e(C, G2) = e(A + D, X), as `certifies` of protocol/crypto/group.ts. */
const isIssued =
  (face: EcdaaFace): member.Certified =>
  (_, gpk, credential) => {
    const [A, B, C, D] = [0, 1, 2, 3].map((i) =>
      decodeG1(credential.subarray(i * G1_LENGTH, (i + 1) * G1_LENGTH)),
    );
    const AD = A!.add(D!);
    if (AD.is0()) return false;
    const [X, Y] = [gpk.subarray(0, G2_LENGTH), gpk.subarray(G2_LENGTH)];
    const same = (P: G1Point, Q: Uint8Array, P2: G1Point, Q2: Uint8Array): boolean | undefined =>
      face.fp256bnProductIsOne(encodeG1(P), Q, encodeG1(P2.negate()), Q2);
    generator ??= encodeG2(G2.BASE);
    const verdicts = [same(A!, Y, B!, generator), same(C!, generator, AD, X)];
    // A key with points that are none: the TypeScript implementation reports it.
    if (verdicts.includes(undefined)) checkGroupPublicKey(gpk);
    return verdicts.every((each) => each === true);
  };

let generator: Uint8Array | undefined;

/** Verifies in batches of all that waits when a worker becomes free. */
export interface VerificationQueue {
  verify(group: NativeGroup, signature: Uint8Array, message: Uint8Array): Promise<boolean>;
}

interface Waiting {
  readonly signature: Uint8Array;
  readonly message: Uint8Array;
  readonly resolve: (accepted: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A queue over `workers` threads of libuv's pool. A lone signature starts at the end of the event loop's turn: there is no timer. Groups
 * take turns, as a batch is of one group. Signatures and messages are copied, so that they are fixed before a batch's coefficients are drawn.
 */
export function verificationQueue(face: Pick<EcdaaFace, 'ecdaaVerify'>, workers: number): VerificationQueue {
  // In the order in which groups get a worker.
  const lines = new Map<NativeGroup, Waiting[]>();
  let busy = 0;
  let scheduled = false;

  // All that arrives within one turn of the event loop forms one batch, even if a worker is free.
  function schedule(): void {
    if (scheduled || busy >= workers) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      next();
    });
  }

  function next(): void {
    for (const [group, line] of lines) {
      if (busy >= workers) return;
      const batch = line.splice(0, MAX_BATCH);
      lines.delete(group);
      if (line.length > 0) lines.set(group, line);
      busy++;
      void run(group, batch);
    }
  }

  async function run(group: NativeGroup, batch: readonly Waiting[]): Promise<void> {
    try {
      const verdicts = await face.ecdaaVerify(
        group,
        batch.map(({ signature }) => signature),
        batch.map(({ message }) => message),
      );
      batch.forEach(({ resolve }, i) => {
        resolve(verdicts[i] === 1);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    busy--;
    schedule();
  }

  return {
    verify: (group, signature, message) =>
      new Promise((resolve, reject) => {
        const line = lines.get(group) ?? [];
        line.push({ signature: signature.slice(), message: message.slice(), resolve, reject });
        lines.set(group, line);
        schedule();
      }),
  };
}

function nativeGroup(
  face: EcdaaFace,
  gpk: Uint8Array,
  basename: Uint8Array | undefined,
  { secretKeys, pseudonyms }: Revocations,
): NativeGroup | undefined {
  if (secretKeys.some(({ length }) => length !== SCALAR_LENGTH)) return undefined;
  if (pseudonyms.some(({ length }) => length !== G1_LENGTH)) return undefined;
  return face.ecdaaGroup(gpk, basename ?? new Uint8Array(0), concat(...secretKeys), concat(...pseudonyms));
}

let lastTurn: Promise<unknown> = Promise.resolve();

/** A verification in TypeScript blocks the event loop for tens of milliseconds: one at a time, with a turn of the loop between. */
function inTurn(slow: GroupVerifier): GroupVerifier {
  return {
    verify(signature, message) {
      const [ownSignature, ownMessage] = [signature.slice(), message.slice()];
      const result = lastTurn
        .then(() => new Promise<void>((resolve) => setImmediate(resolve)))
        .then(() => slow.verify(ownSignature, ownMessage));
      lastTurn = result.catch(() => {});
      return result;
    },
  };
}

/** `count` draws for secret scalars, in the order of ecdaa.md §3. */
function drawn(p: Entropy, count: number): Uint8Array {
  const draws = Array.from({ length: count }, () => p.random(DRAW_LENGTH));
  const all = concat(...draws);
  wipe(...draws);
  return all;
}
