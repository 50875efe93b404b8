import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { ascii, fromHex } from '../../protocol/bytes.ts';
import { der, derUnsigned, readChildren, TAG } from '../../protocol/identity/der.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';

/** Object identifiers, DER content in hex. */
export const OID = {
  commonName: '550403',
  ecdsaWithSha256: '2a8648ce3d040302',
  ecdsaWithSha384: '2a8648ce3d040303',
  basicConstraints: '551d13',
  keyUsage: '551d0f',
  extendedKeyUsage: '551d25',
  serverAuth: '2b06010505070301',
  clientAuth: '2b06010505070302',
  subjectAltName: '551d11',
  nameConstraints: '551d1e',
  subjectKeyIdentifier: '551d0e',
  authorityKeyIdentifier: '551d23',
  data: '2a864886f70d010701',
  signedData: '2a864886f70d010702',
} as const;

export const TRUE = der(TAG.boolean, Uint8Array.of(0xff));

/** Of KeyUsage: the whole value. */
export const USAGE = {
  digitalSignature: Uint8Array.of(0x03, 2, 7, 0x80),
  keyCertSignCrlSign: Uint8Array.of(0x03, 2, 1, 0x06),
} as const;

/** What a certificate says, and who signs it. */
export interface Wanted {
  /** Names in DER, see `commonName`. */
  readonly subject: Uint8Array;
  readonly issuer: Uint8Array;
  /** Whose it is, either half. */
  readonly key: KeyObject;
  /** Of P-256 or P-384. */
  readonly signer: KeyObject;
  /** 16 random bytes unless given. */
  readonly serial?: Uint8Array;
  /** Milliseconds since 1970; without them it is valid from 1970 to 9999. */
  readonly fromMs?: number | undefined;
  readonly untilMs?: number | undefined;
  readonly extensions: readonly Uint8Array[];
}

/** The last moment that X.509 knows. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/** RFC 5280 §4.1: Certificate ::= SEQUENCE { tbs, algorithm, signature }; DER. */
export function makeCertificate(wanted: Wanted): Uint8Array {
  const { signer, fromMs = 0, untilMs = LAST_MS } = wanted;
  const wide = signer.asymmetricKeyDetails?.namedCurve === 'secp384r1';
  const algorithm = sequence(identifier(wide ? OID.ecdsaWithSha384 : OID.ecdsaWithSha256));
  const tbs = sequence(
    der(TAG.context0, Uint8Array.of(0x02, 1, 2)),
    derUnsigned(wanted.serial ?? randomBytes(16)),
    algorithm,
    wanted.issuer,
    sequence(time(fromMs), time(untilMs)),
    wanted.subject,
    publicInfo(wanted.key),
    der(0xa3, sequence(...wanted.extensions)),
  );
  const signature = sign(wide ? 'sha384' : 'sha256', tbs, { key: signer, dsaEncoding: 'der' });
  return sequence(tbs, algorithm, der(TAG.bitString, Uint8Array.of(0), signature));
}

/** RFC 5280 §4.1.2.5: UTCTime before 2050, GeneralizedTime from then on. */
function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+Z$/g, '');
  return digits < '2050'
    ? der(0x17, ascii(`${digits.slice(2)}Z`))
    : der(TAG.generalizedTime, ascii(`${digits}Z`));
}

/** An extension; `value` is what its OCTET STRING holds. */
export function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? TRUE : new Uint8Array();
  return sequence(identifier(oid), flag, der(TAG.octetString, value));
}

/** A name of one common name. */
export function commonName(name: string): Uint8Array {
  const value = der(TAG.utf8String, encodeUtf8(name));
  return sequence(der(TAG.set, sequence(identifier(OID.commonName), value)));
}

/** The public half as SubjectPublicKeyInfo, DER. */
function publicInfo(key: KeyObject): Uint8Array {
  const half = key.type === 'public' ? key : createPublicKey(key);
  return new Uint8Array(half.export({ type: 'spki', format: 'der' }));
}

/** RFC 7093 §2, method 1: the leftmost 20 bytes of SHA-256 of the public key, which is the BIT STRING of the SPKI. */
export function keyIdentifier(key: KeyObject): Uint8Array {
  const [, bits] = readChildren(publicInfo(key), TAG.sequence)!;
  return new Uint8Array(createHash('sha256').update(bits!.contents.subarray(1)).digest()).slice(0, 20);
}

export const subjectKey = (key: KeyObject): Uint8Array =>
  extension(OID.subjectKeyIdentifier, false, der(TAG.octetString, keyIdentifier(key)));

export const signedBy = (key: KeyObject): Uint8Array =>
  extension(OID.authorityKeyIdentifier, false, sequence(der(0x80, keyIdentifier(key))));

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(TAG.sequence, ...parts);

export const identifier = (oid: string): Uint8Array => der(TAG.oid, fromHex(oid));
