import { ALGORITHM, ATTRIBUTE, CURVE, type EccPublic, encodeEccPublic } from './structures.ts';
import { sized } from './wire.ts';

// noDA on the parent and on the keys: a power cut after the use of a key without it counts as a failed password,
// and a few cuts lock the TPM. The C programs' templates differ in this bit only (tpm.md §3).
const OURS =
  ATTRIBUTE.fixedTpm |
  ATTRIBUTE.fixedParent |
  ATTRIBUTE.sensitiveDataOrigin |
  ATTRIBUTE.userWithAuth |
  ATTRIBUTE.noDa;

const EMPTY = new Uint8Array();

const base: Pick<EccPublic, 'nameAlgorithm' | 'policy' | 'x' | 'y'> = {
  nameAlgorithm: ALGORITHM.sha256,
  policy: EMPTY,
  x: EMPTY,
  y: EMPTY,
};

const storage: EccPublic = {
  ...base,
  attributes: OURS | ATTRIBUTE.restricted | ATTRIBUTE.decrypt,
  symmetric: { algorithm: ALGORITHM.aes, keyBits: 128, mode: ALGORITHM.cfb },
  curve: CURVE.p256,
};

const longterm: EccPublic = { ...base, attributes: OURS | ATTRIBUTE.sign, curve: CURVE.p256 };

const daa: EccPublic = {
  ...base,
  attributes: OURS | ATTRIBUTE.sign,
  scheme: { algorithm: ALGORITHM.ecdaa, hash: ALGORITHM.sha256, count: 1 },
  curve: CURVE.bnP256,
};

/** TPM2B_PUBLIC of the parent: P-256, restricted decrypt, AES-128-CFB, 28 bytes. */
export const STORAGE_TEMPLATE: Uint8Array = sized(encodeEccPublic(storage));

/** TPM2B_PUBLIC of a longterm key: P-256, signing, 24 bytes. */
export const LONGTERM_TEMPLATE: Uint8Array = sized(encodeEccPublic(longterm));

/** TPM2B_PUBLIC of the ECDAA key: BN_P256, ECDAA with SHA-256, not restricted, 28 bytes. */
export const DAA_TEMPLATE: Uint8Array = sized(encodeEccPublic(daa));
