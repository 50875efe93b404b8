import { addon } from '../native/index.ts';
import { wipe } from '../protocol/bytes.ts';
import { deterministicSigner } from '../protocol/crypto/ecdsa.ts';
import type { Primitives } from '../protocol/crypto/primitives.ts';
import { primitives } from './primitives.ts';

/** The primitives of a server that takes many handshakes: from the addon if it was built, else from node:crypto and noble. */
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
  if (typeof native.p256Signer !== 'function') throw new Error('the addon is of an older build');
  const exchange = (secret: Uint8Array, peerShare: Uint8Array): { share: Uint8Array; shared: Uint8Array } => {
    const both = native.x25519Exchange(secret, peerShare);
    const [share, shared] = [both.slice(0, 32), both.slice(32)];
    wipe(both);
    return { share, shared };
  };
  return {
    native: true,
    primitives: {
      ...primitives,
      x25519Public: (secret) => native.x25519Public(secret),
      x25519: (secret, peerShare) => exchange(secret, peerShare).shared,
      x25519Exchange: exchange,
      verifyEcdsa: (publicKey, message, signature) => native.p256Verify(publicKey, message, signature),
      blake2bMac: (key, input, length) => native.blake2bMac(key, input, length),
    },
    signer(secret) {
      // Checks the secret, with the words the operator knows.
      deterministicSigner(secret);
      const signer = native.p256Signer(secret);
      return (message) => native.p256Sign(signer, message);
    },
  };
}
