import { ascii, equal, fromHex } from '../bytes.ts';
import { Failure } from '../failure.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { der, readChildren, TAG } from './der.ts';

/** The certificates that a router's certificate may lead to. */
export interface TlsRoots {
  /** One PEM block for each. */
  readonly pem: string;
  /** DER. */
  readonly certificates: readonly Uint8Array[];
}

const BLOCK = /-----BEGIN (?:X509 )?CERTIFICATE-----([^-]*)-----END (?:X509 )?CERTIFICATE-----/g;
const BEGIN = /-----BEGIN (?:[A-Z0-9]+ )*CERTIFICATE-----/g;

/**
 * Reads a file or NV index of TLS roots: PEM with one or more certificates, text around them, or one certificate in DER. `where` names it.
 * @throws Failure `tls.bad-root`
 */
export function parseRoots(bytes: Uint8Array, where: string): TlsRoots {
  return parseCertificates(bytes, where, bad);
}

/** The same of any certificates; `bad` makes the failure, of what was expected. */
export function parseCertificates(
  bytes: Uint8Array,
  where: string,
  bad: (where: string, expected: string) => Failure,
): TlsRoots {
  const certificates = isCertificate(bytes) ? [new Uint8Array(bytes)] : blocks(bytes, where, bad);
  return { pem: certificates.map(toPem).join(''), certificates };
}

function blocks(
  bytes: Uint8Array,
  where: string,
  bad: (where: string, expected: string) => Failure,
): Uint8Array[] {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  const found = [...text.matchAll(BLOCK)].map(([, body]) => decodeBase64(body!.replaceAll(/\s+/g, '')));
  if (found.length === 0) throw bad(where, 'neither a PEM nor a DER certificate');
  if (found.length !== [...text.matchAll(BEGIN)].length)
    throw bad(where, 'a PEM block without an end, or of another kind');
  for (const [i, each] of found.entries()) {
    if (each === undefined || !isCertificate(each)) throw bad(where, `no certificate in PEM block ${i + 1}`);
  }
  return found as Uint8Array[];
}

/** Certificate ::= SEQUENCE { tbs SEQUENCE, algorithm SEQUENCE, signature BIT STRING } (RFC 5280 §4.1). */
export function isCertificate(bytes: Uint8Array): boolean {
  if (bytes[0] !== TAG.sequence) return false;
  const tags = readChildren(bytes, TAG.sequence)?.map(({ tag }) => tag);
  return tags?.length === 3 && tags.every((tag, i) => tag === [TAG.sequence, TAG.sequence, TAG.bitString][i]);
}

/** One PEM block. */
export function toPem(certificate: Uint8Array): string {
  const base64 = encodeBase64(certificate);
  let lines = '';
  for (let at = 0; at < base64.length; at += 64) lines += `${base64.slice(at, at + 64)}\n`;
  return `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`;
}

const ROOT_NAME = 'ENF TLS root';
const FOR_EVER = der(
  TAG.sequence,
  der(0x17, ascii('700101000000Z')),
  der(TAG.generalizedTime, ascii('99991231235959Z')),
);

/**
 * True for a root as `enf-fabric` makes it (fabric/pki/x509.ts): self-issued under its fixed name, valid from 1970 to 9999. Such a
 * root signs routers and nothing else.
 */
export function isFabricRoot(certificate: Uint8Array): boolean {
  const tbs = readChildren(certificate, TAG.sequence)?.[0];
  const fields = tbs && readChildren(tbs.whole, TAG.sequence);
  // [0] version, serial, algorithm, issuer, validity, subject, …
  const [version, , , issuer, validity, subject] = fields ?? [];
  return (
    version?.tag === TAG.context0 &&
    issuer !== undefined &&
    validity !== undefined &&
    subject !== undefined &&
    equal(issuer.whole, subject.whole) &&
    isRootName(subject.whole) &&
    equal(validity.whole, FOR_EVER)
  );
}

/** The name of the root with this number: 1 is what `init` makes. */
export const rootName = (number: number): string => (number === 1 ? ROOT_NAME : `${ROOT_NAME} ${number}`);

/** Name ::= SEQUENCE OF SET OF SEQUENCE { commonName, UTF8String } with the name of a root of whatever number. */
function isRootName(name: Uint8Array): boolean {
  const [set, ...others] = readChildren(name, TAG.sequence) ?? [];
  const [attribute, ...more] = (set && readChildren(set.whole, TAG.set)) ?? [];
  const [type, value] = (attribute && readChildren(attribute.whole, TAG.sequence)) ?? [];
  if (type === undefined || value?.tag !== TAG.utf8String || others.length + more.length > 0) return false;
  const text = String.fromCharCode(...value.contents.subarray(0, 32));
  return equal(type.whole, COMMON_NAME) && /^ENF TLS root( [1-9]\d{0,5})?$/.test(text);
}

const COMMON_NAME = fromHex('0603550403');

function bad(where: string, got: string): Failure {
  return new Failure(
    'tls.bad-root',
    'operator',
    `${where}: expected TLS roots in PEM or one in DER, got ${got}`,
    {
      action:
        'Give the certificate of the root that signs the routers, as enf-fabric init writes it (tls-root.pem).',
    },
  );
}
