import { equal, fromHex } from '../bytes.ts';
import type { EcdsaSigner } from '../crypto/primitives.ts';
import { encodeUtf8 } from '../utf8.ts';
import { der, readChildren, TAG } from './der.ts';
import { p256KeyInfo, signedDer } from './p256-der.ts';

/** A request for a certificate: PKCS #10 (RFC 2986). */

/** Whom a certificate is for, DER. */
export interface CertificateNames {
  /** Name. */
  readonly subject: Uint8Array;
  /** The whole Extension; undefined: no alternative names. */
  readonly alternativeNames: Uint8Array | undefined;
}

const COMMON_NAME = fromHex('0603550403');
const ALTERNATIVE_NAMES = fromHex('0603551d11');
const EXTENSION_REQUEST = fromHex('06092a864886f70d01090e');
const VERSION_1 = fromHex('020100');
/** GeneralName of the kind iPAddress. */
const IP_ADDRESS = 0x87;
const CONTEXT_3 = 0xa3;

/** The names of a machine that has no certificate yet: `name` of 1 to 64 characters, and its address (16 bytes) if that is known. */
export function namesOf(name: string, address: Uint8Array | undefined): CertificateNames {
  const attribute = der(TAG.sequence, COMMON_NAME, der(TAG.utf8String, encodeUtf8(name)));
  return {
    subject: der(TAG.sequence, der(TAG.set, attribute)),
    alternativeNames:
      address &&
      der(TAG.sequence, ALTERNATIVE_NAMES, der(TAG.octetString, der(TAG.sequence, der(IP_ADDRESS, address)))),
  };
}

/** The names in a certificate, as a request for the next one repeats them (RFC 7030 §4.2.2). Undefined if the DER is none of a certificate. */
export function namesIn(certificate: Uint8Array): CertificateNames | undefined {
  const tbs = readChildren(certificate, TAG.sequence)?.[0];
  // [0] version, serial, algorithm, issuer, validity, subject, key, … [3] extensions
  const fields = tbs && readChildren(tbs.whole, TAG.sequence);
  const subject = fields?.[0]?.tag === TAG.context0 ? fields[5] : undefined;
  if (fields === undefined || subject === undefined) return undefined;
  const extensions = fields.find(({ tag }) => tag === CONTEXT_3);
  const list = extensions === undefined ? [] : readChildren(extensions.contents, TAG.sequence);
  const alternativeNames = list?.find(({ whole }) => {
    const id = readChildren(whole, TAG.sequence)?.[0];
    return id !== undefined && equal(id.whole, ALTERNATIVE_NAMES);
  });
  return list && { subject: subject.whole, alternativeNames: alternativeNames?.whole };
}

/**
 * A request for a certificate for the P-256 key `publicKey` (65 bytes), signed with it, DER.
 *
 *   SEQUENCE                            CertificationRequest
 *     SEQUENCE                          CertificationRequestInfo
 *       INTEGER 0                       version 1
 *       SEQUENCE SET SEQUENCE           subject
 *       SEQUENCE                        SubjectPublicKeyInfo
 *       [0] SEQUENCE OID SET            extensionRequest (RFC 2985 §5.4.2): the alternative names
 *     SEQUENCE                          ecdsa-with-SHA256
 *     BIT STRING SEQUENCE r s           over SHA-256(CertificationRequestInfo)
 */
export async function certificateRequest(
  { subject, alternativeNames }: CertificateNames,
  publicKey: Uint8Array,
  sign: EcdsaSigner,
): Promise<Uint8Array> {
  const wanted = alternativeNames && [
    der(TAG.sequence, EXTENSION_REQUEST, der(TAG.set, der(TAG.sequence, alternativeNames))),
  ];
  const info = der(
    TAG.sequence,
    VERSION_1,
    subject,
    p256KeyInfo(publicKey),
    der(TAG.context0, ...(wanted ?? [])),
  );
  return signedDer(info, await sign(info));
}
