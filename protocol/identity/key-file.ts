import { concat, equal, fromHex, readU16, readU32, u32 } from '../bytes.ts';
import { Failure } from '../failure.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { der, derUnsigned, readChildren, TAG } from './der.ts';

// Nothing here computes on the curve (key-pair.ts does): a device whose key is in its TPM never loads the curve's code.

/** ECPrivateKey up to the scalar, 7 bytes. */
export const EC_HEAD = fromHex('30770201010420');
/** What is between the scalar and the public key: the curve, and the frame of the point, 17 bytes. */
export const EC_MIDDLE = fromHex('a00a06082a8648ce3d030107a144034200');

/**
 *   0                7        39                            56           121
 *   +----------------+--------+-----------------------------+------------+
 *   | 30 77 … 04 20  | scalar | prime256v1, A1 44 03 42 00  | public key |    RFC 5915 ECPrivateKey, 121 bytes
 *   +----------------+--------+-----------------------------+------------+
 */
export function encodeEcPrivateKey(secret: Uint8Array, publicKey: Uint8Array): Uint8Array {
  if (secret.length !== 32 || publicKey.length !== 65) {
    throw new Error('a P-256 key pair has 32 and 65 bytes');
  }
  return concat(EC_HEAD, secret, EC_MIDDLE, publicKey);
}

/** A TPM-held key as its file holds it (tpm.md §4). */
export interface Tss2Key {
  /** Handle of the parent key. */
  readonly parent: number;
  /** TPM2B_PUBLIC with its two-byte size, at most 65 535 + 2 bytes. */
  readonly publicBlob: Uint8Array;
  /** TPM2B_PRIVATE with its two-byte size. */
  readonly privateBlob: Uint8Array;
}

const PEM_HEADER = '-----BEGIN TSS2 PRIVATE KEY-----';
const PEM_FOOTER = '-----END TSS2 PRIVATE KEY-----';
const LOADABLE_KEY = fromHex('06066781050a0103');

/** Longer files than this are refused unread: a P-256 key has about 400 characters, RSA 4096 about 1700. */
const MAX_PEM = 16_384;

/**
 * The PEM text of a TPM-held key with empty authorisation, byte for byte like the reference.
 *
 *   SEQUENCE
 *     OBJECT IDENTIFIER 2.23.133.10.1.3     loadable key
 *     [0] BOOLEAN 01                        emptyAuth; 01 as the reference writes it, not DER's FF
 *     INTEGER                               parent handle
 *     OCTET STRING                          TPM2B_PUBLIC
 *     OCTET STRING                          TPM2B_PRIVATE
 */
export function encodeTss2(parent: number, publicBlob: Uint8Array, privateBlob: Uint8Array): string {
  if (!isTpm2b(publicBlob) || !isTpm2b(privateBlob)) throw new Error('not a TPM2B: its size does not fit');
  const base64 = encodeBase64(
    der(
      TAG.sequence,
      LOADABLE_KEY,
      der(TAG.context0, Uint8Array.of(TAG.boolean, 1, 1)),
      derUnsigned(u32(parent)),
      der(TAG.octetString, publicBlob),
      der(TAG.octetString, privateBlob),
    ),
  );
  return `${[PEM_HEADER, ...breakLines(base64), PEM_FOOTER].join('\n')}\n`;
}

/**
 * Lines of 64 characters; but a last padded quantum stays on the line before it, which may then have 68: the
 * reference breaks lines among whole quanta only.
 */
function breakLines(base64: string): string[] {
  const quanta = base64.endsWith('=') ? base64.length - 4 : base64.length;
  const lines = base64.slice(0, quanta).match(/.{1,64}/g) ?? [''];
  lines[lines.length - 1] += base64.slice(quanta);
  return lines;
}

/**
 * The key in a `TSS2 PRIVATE KEY` PEM, copied. Takes other line lengths, and both encodings of BOOLEAN TRUE; a key
 * with authorisation, policy or other optional fields is refused.
 * @throws Failure `identity.bad-tss2-file`
 */
export function parseTss2(text: string): Tss2Key {
  if (text.length > MAX_PEM) throw badTss2(`more than ${MAX_PEM} characters`);
  const lines = text.trim().split(/\r?\n/);
  if (lines[0] !== PEM_HEADER || lines.at(-1) !== PEM_FOOTER) throw badTss2('other PEM lines around it');
  const bytes = decodeBase64(lines.slice(1, -1).join(''));
  if (bytes === undefined) throw badTss2('bad base64');
  const [oid, auth, handle, publicBlob, privateBlob, ...rest] = readChildren(bytes, TAG.sequence) ?? [];
  if (!oid || !auth || !handle || !publicBlob || !privateBlob || rest.length > 0) {
    throw badTss2('another DER structure');
  }
  if (!equal(oid.whole, LOADABLE_KEY)) throw badTss2('another kind of key than a loadable one');
  const emptyAuth = [fromHex('a003010101'), fromHex('a0030101ff')].some((flag) => equal(auth.whole, flag));
  if (!emptyAuth) throw badTss2('a key that is not marked as having an empty authorisation');
  const blobs = [publicBlob, privateBlob];
  if (blobs.some((blob) => blob.tag !== TAG.octetString || !isTpm2b(blob.contents))) {
    throw badTss2('a TPM2B whose size does not fit');
  }
  return {
    parent: readHandle(handle.whole),
    publicBlob: publicBlob.contents.slice(),
    privateBlob: privateBlob.contents.slice(),
  };
}

function readHandle(integer: Uint8Array): number {
  const digits = integer.subarray(2);
  const value = concat(new Uint8Array(4), digits.length <= 5 ? digits : new Uint8Array(4));
  const handle = readU32(value, value.length - 4);
  // Accepting only what we would write refuses negative, oversized and non-minimal numbers at once.
  if (!equal(integer, derUnsigned(u32(handle)))) throw badTss2('a parent handle that is no 32-bit number');
  return handle;
}

function isTpm2b(blob: Uint8Array): boolean {
  return blob.length >= 2 && readU16(blob, 0) === blob.length - 2;
}

function badTss2(got: string): Failure {
  return new Failure(
    'identity.bad-tss2-file',
    'operator',
    `TPM key file: expected a '${PEM_HEADER}' PEM with a loadable key, got ${got}`,
    { action: 'Restore the key file from a backup or create a new key in the TPM.' },
  );
}
