/** Known answers recorded from the C library (libecdaa 1.0.0 over AMCL 4.7.3), and how to replay what it drew. */
import { readFileSync } from 'node:fs';
import { primitives } from '../../../crypto/primitives.ts';
import { fromHex } from '../../../protocol/bytes.ts';
import type { Entropy } from '../../../protocol/crypto/encoding.ts';

interface CredentialVector {
  credential: string;
  credential_signature: string;
  random_draws: string[];
}

export interface IssuerVector {
  index: number;
  ipk: string;
  isk: string;
  gpk: string;
  random_draws: string[];
  validate_rc: number;
  tampered_sy_last_bit_deserialize_rc: number;
}

export interface MemberVector {
  index: number;
  issuer: number;
  nonce_text: string;
  pk: string;
  sk: string;
  random_draws: string[];
  pk_deserialize_rc: number;
  pk_deserialize_wrong_nonce_rc: number;
  credential: CredentialVector & {
    validate_rc: number;
    validate_other_gpk_rc: number;
    validate_tampered_sig_rc: number;
    validate_A_replaced_by_B_rc: number;
  };
}

export interface SignatureVector {
  index: number;
  member: number;
  message: string;
  basename: string | null;
  signature: string;
  random_draws: string[];
  checks: { case: string; rc: number }[];
}

interface Vectors {
  curve: { order: string; field: string; g1: string; g2: string };
  random_mod_order: { draw: string; scalar: string }[];
  hash_to_g1: { input: string; counter: number; point: string }[];
  g1_mul: { scalar: string; g1: string; g2: string }[];
  pairing: { a: string; b: string; P: string; Q: string; e_amcl_fp12_octet: string }[];
  point_deserialize: { case: string; bytes: string; rc: number }[];
  issuers: IssuerVector[];
  members: MemberVector[];
  signatures: SignatureVector[];
  tpm_member: CredentialVector & { index: number; issuer: number; nonce_text: string; Q: string; pk: string };
  tpm_signatures: SignatureVector[];
}

export const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../../vectors/ecdaa.json', import.meta.url), 'utf8'),
);

/** Entropy that hands out the recorded draws in order, each at its own length, and then nothing more. */
export function replay(draws: readonly string[]): Entropy & { left(): number } {
  const rest = draws.map(fromHex);
  return {
    sha256: primitives.sha256,
    random(length) {
      const draw = rest.shift();
      if (draw?.length !== length) throw new Error(`drew ${length} bytes, recorded were ${draw?.length}`);
      return draw;
    },
    left: () => rest.length,
  };
}

/** A copy with `change` applied. */
export function altered(bytes: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = bytes.slice();
  change(copy);
  return copy;
}

/** A copy with the last bit of the byte at `index` flipped. */
export function flipped(bytes: Uint8Array, index: number): Uint8Array {
  return altered(bytes, (copy) => {
    copy[index]! ^= 1;
  });
}
