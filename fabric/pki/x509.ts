import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { ascii, fromHex, toHex } from '../../protocol/bytes.ts';
import { encodeBase64 } from '../../protocol/identity/base64.ts';
import { der, derUnsigned, TAG } from '../../protocol/identity/der.ts';

/** Who a certificate is for, or signs it. */
export interface Subject {
  /** Common name, ASCII. */
  readonly name: string;
  /** P-256: private if it signs. */
  readonly key: KeyObject;
}

/** SHA-256 of a certificate of either kind, 64 hex digits. */
export const fingerprint = (certificate: Uint8Array): string =>
  toHex(new Uint8Array(createHash('sha256').update(certificate).digest()));

/** The common name of routers. */
export const ROUTER_NAME = 'ENF router';

/**
 * The TLS root: self-signed, X.509 v3, CA. PEM. It is valid from 1970 to 9999, so that a device whose clock starts at 1970 can
 * connect; it is replaced when its owner wants to, not by time. It must stay below 768 bytes: it is stored in the NV memory of TPMs and
 * fetched with one read.
 */
export function rootCertificate(subject: Subject): string {
  return certificate(subject, subject, caExtensions(subject.key));
}

/** A root signed by the one before it: whoever trusts that one finds the way to the new one. PEM. */
export function crossCertificate(root: Subject, former: Subject): string {
  return certificate(root, former, [...caExtensions(root.key), signedBy(former.key)]);
}

function caExtensions(key: KeyObject): Uint8Array[] {
  return [
    extension(OID.basicConstraints, true, sequence(TRUE)),
    // keyCertSign, cRLSign
    extension(OID.keyUsage, true, Uint8Array.of(0x03, 2, 1, 0x06)),
    extension(OID.subjectKeyIdentifier, false, der(TAG.octetString, keyIdentifier(key))),
  ];
}

/** A TLS server certificate for the router under the root, until 9999 or for so long. PEM. */
export function routerCertificate(router: Subject, root: Subject, untilMs?: number): string {
  const extensions = [
    extension(OID.basicConstraints, true, sequence()),
    // digitalSignature
    extension(OID.keyUsage, true, Uint8Array.of(0x03, 2, 7, 0x80)),
    extension(OID.extendedKeyUsage, false, sequence(identifier(OID.serverAuth))),
    extension(OID.subjectKeyIdentifier, false, der(TAG.octetString, keyIdentifier(router.key))),
    signedBy(root.key),
  ];
  return certificate(router, root, extensions, untilMs);
}

const signedBy = (key: KeyObject): Uint8Array =>
  extension(OID.authorityKeyIdentifier, false, sequence(der(0x80, keyIdentifier(key))));

/** Object identifiers, DER content in hex. */
const OID = {
  commonName: '550403',
  ecdsaWithSha256: '2a8648ce3d040302',
  basicConstraints: '551d13',
  keyUsage: '551d0f',
  extendedKeyUsage: '551d25',
  serverAuth: '2b06010505070301',
  subjectKeyIdentifier: '551d0e',
  authorityKeyIdentifier: '551d23',
} as const;

const TRUE = der(TAG.boolean, Uint8Array.of(0xff));

/** RFC 5280 §4.1: Certificate ::= SEQUENCE { tbs, algorithm, signature }. */
function certificate(
  subject: Subject,
  issuer: Subject,
  extensions: readonly Uint8Array[],
  untilMs = Date.UTC(9999, 11, 31, 23, 59, 59),
): string {
  const algorithm = sequence(identifier(OID.ecdsaWithSha256));
  const tbs = sequence(
    der(TAG.context0, Uint8Array.of(0x02, 1, 2)),
    derUnsigned(randomBytes(16)),
    algorithm,
    commonName(issuer.name),
    sequence(der(0x17, ascii('700101000000Z')), time(untilMs)),
    commonName(subject.name),
    subjectPublicKey(subject.key),
    der(0xa3, sequence(...extensions)),
  );
  const signature = sign('sha256', tbs, { key: issuer.key, dsaEncoding: 'der' });
  const whole = sequence(tbs, algorithm, der(TAG.bitString, Uint8Array.of(0), signature));
  const lines = encodeBase64(whole).match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** RFC 5280 §4.1.2.5: UTCTime before 2050, GeneralizedTime from then on. */
function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+Z$/g, '');
  return digits < '2050'
    ? der(0x17, ascii(`${digits.slice(2)}Z`))
    : der(TAG.generalizedTime, ascii(`${digits}Z`));
}

function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? TRUE : new Uint8Array();
  return sequence(identifier(oid), flag, der(TAG.octetString, value));
}

function commonName(name: string): Uint8Array {
  return sequence(der(TAG.set, sequence(identifier(OID.commonName), der(TAG.utf8String, ascii(name)))));
}

const publicPart = (key: KeyObject): KeyObject => (key.type === 'public' ? key : createPublicKey(key));

function subjectPublicKey(key: KeyObject): Uint8Array {
  return new Uint8Array(publicPart(key).export({ type: 'spki', format: 'der' }));
}

/** RFC 7093 §2, method 1: the leftmost 20 bytes of SHA-256 of the public point, which ends the SPKI. */
function keyIdentifier(key: KeyObject): Uint8Array {
  const point = subjectPublicKey(key).subarray(-65);
  return new Uint8Array(createHash('sha256').update(point).digest()).slice(0, 20);
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return der(TAG.sequence, ...parts);
}

function identifier(oid: string): Uint8Array {
  return der(TAG.oid, fromHex(oid));
}
