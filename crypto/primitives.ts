import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type Hash,
  type Hmac,
  type KeyObject,
  randomFillSync,
  sign,
  verify,
} from 'node:crypto';
import type { Aead, EcdsaSigner, Primitives } from '../protocol/crypto/primitives.ts';
import { encodeEcPrivateKey } from '../protocol/identity/key-file.ts';

/** How many imported P-256 public keys are kept: an import costs as much as a verification. */
const CACHED_KEYS = 256;

const TAG_LENGTH = 16;

/** The protocol's primitives over node:crypto. Results are plain Uint8Arrays of their own, never views of a pool. */
export const primitives: Primitives = {
  sha256: (...parts) => digest(createHash('sha256'), parts),
  sha512: (...parts) => digest(createHash('sha512'), parts),
  blake2b512: (...parts) => digest(createHash('blake2b512'), parts),
  hmacSha256: (key, ...parts) => digest(createHmac('sha256', key), parts),
  hmacSha512: (key, ...parts) => digest(createHmac('sha512', key), parts),

  x25519Public: (secret) => {
    const jwk = createPublicKey(x25519Secret(secret)).export({ format: 'jwk' });
    return plain(Buffer.from(jwk.x!, 'base64url'));
  },

  x25519: (secret, peerShare) => exchange(x25519Secret(secret), peerShare),

  // A key object cannot be wiped, only collected: it lives no longer than an exchange.
  x25519Key(secret) {
    let own: Uint8Array | undefined = new Uint8Array(secret);
    return {
      share: primitives.x25519Public(secret),
      exchange(peerShare) {
        if (own === undefined) throw new Error('the X25519 key was forgotten');
        return primitives.x25519(own, peerShare);
      },
      forget() {
        own?.fill(0);
        own = undefined;
      },
    };
  },

  seal: (aead, key, nonce, aad, plaintext) => {
    const cipher = createCipheriv(cipherName(aead), key, nonce, { authTagLength: TAG_LENGTH });
    cipher.setAAD(aad, { plaintextLength: plaintext.length });
    const body = cipher.update(plaintext);
    cipher.final();
    return plain(Buffer.concat([body, cipher.getAuthTag()]));
  },

  open: (aead, key, nonce, aad, sealed) => {
    if (sealed.length < TAG_LENGTH) return undefined;
    const body = sealed.subarray(0, sealed.length - TAG_LENGTH);
    const decipher = createDecipheriv(cipherName(aead), key, nonce, { authTagLength: TAG_LENGTH });
    decipher.setAAD(aad, { plaintextLength: body.length });
    decipher.setAuthTag(sealed.subarray(body.length));
    const plaintext = decipher.update(body);
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return plain(plaintext);
  },

  verifyEcdsa: (publicKey, message, signature) => {
    if (signature.length !== 64) return false;
    const key = importPublicKey(publicKey);
    return key !== undefined && verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
  },

  random: (length) => randomFillSync(new Uint8Array(length)),
};

/**
 * A signer over a P-256 scalar held in this process: SHA-256(message), fresh random nonce, r ‖ s, 64 bytes.
 * `privateScalar` has 32 bytes in 1..n-1; the caller may wipe it afterwards.
 */
export function ecdsaSigner(privateScalar: Uint8Array): EcdsaSigner {
  const ecdh = createECDH('prime256v1');
  ecdh.setPrivateKey(privateScalar);
  const der = Buffer.from(encodeEcPrivateKey(privateScalar, ecdh.getPublicKey()));
  const key = createPrivateKey({ key: der, format: 'der', type: 'sec1' });
  der.fill(0);
  return async (message) => plain(sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' }));
}

/** A fresh P-256 key pair: a 32-byte scalar and the 65-byte uncompressed point. */
export function generateP256(): { secret: Uint8Array; publicKey: Uint8Array } {
  const ecdh = createECDH('prime256v1');
  const publicKey = plain(ecdh.generateKeys());
  const raw = ecdh.getPrivateKey();
  const secret = new Uint8Array(32);
  secret.set(raw, 32 - raw.length);
  raw.fill(0);
  return { secret, publicKey };
}

function exchange(privateKey: KeyObject, peerShare: Uint8Array): Uint8Array {
  checkLength('an X25519 share', peerShare, 32);
  const jwk = { kty: 'OKP', crv: 'X25519', x: base64url(peerShare) };
  const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
  try {
    return plain(diffieHellman({ privateKey, publicKey }));
  } catch (error) {
    // OpenSSL refuses a share of small order; the protocol wants to see the zero and refuse it by name.
    if ((error as NodeJS.ErrnoException).code === 'ERR_OSSL_FAILED_DURING_DERIVATION') {
      return new Uint8Array(32);
    }
    throw error;
  }
}

function digest(hash: Hash | Hmac, parts: readonly Uint8Array[]): Uint8Array {
  for (const part of parts) hash.update(part);
  return plain(hash.digest());
}

function cipherName(aead: Aead): 'chacha20-poly1305' {
  // Both are AEADs with the same calling convention; the type definitions overload them by name.
  return aead as 'chacha20-poly1305';
}

/** PKCS #8 of an X25519 key up to its 32 bytes (RFC 8410). */
const X25519_HEAD = Uint8Array.of(0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 34, 4, 32);

/** By DER: a JWK is cheaper to import, but would make a string of the secret, which nobody can wipe. */
function x25519Secret(secret: Uint8Array): KeyObject {
  checkLength('an X25519 secret', secret, 32);
  const der = Buffer.alloc(X25519_HEAD.length + secret.length);
  der.set(X25519_HEAD);
  der.set(secret, X25519_HEAD.length);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

/** Imported public keys by their bytes as text, in order of last use. Public data only. */
const importedKeys = new Map<string, KeyObject>();

function importPublicKey(publicKey: Uint8Array): KeyObject | undefined {
  if (publicKey.length !== 65 || publicKey[0] !== 0x04) return undefined;
  const id = Buffer.from(publicKey).toString('latin1');
  let key = importedKeys.get(id);
  if (key === undefined) {
    try {
      const x = base64url(publicKey.subarray(1, 33));
      const y = base64url(publicKey.subarray(33));
      key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
    } catch {
      return undefined;
    }
  } else {
    importedKeys.delete(id);
  }
  importedKeys.set(id, key);
  if (importedKeys.size > CACHED_KEYS) importedKeys.delete(importedKeys.keys().next().value!);
  return key;
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}

function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer);
}

function checkLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) throw new Error(`${what} has ${length} bytes, not ${bytes.length}`);
}
