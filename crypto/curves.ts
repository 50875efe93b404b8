import { addon } from '../native/index.ts';
import { checkSecret, deterministicSigner } from '../protocol/crypto/ecdsa.ts';
import type { Primitives } from '../protocol/crypto/primitives.ts';
import type { CookieOptions } from '../protocol/xtt/cookie-keys.ts';
import { portableServer, type ServerKey, type StatelessServer } from '../protocol/xtt/stateless.ts';
import { primitives } from './primitives.ts';
import { nativeServer } from './stateless-server.ts';

/** What many handshakes are computed with: by the addon if it was built, else by node:crypto and noble. */
export interface Curves {
  readonly native: boolean;
  /** Each by itself: what the clients of load generators compute with. */
  readonly primitives: Primitives;
  /**
   * Signs SHA-256(message) by RFC 6979, as `deterministicSigner` does; keeps a copy of the 32-byte scalar.
   * @throws Failure `ecdsa.bad-secret`
   */
  signer(secret: Uint8Array): (message: Uint8Array) => Uint8Array;
  /**
   * The server's side of handshakes, with at least one certificate; the first is for clients that do not say which root they trust.
   * @throws Failure `ecdsa.bad-secret`
   */
  server(keys: readonly ServerKey[], options?: CookieOptions): StatelessServer;
}

/** The same algorithms without a compiler; a signature costs twenty times as much. */
export const PORTABLE_CURVES: Curves = {
  native: false,
  primitives,
  signer: deterministicSigner,
  server: (keys, options) => portableServer(primitives, deterministicSigner, keys, options),
};

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
  if (typeof native.xttAnswer !== 'function') throw new Error('the addon is of an older build');
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
    server: (keys, options) => nativeServer(native, primitives, keys, options),
  };
}
