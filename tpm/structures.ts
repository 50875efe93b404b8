import { concat, u16, u32 } from '../protocol/bytes.ts';
import { malformed, readWire, sized, type WireReader } from './wire.ts';

/** TPM_ALG_ID. */
export const ALGORITHM = {
  rsa: 0x0001,
  aes: 0x0006,
  keyedHash: 0x0008,
  sha256: 0x000b,
  null: 0x0010,
  ecdsa: 0x0018,
  ecdaa: 0x001a,
  ecc: 0x0023,
  cfb: 0x0043,
} as const;

/** TPM_ECC_CURVE. BN_P256 is the FP256BN of ecdaa.md. */
export const CURVE = { p256: 0x0003, bnP256: 0x0010 } as const;

/** TPMA_OBJECT. */
export const ATTRIBUTE = {
  fixedTpm: 0x0000_0002,
  fixedParent: 0x0000_0010,
  sensitiveDataOrigin: 0x0000_0020,
  userWithAuth: 0x0000_0040,
  adminWithPolicy: 0x0000_0080,
  noDa: 0x0000_0400,
  restricted: 0x0001_0000,
  decrypt: 0x0002_0000,
  sign: 0x0004_0000,
} as const;

const COORDINATE = 32;
const MAX_COORDINATE = 66;
const MAX_POLICY = 64;
const MAX_MODULUS = 512;

/** TPMT_SYM_DEF_OBJECT; absent means TPM_ALG_NULL. */
export interface Symmetric {
  readonly algorithm: number;
  readonly keyBits: number;
  readonly mode: number;
}

/** TPMT_ECC_SCHEME; absent means TPM_ALG_NULL. `count` is ECDAA's. */
export interface Scheme {
  readonly algorithm: number;
  readonly hash: number;
  readonly count?: number;
}

/** TPMT_PUBLIC of an ECC key; in a template both coordinates are empty. */
export interface EccPublic {
  readonly nameAlgorithm: number;
  readonly attributes: number;
  readonly policy: Uint8Array;
  readonly symmetric?: Symmetric;
  readonly scheme?: Scheme;
  readonly curve: number;
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

/** TPMT_PUBLIC of an RSA key without a scheme. The exponent 0 stands for 65537; in a template the modulus is zeros. */
export interface RsaPublic {
  readonly nameAlgorithm: number;
  readonly attributes: number;
  readonly policy: Uint8Array;
  readonly symmetric?: Symmetric;
  readonly keyBits: number;
  readonly exponent: number;
  readonly modulus: Uint8Array;
}

/** What every TPMT_PUBLIC begins with; `ecc` if it is an ECC key. */
export interface PublicArea {
  readonly type: number;
  readonly nameAlgorithm: number;
  readonly attributes: number;
  readonly ecc?: EccPublic;
}

/**
 * TPMT_PUBLIC of an ECC key (tpm.md §3):
 *
 *     type u16 | nameAlg u16 | attributes u32 | authPolicy 2+n | symmetric | scheme | curve u16 | kdf NULL u16 | x 2+n | y 2+n
 */
export function encodeEccPublic(key: EccPublic): Uint8Array {
  const { symmetric, scheme } = key;
  return concat(
    u16(ALGORITHM.ecc),
    u16(key.nameAlgorithm),
    u32(key.attributes),
    sized(key.policy),
    encodeSymmetric(symmetric),
    scheme === undefined ? u16(ALGORITHM.null) : encodeScheme(scheme),
    u16(key.curve),
    u16(ALGORITHM.null),
    sized(key.x),
    sized(key.y),
  );
}

/**
 * TPMT_PUBLIC of an RSA key:
 *
 *     type u16 | nameAlg u16 | attributes u32 | authPolicy 2+n | symmetric | scheme NULL u16 | bits u16 | exponent u32 | modulus 2+n
 */
export function encodeRsaPublic(key: RsaPublic): Uint8Array {
  return concat(
    u16(ALGORITHM.rsa),
    u16(key.nameAlgorithm),
    u32(key.attributes),
    sized(key.policy),
    encodeSymmetric(key.symmetric),
    u16(ALGORITHM.null),
    u16(key.keyBits),
    u32(key.exponent),
    sized(key.modulus),
  );
}

/** TPMT_PUBLIC of a sealed object; in a template its unique part, 32 bytes of SHA-256, is empty. */
export interface SealedPublic {
  readonly attributes: number;
  readonly policy: Uint8Array;
  readonly unique: Uint8Array;
}

/**
 * TPMT_PUBLIC of a sealed object, whose name algorithm is SHA-256:
 *
 *     type u16 | nameAlg u16 | attributes u32 | authPolicy 2+n | scheme NULL u16 | unique 2+n
 */
export const encodeSealedPublic = ({ attributes, policy, unique }: SealedPublic): Uint8Array =>
  concat(
    u16(ALGORITHM.keyedHash),
    u16(ALGORITHM.sha256),
    u32(attributes),
    sized(policy),
    u16(ALGORITHM.null),
    sized(unique),
  );

const encodeSymmetric = (symmetric: Symmetric | undefined): Uint8Array =>
  symmetric === undefined
    ? u16(ALGORITHM.null)
    : concat(u16(symmetric.algorithm), u16(symmetric.keyBits), u16(symmetric.mode));

/** TPMT_ECC_SCHEME and TPMT_SIG_SCHEME: algorithm, hash and, for ECDAA, the commit counter. */
export function encodeScheme(scheme: Scheme): Uint8Array {
  const head = concat(u16(scheme.algorithm), u16(scheme.hash));
  return scheme.count === undefined ? head : concat(head, u16(scheme.count));
}

/** @throws Failure `tpm.malformed` */
export function parsePublic(tpmt: Uint8Array): PublicArea {
  const reader = readWire('public area', tpmt);
  const head = { type: reader.u16(), nameAlgorithm: reader.u16(), attributes: reader.u32() };
  if (head.type !== ALGORITHM.ecc) return head;
  const policy = reader.sized(MAX_POLICY);
  const symmetric = readSymmetric(reader);
  const scheme = readScheme(reader);
  const curve = reader.u16();
  const kdf = reader.u16();
  if (kdf !== ALGORITHM.null)
    throw malformed('public area', `key derivation 0x${kdf.toString(16)}, NULL expected`);
  const ecc: EccPublic = {
    nameAlgorithm: head.nameAlgorithm,
    attributes: head.attributes,
    policy,
    ...(symmetric && { symmetric }),
    ...(scheme && { scheme }),
    curve,
    x: reader.sized(MAX_COORDINATE),
    y: reader.sized(MAX_COORDINATE),
  };
  reader.end();
  return { ...head, ecc };
}

/** The RSA key of a TPMT_PUBLIC, which must have no scheme. @throws Failure `tpm.malformed` */
export function parseRsaPublic(tpmt: Uint8Array): RsaPublic {
  const reader = readWire('public area', tpmt);
  const type = reader.u16();
  if (type !== ALGORITHM.rsa) throw malformed('public area', `type 0x${type.toString(16)}, RSA expected`);
  const [nameAlgorithm, attributes] = [reader.u16(), reader.u32()];
  const policy = reader.sized(MAX_POLICY);
  const symmetric = readSymmetric(reader);
  const scheme = reader.u16();
  if (scheme !== ALGORITHM.null)
    throw malformed('public area', `scheme 0x${scheme.toString(16)}, NULL expected`);
  const rsa = {
    nameAlgorithm,
    attributes,
    policy,
    ...(symmetric && { symmetric }),
    keyBits: reader.u16(),
    exponent: reader.u32(),
    modulus: reader.sized(MAX_MODULUS),
  };
  reader.end();
  return rsa;
}

function readSymmetric(reader: WireReader): Symmetric | undefined {
  const algorithm = reader.u16();
  if (algorithm === ALGORITHM.null) return undefined;
  return { algorithm, keyBits: reader.u16(), mode: reader.u16() };
}

function readScheme(reader: WireReader): Scheme | undefined {
  const algorithm = reader.u16();
  if (algorithm === ALGORITHM.null) return undefined;
  const hash = reader.u16();
  return algorithm === ALGORITHM.ecdaa ? { algorithm, hash, count: reader.u16() } : { algorithm, hash };
}

/** TPM2B_ECC_POINT of an uncompressed 65-byte point. */
export function encodePoint(point: Uint8Array): Uint8Array {
  if (point.length !== 1 + 2 * COORDINATE || point[0] !== 4)
    throw new Error('expected a 65-byte uncompressed point');
  return sized(concat(sized(point.subarray(1, 1 + COORDINATE)), sized(point.subarray(1 + COORDINATE))));
}

/**
 * The point in a TPM2B_ECC_POINT, 65 bytes uncompressed with coordinates padded to 32; undefined for the empty point
 * that stands for "not asked for". @throws Failure `tpm.malformed`
 */
export function parsePoint(tpm2b: Uint8Array): Uint8Array | undefined {
  const outer = readWire('point', tpm2b);
  const content = outer.sized(2 * (2 + COORDINATE));
  outer.end();
  if (content.length === 0) return undefined;
  const inner = readWire('point', content);
  const [x, y] = [inner.sized(COORDINATE), inner.sized(COORDINATE)];
  inner.end();
  if (x.length === 0 && y.length === 0) return undefined;
  return uncompressed(x, y);
}

/** 04 ‖ x ‖ y, 65 bytes; shorter coordinates are padded on the left. @throws Failure `tpm.malformed` */
export function uncompressed(x: Uint8Array, y: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(4), padded(x), padded(y));
}

/** A number of at most 32 bytes, padded on the left to 32. @throws Failure `tpm.malformed` */
export function padded(number: Uint8Array): Uint8Array {
  if (number.length > COORDINATE) throw malformed('number', `${number.length} bytes, at most 32 expected`);
  const out = new Uint8Array(COORDINATE);
  out.set(number, COORDINATE - number.length);
  return out;
}

/** TPMT_SIGNATURE of an ECC scheme; r and s as the TPM gave them, at most 32 bytes each. */
export interface EccSignature {
  readonly algorithm: number;
  readonly hash: number;
  readonly r: Uint8Array;
  readonly s: Uint8Array;
}

/** TPMT_SIGNATURE: algorithm u16 | hash u16 | r 2+n | s 2+n. @throws Failure `tpm.malformed` */
export function parseSignature(tpmt: Uint8Array): EccSignature {
  const reader = readWire('signature', tpmt);
  const signature = {
    algorithm: reader.u16(),
    hash: reader.u16(),
    r: reader.sized(COORDINATE),
    s: reader.sized(COORDINATE),
  };
  reader.end();
  return signature;
}

/** TPMS_NV_PUBLIC. */
export interface NvPublic {
  readonly index: number;
  readonly nameAlgorithm: number;
  readonly attributes: number;
  readonly policy: Uint8Array;
  /** Bytes. */
  readonly size: number;
}

/** TPM2B_NV_PUBLIC: index u32 | nameAlg u16 | attributes u32 | authPolicy 2+n | size u16. */
export function encodeNvPublic(nv: NvPublic): Uint8Array {
  return sized(
    concat(u32(nv.index), u16(nv.nameAlgorithm), u32(nv.attributes), sized(nv.policy), u16(nv.size)),
  );
}

/** @throws Failure `tpm.malformed` */
export function parseNvPublic(tpm2b: Uint8Array): NvPublic {
  const outer = readWire('NV public area', tpm2b);
  const content = outer.sized(14 + MAX_POLICY);
  outer.end();
  const reader = readWire('NV public area', content);
  const nv = {
    index: reader.u32(),
    nameAlgorithm: reader.u16(),
    attributes: reader.u32(),
    policy: reader.sized(MAX_POLICY),
    size: reader.u16(),
  };
  reader.end();
  return nv;
}
