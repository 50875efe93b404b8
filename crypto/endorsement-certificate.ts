import { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  type Extension,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  KeyUsage,
  KeyUsageFlags,
  SubjectAlternativeName,
} from '@peculiar/asn1-x509';
import { concat, toHex } from '../protocol/bytes.ts';
import type { EndorsementPublic } from '../protocol/crypto/endorsement.ts';
import { Failure } from '../protocol/failure.ts';
import { endorsementKeyObject } from './make-credential.ts';

/** A certificate of a maker's authority. */
export type Authority = X509Certificate;

/** Whether a maker's certificate shows that a chip is genuine, and if not, why. */
export type Judgement =
  | {
      readonly trusted: true;
      /** As the certificate names the chip, e.g. `id:49465800`; undefined for what it leaves out. */
      readonly manufacturer: string | undefined;
      readonly model: string | undefined;
      /** The subject of the root that the certificate leads to. */
      readonly root: string;
    }
  | { readonly trusted: false; readonly why: string };

/** Attributes of the TPM in the certificate's alternative name (profile §3.2.9). */
const TPM_MANUFACTURER = '2.23.133.2.1';
const TPM_MODEL = '2.23.133.2.2';
const TPM_VERSION = '2.23.133.2.3';
/** tcg-kp-EKCertificate. */
const EK_CERTIFICATE = '2.23.133.8.1';
/** Critical extensions whose meaning is looked at. */
const UNDERSTOOD = new Set([id_ce_basicConstraints, id_ce_extKeyUsage, id_ce_keyUsage, id_ce_subjectAltName]);
/** Authorities between the certificate and the root. */
const MAX_INTERMEDIATES = 4;

/** A certificate that cannot be what it should be; the message says why. */
class Unfit extends Error {}

/**
 * The certificates of a file: one in DER, or any number in PEM.
 * @throws Failure `factory.bad-certificate` naming `what`
 */
export function readCertificates(file: Uint8Array, what: string): Authority[] {
  const text = Buffer.from(file).toString('latin1');
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  try {
    return (blocks ?? [file]).map((each) => new X509Certificate(each));
  } catch (cause) {
    throw new Failure('factory.bad-certificate', 'operator', `${what} holds no X.509 certificate`, {
      action: 'Give certificates in PEM or in DER.',
      cause,
    });
  }
}

/**
 * Judges an endorsement certificate ("TCG EK Credential Profile for TPM Family 2.0", §3.2): it must be one, be for this key, and lead to a self-signed
 * root among the authorities, of which others may be between. `der` may have bytes behind the certificate: some makers fill the index up.
 */
export function judgeEndorsementCertificate(
  der: Uint8Array,
  key: EndorsementPublic,
  authorities: readonly Authority[],
  now: Date,
): Judgement {
  try {
    const content = withoutPadding(der);
    const certificate = new X509Certificate(content);
    if (!certificate.publicKey.equals(endorsementKeyObject(key)))
      throw new Unfit('it is for another endorsement key than the one in this TPM');
    const { extensions = [] } = AsnConvert.parse(content, Certificate).tbsCertificate;
    requireEndorsement(extensions, key.kind);
    requireValid(certificate, now);
    const names = tpmAttributes(extensions);
    const root = rootOf(certificate, authorities, now, 0);
    return {
      trusted: true,
      manufacturer: names.get(TPM_MANUFACTURER),
      model: names.get(TPM_MODEL),
      root: oneLine(root.subject),
    };
  } catch (error) {
    // Whatever the libraries cannot read is no certificate that shows anything.
    return { trusted: false, why: error instanceof Unfit ? error.message : 'it is no X.509 certificate' };
  }
}

/** The key that an endorsement certificate is for; undefined if it is none, or for no kind that TPMs of the profile's low range have. */
export function certifiedKey(der: Uint8Array): EndorsementPublic | undefined {
  try {
    const { n, e, x, y, crv } = new X509Certificate(withoutPadding(der)).publicKey.export({ format: 'jwk' });
    const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));
    if (n !== undefined && e !== undefined && bytes(n).length === 256 && bytes(e).length <= 4)
      return { kind: 'rsa', modulus: bytes(n), exponent: Number.parseInt(toHex(bytes(e)), 16) };
    if (crv !== 'P-256' || x === undefined || y === undefined) return undefined;
    return { kind: 'ecc', point: concat(Uint8Array.of(4), bytes(x), bytes(y)) };
  } catch {
    return undefined;
  }
}

/** The SEQUENCE alone. */
function withoutPadding(der: Uint8Array): Uint8Array {
  if (der[0] !== 0x30 || der[1] !== 0x82) throw new Unfit('it is no X.509 certificate');
  return der.subarray(0, 4 + (der[2]! << 8) + der[3]!);
}

function requireEndorsement(extensions: readonly Extension[], kind: EndorsementPublic['kind']): void {
  requireUnderstood('it', extensions);
  if (extensionOf(extensions, id_ce_basicConstraints, BasicConstraints)?.cA === true)
    throw new Unfit('it is that of a certification authority');
  const usage = extensionOf(extensions, id_ce_keyUsage, KeyUsage)?.toNumber();
  const needed = kind === 'rsa' ? KeyUsageFlags.keyEncipherment : KeyUsageFlags.keyAgreement;
  if (usage !== undefined && (usage & needed) === 0)
    throw new Unfit('its key usage is not that of an endorsement key');
  const purposes = extensionOf(extensions, id_ce_extKeyUsage, ExtendedKeyUsage);
  if (purposes !== undefined && !purposes.includes(EK_CERTIFICATE))
    throw new Unfit('it is not an endorsement certificate (extended key usage)');
}

function requireUnderstood(who: string, extensions: readonly Extension[]): void {
  const unknown = extensions.find(({ critical, extnID }) => critical && !UNDERSTOOD.has(extnID));
  if (unknown !== undefined)
    throw new Unfit(`${who} has the critical extension ${unknown.extnID}, which is not understood`);
}

/** The directory names in the alternative name, by object identifier. */
function tpmAttributes(extensions: readonly Extension[]): ReadonlyMap<string, string> {
  const names = extensionOf(extensions, id_ce_subjectAltName, SubjectAlternativeName) ?? [];
  const attributes = new Map(
    names
      .flatMap(({ directoryName }) => directoryName ?? [])
      .flatMap((part) => [...part])
      .map(({ type, value }) => [type, value.toString()] as const),
  );
  const missing = [TPM_MANUFACTURER, TPM_MODEL, TPM_VERSION].find((each) => !attributes.has(each));
  if (missing !== undefined) throw new Unfit(`its alternative name lacks the TPM's attribute ${missing}`);
  return attributes;
}

function requireValid(certificate: X509Certificate, now: Date): void {
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const who = oneLine(certificate.subject) || 'it';
  // A certificate without an end has the year 9999, which Date knows.
  // Written so that a time that cannot be read is none.
  if (!(from <= now.getTime())) throw new Unfit(`${who} is not valid before ${certificate.validFrom}`);
  if (!(now.getTime() <= to)) throw new Unfit(`${who} was valid until ${certificate.validTo}`);
}

/** The self-signed root that a certificate leads to. Of several ways the first that holds counts; else the last one's fault is told. */
function rootOf(
  certificate: X509Certificate,
  authorities: readonly Authority[],
  now: Date,
  below: number,
): Authority {
  let fault = new Unfit(
    `no authority among those given has signed ${below === 0 ? 'it' : oneLine(certificate.subject)}`,
  );
  for (const authority of authorities) {
    if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) continue;
    try {
      requireAuthority(authority, below);
      requireValid(authority, now);
      return isRoot(authority) ? authority : rootOf(authority, authorities, now, below + 1);
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      fault = error;
    }
  }
  throw fault;
}

const isRoot = (authority: Authority): boolean =>
  authority.checkIssued(authority) && authority.verify(authority.publicKey);

/** `below`: the authorities between this one and the certificate. `checkIssued` has looked at the key usage. */
function requireAuthority(authority: Authority, below: number): void {
  const name = oneLine(authority.subject);
  if (below > MAX_INTERMEDIATES)
    throw new Unfit(`there are more than ${MAX_INTERMEDIATES} authorities between`);
  const { extensions = [] } = AsnConvert.parse(authority.raw, Certificate).tbsCertificate;
  requireUnderstood(name, extensions);
  const constraints = extensionOf(extensions, id_ce_basicConstraints, BasicConstraints);
  if (constraints?.cA !== true) throw new Unfit(`${name} is no certification authority`);
  const { pathLenConstraint: most } = constraints;
  if (most !== undefined && below > most)
    throw new Unfit(`${name} allows ${most} authorities below it, not ${below}`);
}

function extensionOf<T>(extensions: readonly Extension[], id: string, type: new () => T): T | undefined {
  const extension = extensions.find(({ extnID }) => extnID === id);
  return extension && AsnConvert.parse(extension.extnValue, type);
}

/** `CN=…, O=…`: OpenSSL puts each part on a line of its own. */
const oneLine = (name: string | undefined): string => (name ?? '').split('\n').join(', ');
