/**
 * How fast the addon's ECDAA is beside the TypeScript version, in CPU time on this machine: ratios hold, milliseconds vary with
 * what else runs. Each figure is a median; native and noble take turns, so that both see the same neighbours.
 */
import { pippenger } from '@noble/curves/abstract/curve.js';
import { primitives } from '../../crypto/primitives.ts';
import type { Arithmetic, EcdaaFace, NativeGroup } from '../../native/ecdaa/ecdaa.ts';
import { addon } from '../../native/index.ts';
import { concat } from '../../protocol/bytes.ts';
import { hashToG1 } from '../../protocol/crypto/basename.ts';
import { decodeG1, decodeG1Points, toNumber } from '../../protocol/crypto/encoding.ts';
import { G1, type G1Point, G2, linesOf, productIsOne } from '../../protocol/crypto/fp256bn.ts';
import { readGroup } from '../../protocol/crypto/group.ts';
import { generateIssuer, groupPublicKey, issueCredential } from '../../protocol/crypto/issuer.ts';
import { generateMemberSecret, sign, softwareDaaKey } from '../../protocol/crypto/member.ts';
import { decodeProof, proves } from '../../protocol/crypto/schnorr.ts';
import { groupVerifier } from '../../protocol/crypto/verifier.ts';

export interface EcdaaFigures {
  readonly arithmetic: string;
  readonly verify_one_ms: number;
  /** For each of a batch of 64. */
  readonly verify_batch64_ms: number;
  readonly noble_verify_ms: number;
  readonly noble_batch64_ms: number;
  readonly issue_ms: number;
  readonly sign_ms: number;
  readonly noble_issue_ms: number;
  readonly noble_sign_ms: number;
}

const BATCH = 64;
const BASENAME = new TextEncoder().encode('bench');

/** One group, an issuer, a member and 64 different signatures of it. */
async function setting(face: EcdaaFace) {
  const issuer = generateIssuer(primitives);
  const gpk = groupPublicKey(issuer.publicKey);
  const secret = generateMemberSecret(primitives);
  const key = softwareDaaKey(primitives, secret);
  const { credential } = issueCredential(primitives, issuer.secret, key.publicPoint);
  const messages = Array.from({ length: BATCH }, () => primitives.random(64));
  const signatures = messages.map(
    (message) => face.ecdaaSign(secret, credential, message, BASENAME, draws(3))!,
  );
  return { issuer, gpk, secret, key, credential, messages, signatures };
}

const draws = (count: number): Uint8Array =>
  concat(...Array.from({ length: count }, () => primitives.random(65)));

/**
 * The best that noble does for a batch: each Schnorr proof by itself, one product of pairings for all credentials, the sums in
 * it by Pippenger's method.
 */
function nobleBatch(gpk: Uint8Array) {
  const group = readGroup(gpk);
  const generatorLines = linesOf(G2.BASE);
  const hashed = hashToG1(primitives, BASENAME);
  return (signatures: readonly Uint8Array[], messages: readonly Uint8Array[]): boolean => {
    const points = signatures.map((signature, i): G1Point[] => {
      const proof = decodeProof(
        signature.subarray(0, 32),
        signature.subarray(32, 64),
        signature.subarray(324, 356),
      );
      const decoded = decodeG1Points(signature.subarray(64, 324), 4);
      const [, base, , publicPoint] = decoded;
      const pseudonym = { hashed, K: decodeG1(signature.subarray(356)) };
      const statement = { base: base!, publicPoint: publicPoint!, message: messages[i]!, pseudonym };
      if (!proves(primitives, proof, statement)) throw new Error('a signature of the bench is bad');
      return decoded;
    });
    const weights = signatures.map(() => toNumber(primitives.random(16)));
    const z = toNumber(primitives.random(16));
    const sum = (j: number) =>
      pippenger(
        G1,
        points.map((each) => each[j]!),
        weights,
      );
    const [R, S, T, W] = [sum(0), sum(1), sum(2), sum(3)];
    return productIsOne([
      [R, group.Y],
      [T.multiplyUnsafe(z).subtract(S), generatorLines],
      [R.add(W).multiplyUnsafe(z).negate(), group.X],
    ]);
  };
}

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

interface Candidate {
  readonly run: () => unknown;
  /** How often in one measurement; the clock of CPU time is coarse. */
  readonly times: number;
  /** How many operations a run is. */
  readonly each?: number;
}

/** Medians over `rounds` of all candidates in turn, in ms for each operation. */
async function interleaved<K extends string>(
  candidates: Record<K, Candidate>,
  rounds: number,
): Promise<Record<K, number>> {
  const names = Object.keys(candidates) as K[];
  const taken = new Map(names.map((name) => [name, [] as number[]]));
  // The first round warms caches and the compiler up.
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const { run, times, each = 1 } = candidates[name];
      const start = cpuMs();
      for (let i = 0; i < times; i++) await run();
      if (round > 0) taken.get(name)!.push((cpuMs() - start) / times / each);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(taken.get(name)!)])) as Record<K, number>;
}

/**
 * Measures for some `rounds` seconds, with an arithmetic of one's choice or the best of this processor.
 * @throws TypeError if the processor lacks it
 * @throws Error if the addon is missing or a signature does not verify
 */
export async function measureEcdaa(rounds = 11, arithmetic?: Arithmetic): Promise<EcdaaFigures> {
  const face = addon() as EcdaaFace;
  if (arithmetic !== undefined) face.ecdaaArithmetic(arithmetic);
  const { issuer, gpk, secret, key, credential, messages, signatures } = await setting(face);
  const group = face.ecdaaGroup(gpk, BASENAME, new Uint8Array(0), new Uint8Array(0)) as NativeGroup;
  const noble = groupVerifier(primitives, gpk, BASENAME);
  const batch = nobleBatch(gpk);
  const [signature, message] = [signatures[0]!, messages[0]!];

  const expectAll = (accepted: Uint8Array | readonly boolean[]): void => {
    if (!accepted.every(Boolean)) throw new Error('a signature of the bench was refused');
  };
  const figures = await interleaved(
    {
      verify_one_ms: {
        run: async () => expectAll(await face.ecdaaVerify(group, [signature], [message])),
        times: 50,
      },
      noble_verify_ms: { run: async () => expectAll([await noble.verify(signature, message)]), times: 4 },
      verify_batch64_ms: {
        run: async () => expectAll(await face.ecdaaVerify(group, signatures, messages)),
        times: 5,
        each: BATCH,
      },
      noble_batch64_ms: { run: () => expectAll([batch(signatures, messages)]), times: 1, each: BATCH },
      issue_ms: { run: () => face.ecdaaIssue(issuer.secret, key.publicPoint, draws(2)), times: 50 },
      noble_issue_ms: { run: () => issueCredential(primitives, issuer.secret, key.publicPoint), times: 4 },
      sign_ms: { run: () => face.ecdaaSign(secret, credential, message, BASENAME, draws(3)), times: 50 },
      noble_sign_ms: { run: () => sign(primitives, key, credential, message, BASENAME), times: 4 },
    },
    rounds,
  );
  return { arithmetic: face.ecdaaArithmetic(), ...figures };
}
