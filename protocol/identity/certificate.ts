import { ascii, concat, equal, fromHex, toHex } from '../bytes.ts';
import { isPublicKey } from '../crypto/ecdsa.ts';
import type { EcdsaSigner, Primitives } from '../crypto/primitives.ts';
import { Failure } from '../failure.ts';
import { parseIpv6 } from '../ipv6.ts';
import { type DerElement, der, readChildren, readDer, TAG } from './der.ts';
import { ECDSA_WITH_SHA256, P256_KEY, p256KeyInfo, signedDer } from './p256-der.ts';

/** The self-signed X.509 v1 certificate of an identity (identity-certificate.md). */

const COMMON_NAME = fromHex('0603550403');

/**
 * From the year 0 to the end of time, as the reference writes it: a device without a clock can make and use the
 * certificate, and it never expires. RFC 5280 forbids it; OpenSSL takes it.
 */
const VALIDITY = der(
  TAG.sequence,
  der(TAG.generalizedTime, ascii('00000101000000Z')),
  der(TAG.generalizedTime, ascii('99991231235959Z')),
);

/** Longer certificates than this are refused unread: ours have 360 bytes, those of enftun-keygen about 400. */
const MAX_CERTIFICATE = 4096;

/** Upper-case, uncompressed text of a 16-byte identity, 39 characters: the CN. */
export function identityText(identity: Uint8Array): string {
  if (identity.length !== 16) throw new Error(`an identity has 16 bytes, not ${identity.length}`);
  return toHex(identity).toUpperCase().match(/.{4}/g)!.join(':');
}

/** The reference tools' identity file: the 39 characters and one NUL byte. */
export function identityTextFile(identity: Uint8Array): Uint8Array {
  return concat(ascii(identityText(identity)), Uint8Array.of(0));
}

/**
 * The DER certificate that wraps the longterm key after provisioning, at most 360 bytes. `publicKey` is 65 bytes,
 * `entropy` 19 random bytes for the serial number; `sign` is the longterm key itself.
 *
 *   SEQUENCE                            Certificate
 *     SEQUENCE                          TBSCertificate, no version: v1
 *       INTEGER                         serial: 19 bytes of entropy, top bit cleared, and a constant 00
 *       SEQUENCE                        ecdsa-with-SHA256
 *       SEQUENCE SET SEQUENCE           issuer: CN = identity text
 *       SEQUENCE                        00000101000000Z .. 99991231235959Z
 *       SEQUENCE SET SEQUENCE           subject = issuer
 *       SEQUENCE                        SubjectPublicKeyInfo, P-256, uncompressed
 *     SEQUENCE                          ecdsa-with-SHA256
 *     BIT STRING SEQUENCE r s           over SHA-256(TBSCertificate)
 *
 * Byte for byte what the reference writes, but always valid DER (§2): a serial that would start with a zero byte gets
 * another first byte, and r and s are encoded minimally.
 * @throws Failure `identity.wrong-key` if `sign` does not hold the key to `publicKey`
 */
export async function identityCertificate(
  p: Pick<Primitives, 'verifyEcdsa'>,
  identity: Uint8Array,
  publicKey: Uint8Array,
  sign: EcdsaSigner,
  entropy: Uint8Array,
): Promise<Uint8Array> {
  if (!isPublicKey(publicKey)) throw new Error('not an uncompressed P-256 public key');
  if (entropy.length !== 19) throw new Error(`a serial takes 19 bytes of entropy, not ${entropy.length}`);
  const serial = concat(entropy, Uint8Array.of(0));
  serial[0]! &= 0x7f;
  if (serial[0] === 0) serial[0] = 0x40;

  const cn = der(TAG.utf8String, ascii(identityText(identity)));
  const name = der(TAG.sequence, der(TAG.set, der(TAG.sequence, COMMON_NAME, cn)));
  const keyInfo = p256KeyInfo(publicKey);
  const tbs = der(TAG.sequence, der(TAG.integer, serial), ECDSA_WITH_SHA256, name, VALIDITY, name, keyInfo);

  const signature = await sign(tbs);
  if (!p.verifyEcdsa(publicKey, tbs, signature)) {
    throw new Failure(
      'identity.wrong-key',
      'operator',
      'the signature of the longterm key is not valid for the public key that was given',
      { action: 'Restore the key file that belongs to this device, or provision the device anew.' },
    );
  }
  return signedDer(tbs, signature);
}

/**
 * The address and the P-256 key in a peer's certificate, both copied. Lenient where the reference is (§4): v1 or v3,
 * any issuer, validity and extensions, the subject's first CN in any string type; 32 hex digits without colons count
 * as an address too. The signature is not checked: TLS proves who holds the key, the registry says whose it is.
 * `isKey` says whether 65 bytes are a key; whoever knows the one that it must be need not ask whether that is on the curve.
 * @throws Failure `identity.bad-certificate`
 */
export function parseIdentityCertificate(
  certificate: Uint8Array,
  isKey: (publicKey: Uint8Array) => boolean = isPublicKey,
): {
  readonly address: Uint8Array;
  readonly publicKey: Uint8Array;
} {
  if (certificate.length > MAX_CERTIFICATE) throw bad(`more than ${MAX_CERTIFICATE} bytes`);
  const bytes = new Uint8Array(certificate);
  const outer = readChildren(bytes, TAG.sequence);
  const fields = outer?.length === 3 ? readChildren(outer[0]!.whole, TAG.sequence) : undefined;
  if (fields === undefined) throw bad('no X.509 structure');
  // [0] version, serial, algorithm, issuer, validity, subject, SubjectPublicKeyInfo, …
  const first = fields[0]?.tag === TAG.context0 ? 1 : 0;
  const [subject, keyInfo] = [fields[first + 4], fields[first + 5]];
  if (subject === undefined || keyInfo === undefined) throw bad('no subject or no public key');
  return { address: parseAddress(firstCommonName(subject)), publicKey: readPublicKey(keyInfo, isKey) };
}

function firstCommonName(subject: DerElement): string {
  for (const rdn of readChildren(subject.whole, TAG.sequence) ?? []) {
    for (const attribute of readChildren(rdn.whole, TAG.set) ?? []) {
      const pair = readChildren(attribute.whole, TAG.sequence);
      if (pair?.length !== 2 || !equal(pair[0]!.whole, COMMON_NAME)) continue;
      return Array.from(pair[1]!.contents, (byte) => String.fromCharCode(byte)).join('');
    }
  }
  throw bad('a subject without CN');
}

function parseAddress(commonName: string): Uint8Array {
  const colon = commonName.slice(0, 5).includes(':');
  if (!colon && !/^[0-9a-fA-F]{32}$/.test(commonName)) throw bad('a CN that is no IPv6 address');
  try {
    return parseIpv6(colon ? commonName : commonName.match(/.{4}/g)!.join(':'));
  } catch (cause) {
    throw bad('a CN that is no IPv6 address', cause);
  }
}

function readPublicKey(keyInfo: DerElement, isKey: (publicKey: Uint8Array) => boolean): Uint8Array {
  const parts = readDer(keyInfo.contents);
  const bits = parts?.[1];
  if (parts?.length !== 2 || bits?.tag !== TAG.bitString || !equal(parts[0]!.whole, P256_KEY)) {
    throw bad('another kind of public key than P-256');
  }
  const publicKey = bits.contents.slice(1);
  if (bits.contents[0] !== 0 || !isKey(publicKey)) throw bad('a public key that is not on P-256');
  return publicKey;
}

function bad(got: string, cause?: unknown): Failure {
  return new Failure(
    'identity.bad-certificate',
    'operator',
    `identity certificate: expected DER X.509 with an IPv6 address as CN and a P-256 key, got ${got}`,
    { action: 'Provision the device anew, or restore its certificate file.', cause },
  );
}
