import { equal, fromHex } from '../bytes.ts';
import { decodeBase64 } from './base64.ts';
import { readChildren, readDer, TAG } from './der.ts';
import { isCertificate } from './roots.ts';

/** Certificates in a PKCS #7 message that has nothing else in it (RFC 7030 §4.1.3, RFC 5652 §5.1). */

/** A chain has a few; a server that sends more means something else. */
export const MOST_CERTIFICATES = 16;

const SIGNED_DATA = fromHex('06092a864886f70d010702');
const DATA = fromHex('06092a864886f70d010701');
/** Implicit in SignedData: revocation lists. */
const CONTEXT_1 = 0xa1;

/**
 * The certificates (DER, views of `message`), 1 to 16 of them in the order in which they are there; undefined for anything else. Nothing is
 * verified: what a message without a signer says, nobody has said.
 *
 *   SEQUENCE                    ContentInfo
 *     OID signedData
 *     [0] SEQUENCE              SignedData
 *       INTEGER                 version
 *       SET                     digest algorithms: none
 *       SEQUENCE OID data       no content
 *       [0] Certificate …
 *       [1]                     revocation lists, if any: ignored
 *       SET                     signers: none
 */
export function parseCertsOnly(message: Uint8Array): readonly Uint8Array[] | undefined {
  const [type, explicit, ...more] = readChildren(message, TAG.sequence) ?? [];
  if (type === undefined || explicit?.tag !== TAG.context0 || more.length > 0) return undefined;
  if (!equal(type.whole, SIGNED_DATA)) return undefined;
  const [version, algorithms, content, certificates, ...rest] =
    readChildren(explicit.contents, TAG.sequence) ?? [];
  const signers = rest[0]?.tag === CONTEXT_1 ? rest.slice(1) : rest;
  if (version?.tag !== TAG.integer || algorithms?.tag !== TAG.set || certificates?.tag !== TAG.context0)
    return undefined;
  if (signers.length !== 1 || signers[0]!.tag !== TAG.set || signers[0]!.contents.length > 0)
    return undefined;
  if (content?.tag !== TAG.sequence || !equal(content.contents, DATA)) return undefined;
  const found = readDer(certificates.contents);
  if (found === undefined || found.length === 0 || found.length > MOST_CERTIFICATES) return undefined;
  return found.every(({ whole }) => isCertificate(whole)) ? found.map(({ whole }) => whole) : undefined;
}

/** The bytes in the body of an answer: base64 with line breaks (RFC 8951 §3.1); undefined if it is something else. */
export function decodeBody(body: Uint8Array): Uint8Array | undefined {
  let text = '';
  for (const byte of body) if (byte > 0x20) text += String.fromCharCode(byte);
  return decodeBase64(text);
}
