import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { equal, fromHex, toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { type DerElement, readChildren, readDer, TAG } from '../../protocol/identity/der.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';

/** A request for a certificate (PKCS#10), whose sender has the key. */
export interface CertificateRequest {
  readonly key: KeyObject;
  /** SHA-256 of its SubjectPublicKeyInfo, 32 bytes. */
  readonly spki: Uint8Array;
  /** The common name, if the subject has that and nothing else. */
  readonly commonName: string | undefined;
  /** The contents of the alternative names that are asked for (GeneralNames); undefined: none are. */
  readonly alternativeNames: readonly Pick<DerElement, 'tag' | 'contents'>[] | undefined;
}

/** Bytes. One with a key of P-384 and some extensions has 600. */
export const LARGEST_REQUEST = 12_288;

const OID_COMMON_NAME = fromHex('550403');
const OID_EXTENSION_REQUEST = fromHex('2a864886f70d01090e');
const OID_ALTERNATIVE_NAMES = fromHex('551d11');

/** The keys that are taken, by the algorithm of their SPKI in DER: how long a key is, with the byte of unused bits in front. */
const KEYS: Readonly<Record<string, number>> = {
  // id-ecPublicKey, prime256v1
  '301306072a8648ce3d020106082a8648ce3d030107': 66,
  // id-ecPublicKey, secp384r1
  '301006072a8648ce3d020106052b81040022': 98,
  // Ed25519
  '300506032b6570': 33,
};

/** Signatures, by their algorithm in DER: the digest; null: Ed25519, which has its own. */
const SIGNATURES: Readonly<Record<string, string | null>> = {
  '300a06082a8648ce3d040302': 'sha256',
  '300a06082a8648ce3d040303': 'sha384',
  '300a06082a8648ce3d040304': 'sha512',
  '300506032b6570': null,
};

/**
 * Reads a request (DER; RFC 2986) and verifies that who has sent it has the key, on a thread of libuv's pool. The reader goes some levels deep and
 * looks at each byte a few times, whatever they are.
 * @throws Failure `pki.bad-request`
 */
export async function readRequest(bytes: Uint8Array): Promise<CertificateRequest> {
  if (bytes.length > LARGEST_REQUEST) throw bad(`more than ${LARGEST_REQUEST} bytes`);
  const [info, algorithm, bits, ...more] = readChildren(bytes, TAG.sequence) ?? [];
  if (info?.tag !== TAG.sequence || algorithm === undefined || bits?.tag !== TAG.bitString || more.length > 0)
    throw bad('no PKCS#10 in DER, or something behind it');
  const [version, subject, spki, attributes, ...rest] = readDer(info.contents) ?? [];
  if (!isZero(version) || subject?.tag !== TAG.sequence || spki === undefined || rest.length > 0)
    throw bad('a request of another shape');
  const key = keyOf(spki.whole);
  const digest = SIGNATURES[toHex(algorithm.whole)];
  if (digest === undefined || (digest === null) !== (key.asymmetricKeyType === 'ed25519'))
    throw bad('a signature that is not by ECDSA with SHA-256, -384 or -512, or Ed25519');
  if (bits.contents[0] !== 0 || !(await isSigned(digest, info.whole, key, bits.contents.subarray(1))))
    throw bad('a signature that is not by the key in it');
  return {
    key,
    spki: new Uint8Array(createHash('sha256').update(spki.whole).digest()),
    commonName: commonNameIn(subject),
    alternativeNames: attributes === undefined ? undefined : namesIn(attributes),
  };
}

const isZero = (version: DerElement | undefined): boolean =>
  version?.tag === TAG.integer && equal(version.contents, Uint8Array.of(0));

/** OpenSSL looks whether a point is on its curve. */
function keyOf(spki: Uint8Array): KeyObject {
  const [algorithm, bits, ...more] = readChildren(spki, TAG.sequence) ?? [];
  const length = algorithm === undefined ? undefined : KEYS[toHex(algorithm.whole.subarray(0, 64))];
  if (
    length === undefined ||
    bits?.tag !== TAG.bitString ||
    bits.contents.length !== length ||
    more.length > 0
  )
    throw bad('a key that is not of P-256, P-384 or Ed25519');
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    throw bad('a key that is none');
  }
}

function isSigned(
  digest: string | null,
  signed: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
): Promise<boolean> {
  return new Promise((resolve) =>
    verify(digest, signed, { key, dsaEncoding: 'der' }, signature, (error, ok) =>
      resolve(error === null && ok),
    ),
  );
}

/** Name ::= SEQUENCE OF SET OF SEQUENCE { type, value } */
function commonNameIn({ contents }: DerElement): string | undefined {
  const [only, ...others] = readDer(contents) ?? [];
  if (only?.tag !== TAG.set || others.length > 0) return undefined;
  const [type, value, ...more] = readChildren(only.contents, TAG.sequence) ?? [];
  const isName = type?.tag === TAG.oid && equal(type.contents, OID_COMMON_NAME);
  return isName && value !== undefined && more.length === 0 ? decodeUtf8(value.contents) : undefined;
}

/** attributes [0] IMPLICIT SET OF SEQUENCE { type, SET OF value }, one of which is a SEQUENCE OF extensions (RFC 2985 §5.4.2) */
function namesIn({ tag, contents }: DerElement): CertificateRequest['alternativeNames'] {
  const all = tag === TAG.context0 ? readDer(contents) : undefined;
  if (all === undefined) throw bad('attributes of another shape');
  for (const attribute of all) {
    const [type, values] = readChildren(attribute.whole, TAG.sequence) ?? [];
    if (type === undefined || !equal(type.contents, OID_EXTENSION_REQUEST)) continue;
    const [extensions] = (values && readChildren(values.whole, TAG.set)) ?? [];
    for (const each of (extensions && readChildren(extensions.whole, TAG.sequence)) ?? []) {
      const parts = readChildren(each.whole, TAG.sequence) ?? [];
      if (parts[0] === undefined || !equal(parts[0].contents, OID_ALTERNATIVE_NAMES)) continue;
      const names = readChildren(parts.at(-1)!.contents, TAG.sequence);
      if (names === undefined) throw bad('alternative names of another shape');
      return names;
    }
  }
  return undefined;
}

const bad = (what: string): Failure =>
  new Failure('pki.bad-request', 'operator', `the request for a certificate is ${what}`, {
    action: 'Send PKCS#10 in DER, as base64, with a key of P-256, P-384 or Ed25519 and signed by it.',
  });
