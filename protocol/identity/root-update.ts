import { ascii, concat, equal, readU16, readU32, u16, u32 } from '../bytes.ts';
import { SIGNATURE_LENGTH } from '../crypto/ecdsa.ts';
import type { EcdsaSigner, Primitives } from '../crypto/primitives.ts';
import { Failure } from '../failure.ts';
import { parseRootCertificate, ROOT_CERTIFICATE_LENGTH } from '../xtt/certificate.ts';
import { isCertificate } from './roots.ts';

/*
 * Which roots a fabric has from now on, signed by the newest one of the version before. A device that trusts that one trusts these
 * instead; nobody has to touch its TPM. docs/wire.md, "Roots".
 *
 *    0             4       5                                                   end − 64
 *   +-------------+-------+-----------------------------------------------+-----------------+
 *   | version u32 | count | count × ( XTT root 81 | length u16 | TLS root ) | signature r ‖ s |
 *   +-------------+-------+-----------------------------------------------+-----------------+
 *
 * Signed is the text "enf root update" and everything before the signature. The pairs are in the order of their age, the newest last.
 */

/** One pair of roots. */
export interface RootPair {
  /** 81 bytes. */
  readonly xttRoot: Uint8Array;
  /** DER, at most `MOST_TLS_ROOT` bytes. */
  readonly tlsRoot: Uint8Array;
}

/** The roots that are trusted together, and how often they were changed: 1 is what a fabric begins with. */
export interface RootSet {
  readonly version: number;
  /** One or two, the newest last. */
  readonly roots: readonly RootPair[];
}

/** Two pairs have to fit into one frame of the tunnel. */
export const MOST_TLS_ROOT = 620;
export const MOST_ROOTS = 2;
/** The longest update, bytes. */
export const MOST_UPDATE = 5 + MOST_ROOTS * (ROOT_CERTIFICATE_LENGTH + 2 + MOST_TLS_ROOT) + SIGNATURE_LENGTH;

const LABEL = ascii('enf root update');

/** What is to be signed for this set, without the signature. */
export function encodeRootSet({ version, roots }: RootSet): Uint8Array {
  if (roots.length < 1 || roots.length > MOST_ROOTS)
    throw new Error(`a root update has ${roots.length} roots`);
  const pairs = roots.flatMap(({ xttRoot, tlsRoot }) => {
    parseRootCertificate(xttRoot);
    if (tlsRoot.length > MOST_TLS_ROOT) throw new Error(`a TLS root of ${tlsRoot.length} bytes`);
    return [xttRoot, u16(tlsRoot.length), tlsRoot];
  });
  return concat(u32(version), Uint8Array.of(roots.length), ...pairs);
}

/** Says which set a device has, 4 bytes: two fabrics that were restored from one backup may give one version to two sets. */
export function rootSetDigest(p: Pick<Primitives, 'sha256'>, set: Uint8Array): Uint8Array {
  return p.sha256(concat(LABEL, set)).slice(0, 4);
}

/** The update: `set` as `encodeRootSet` gives it, and its signature, made with the newest XTT root key of the version before. */
export async function signRootSet(set: Uint8Array, sign: EcdsaSigner): Promise<Uint8Array> {
  return concat(set, await sign(concat(LABEL, set)));
}

/**
 * The set in an update that whoever trusts `known` may trust instead.
 * @throws Failure `roots.bad-update` if it is malformed, not newer, or not signed by the newest of the roots known, which
 * are in the order of their age: whoever has stolen an older one may change nothing any more
 */
export function verifyRootUpdate(
  p: Pick<Primitives, 'verifyEcdsa'>,
  update: Uint8Array,
  known: { readonly version: number; readonly xttRoots: readonly Uint8Array[] },
): RootSet {
  const bytes = new Uint8Array(update);
  const set = parseRootSet(setOf(bytes));
  if (set.version <= known.version) throw bad(`a version above ${known.version}`, `version ${set.version}`);
  const signed = concat(LABEL, setOf(bytes));
  const signature = bytes.subarray(-SIGNATURE_LENGTH);
  const newest = known.xttRoots.at(-1);
  if (newest === undefined || !p.verifyEcdsa(parseRootCertificate(newest).publicKey, signed, signature))
    throw bad('a signature of the newest root that is trusted', 'another one');
  return set;
}

/** The roots in a set as `encodeRootSet` gives it; nothing is verified. @throws Failure `roots.bad-update` */
export function parseRootSet(set: Uint8Array): RootSet {
  const bytes = new Uint8Array(set);
  const end = bytes.length;
  const count = bytes[4];
  const most = MOST_UPDATE - SIGNATURE_LENGTH;
  if (end < 5 || end > most || count === undefined || count < 1 || count > MOST_ROOTS)
    throw bad(`at most ${most} bytes before the signature, with 1 or ${MOST_ROOTS} roots`, `${end} bytes`);
  const roots: RootPair[] = [];
  let at = 5;
  for (let i = 0; i < count; i++) {
    const tlsAt = at + ROOT_CERTIFICATE_LENGTH + 2;
    if (tlsAt > end) throw bad('whole roots', 'a part of one');
    const length = readU16(bytes, tlsAt - 2);
    if (length > MOST_TLS_ROOT || tlsAt + length > end) throw bad('whole roots', 'a part of one');
    const xttRoot = bytes.slice(at, at + ROOT_CERTIFICATE_LENGTH);
    const tlsRoot = bytes.slice(tlsAt, tlsAt + length);
    if (!isPair(xttRoot, tlsRoot)) throw bad('an XTT root and a TLS root', 'something else');
    roots.push({ xttRoot, tlsRoot });
    at = tlsAt + length;
  }
  if (at !== end) throw bad(`${at} bytes before the signature`, `${end} bytes`);
  return { version: readU32(bytes, 0), roots };
}

function isPair(xttRoot: Uint8Array, tlsRoot: Uint8Array): boolean {
  try {
    parseRootCertificate(xttRoot);
  } catch {
    return false;
  }
  return isCertificate(tlsRoot);
}

/** What was signed in an update: the set. */
export const setOf = (update: Uint8Array): Uint8Array => update.subarray(0, -SIGNATURE_LENGTH);

/** True if these are the same pair. */
export const samePair = (one: RootPair, other: RootPair): boolean =>
  equal(one.xttRoot, other.xttRoot) && equal(one.tlsRoot, other.tlsRoot);

function bad(expected: string, got: string): Failure {
  return new Failure('roots.bad-update', 'retry', `root update: expected ${expected}, got ${got}`, {
    action:
      'The roots stay as they are. See in the fabric ("enf-fabric certificate list") whether its roots are those of this device.',
  });
}
