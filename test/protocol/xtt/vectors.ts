import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { p256 } from '@noble/curves/nist.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { primitives } from '../../../crypto/primitives.ts';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import type { Primitives } from '../../../protocol/crypto/primitives.ts';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';

/** The recorded handshakes of the C programs, one file per suite. All values are hex. */
export interface SuiteVectors {
  readonly suite: string;
  readonly suite_spec: SuiteSpec;
  readonly common: {
    readonly gpk: string;
    readonly basename: string;
    readonly gid: string;
    readonly root_keypair: KeyPairVector;
    readonly root_cert: string;
    readonly server_keypair: KeyPairVector;
    readonly server_cert: string;
  };
  readonly handshakes: readonly HandshakeVector[];
}

export interface KeyPairVector {
  readonly asn1_der: string;
  readonly private: string;
  readonly public: string;
}

export interface HandshakeVector {
  readonly name: string;
  readonly tpm: boolean;
  readonly requested_id: string;
  readonly client_inputs: {
    readonly dh_secret: string;
    readonly dh_public: string;
    readonly nonce: string;
    readonly longterm_private?: string;
    readonly longterm_signature_k_random?: string;
    readonly x509_signature_k_random?: string;
  };
  readonly server_inputs: Record<'dh_secret' | 'dh_public' | 'cookie' | 'signature_k_random', string>;
  readonly messages: Record<
    | 'client_init'
    | 'server_init_and_attest'
    | 'server_init_and_attest_plain'
    | 'identity_client_attest'
    | 'identity_client_attest_plain'
    | 'identity_server_finished'
    | 'identity_server_finished_plain',
    string
  >;
  readonly aead_nonces: Record<
    'server_init_and_attest' | 'identity_client_attest' | 'identity_server_finished',
    string
  >;
  readonly secrets: Record<
    | 'dh_shared'
    | 'handshake_secret_prf_key'
    | 'handshake_secret'
    | 'client_handshake_send_key'
    | 'client_handshake_send_iv'
    | 'server_handshake_send_key'
    | 'server_handshake_send_iv',
    string
  >;
  readonly hashes: Record<string, string>;
  readonly server_signature: string;
  readonly longterm_public: string;
  readonly longterm_signature: string;
  readonly daa: { readonly message: string; readonly signature: string; readonly pseudonym: string };
  readonly assigned_id: string;
  readonly assigned_id_text_file: string;
  readonly x509_serial_random: string;
  readonly x509_certificate_der: string;
  readonly longterm_private_key_file: string;
  readonly tcp: { readonly client_to_server: string; readonly server_to_client: string };
}

const folder = fileURLToPath(new URL('../../vectors/', import.meta.url));

export const suiteVectors: readonly SuiteVectors[] = [
  'xtt-suite1-chacha20poly1305_sha512.json',
  'xtt-suite2-chacha20poly1305_blake2b.json',
  'xtt-suite3-aes256gcm_sha512.json',
  'xtt-suite4-aes256gcm_blake2b.json',
].map((name) => JSON.parse(readFileSync(folder + name, 'utf8')) as SuiteVectors);

export interface BehaviourCase {
  readonly sent?: string;
  readonly response: string;
  readonly accepted?: boolean;
}

/** What the C server did with good and bad clients. */
export const behaviour = (
  JSON.parse(readFileSync(`${folder}xtt-server-behaviour.json`, 'utf8')) as {
    cases: Record<string, BehaviourCase>;
  }
).cases;

const order = p256.Point.Fn.ORDER;
const number = (bytes: Uint8Array): bigint => BigInt(`0x${toHex(bytes)}`);
const bytes32 = (value: bigint): Uint8Array => fromHex(value.toString(16).padStart(64, '0'));

/** ECDSA over SHA-256(message) with the nonce the C programs drew: 32 bytes, reduced mod n as they do. */
export function signWithNonce(secret: Uint8Array, nonce: Uint8Array, message: Uint8Array): Uint8Array {
  const { Fn, BASE } = p256.Point;
  const k = number(nonce) % order;
  const r = BASE.multiply(k).toAffine().x % order;
  const s = Fn.mul(Fn.inv(k), Fn.create((number(sha256(message)) % order) + r * number(secret)));
  return concat(bytes32(r), bytes32(s));
}

/** Everything that went through the primitives, as hex. */
export interface Recording {
  readonly hashed: { readonly input: string; readonly output: string }[];
  readonly nonces: string[];
  readonly keys: string[];
  readonly shared: string[];
  readonly macs: { readonly key: string; readonly input: string; readonly output: string }[];
}

/** The real primitives, with a recording of what they were given. */
export function recordingPrimitives(): { p: Primitives; recording: Recording } {
  const recording: Recording = { hashed: [], nonces: [], keys: [], shared: [], macs: [] };
  const hash =
    (digest: (...parts: readonly Uint8Array[]) => Uint8Array) =>
    (...parts: readonly Uint8Array[]): Uint8Array => {
      const output = digest(...parts);
      recording.hashed.push({ input: toHex(concat(...parts)), output: toHex(output) });
      return output;
    };
  const p: Primitives = {
    ...primitives,
    sha512: hash(primitives.sha512),
    blake2b512: hash(primitives.blake2b512),
    hmacSha512: (key, ...parts) => {
      const output = primitives.hmacSha512(key, ...parts);
      recording.macs.push({ key: toHex(key), input: toHex(concat(...parts)), output: toHex(output) });
      return output;
    },
    x25519: (secret, share) => {
      const shared = primitives.x25519(secret, share);
      recording.shared.push(toHex(shared));
      return shared;
    },
    seal: (aead, key, nonce, aad, plaintext) => {
      recording.keys.push(toHex(key));
      recording.nonces.push(toHex(nonce));
      return primitives.seal(aead, key, nonce, aad, plaintext);
    },
    open: (aead, key, nonce, aad, sealed) => {
      recording.keys.push(toHex(key));
      recording.nonces.push(toHex(nonce));
      return primitives.open(aead, key, nonce, aad, sealed);
    },
  };
  return { p, recording };
}
