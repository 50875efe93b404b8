import { addon } from '../native/index.ts';
import { checkSecret, deterministicSigner } from '../protocol/crypto/ecdsa.ts';
import type { Primitives } from '../protocol/crypto/primitives.ts';
import { primitives } from './primitives.ts';

/** The primitives for a server with many handshakes: from the addon if it was built, else from node:crypto and noble. */
export interface Curves {
  readonly native: boolean;
  readonly primitives: Primitives;
  /**
   * Signs SHA-256(message) by RFC 6979, as `deterministicSigner` does; keeps a copy of the 32-byte scalar.
   * @throws Failure `ecdsa.bad-secret`
   */
  signer(secret: Uint8Array): (message: Uint8Array) => Uint8Array;
}

/** The same algorithms without a compiler; a signature costs twenty times as much. */
export const PORTABLE_CURVES: Curves = { native: false, primitives, signer: deterministicSigner };

/** The addon's curves, or {@link PORTABLE_CURVES} if it cannot be loaded. */
export function curves(): Curves {
  try {
    return nativeCurves();
  } catch {
    return PORTABLE_CURVES;
  }
}

function nativeCurves(): Curves {
  const native = addon();
  if (typeof native.aeadSeal !== 'function') throw new Error('the addon is of an older build');
  return {
    native: true,
    primitives: {
      ...primitives,
      sha512: (...parts) => native.sha512(...parts),
      blake2b512: (...parts) => native.blake2b512(...parts),
      hmacSha512: (key, ...parts) => native.hmacSha512(key, ...parts),
      hmacSha512Each: (key, input, lengths, ...labels) =>
        native.hmacSha512Each(key, input, lengths, ...labels),
      blake2bMac: (key, input, length) => native.blake2bMac(key, input, length),
      seal: (aead, key, nonce, aad, plaintext) => native.aeadSeal(aead, key, nonce, aad, plaintext),
      open: (aead, key, nonce, aad, sealed) => native.aeadOpen(aead, key, nonce, aad, sealed),
      x25519Public: (secret) => native.x25519Public(secret),
      x25519(secret, peerShare) {
        const key = native.x25519Key(secret);
        const shared = native.x25519Shared(key, peerShare);
        native.x25519Forget(key);
        return shared;
      },
      x25519Key(secret) {
        const key = native.x25519Key(secret);
        return {
          share: native.x25519Public(secret),
          exchange: (peerShare) => native.x25519Shared(key, peerShare),
          forget: () => native.x25519Forget(key),
        };
      },
      verifyEcdsa: (publicKey, message, signature) => native.p256Verify(publicKey, message, signature),
    },
    signer(secret) {
      checkSecret(secret);
      const signer = native.p256Signer(secret);
      return (message) => native.p256Sign(signer, message);
    },
  };
}
