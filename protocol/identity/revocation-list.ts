import { decodeBase64 } from './base64.ts';
import { TAG } from './der.ts';

const CRL = /-----BEGIN X509 CRL-----([^-]*)-----END X509 CRL-----/;

/** A list of revoked certificates as DER, also of PEM; undefined if the file is neither. What is in it is not looked at. */
export function revocationListIn(file: Uint8Array): Uint8Array | undefined {
  if (file[0] === TAG.sequence) return file;
  let text = '';
  for (const byte of file) text += String.fromCharCode(byte);
  const [, body] = CRL.exec(text) ?? [];
  const der = body === undefined ? undefined : decodeBase64(body.replaceAll(/\s+/g, ''));
  return der?.[0] === TAG.sequence ? der : undefined;
}
