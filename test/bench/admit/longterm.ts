import { p256 } from '@noble/curves/nist.js';
import { curves } from '../../../crypto/curves.ts';
import { generateP256, primitives } from '../../../crypto/primitives.ts';
import { toNumber } from '../../../protocol/crypto/encoding.ts';

/** A device's longterm key, with all of a signature that does not depend on the message. */
export interface Longterm {
  /** 65 bytes. */
  readonly publicKey: Uint8Array;
  /** r ‖ s over SHA-256(message), 64 bytes. */
  sign(message: Uint8Array): Uint8Array;
}

const { Fn } = p256.Point;
const hash = (message: Uint8Array): bigint => toNumber(primitives.sha256(message));

/**
 * A new key. Its first signature is made here and taken apart, so that the load generator has next to nothing to do for the
 * following ones: they all have the same r, which would give a real device's secret away.
 */
export function makeLongterm(): Longterm {
  const { secret, publicKey } = generateP256();
  const first = new Uint8Array(64);
  const signature = curves().signer(secret)(first);
  const [r, s] = [signature.subarray(0, 32), toNumber(signature.subarray(32))];
  const rd = Fn.mul(toNumber(r), toNumber(secret));
  const inverse = Fn.div(s, Fn.create(hash(first) + rd));
  return {
    publicKey,
    sign(message) {
      const made = new Uint8Array(64);
      made.set(r);
      made.set(numberBytes(Fn.mul(inverse, Fn.create(hash(message) + rd))), 32);
      return made;
    },
  };
}

/** 32 bytes, big-endian. */
export const numberBytes = (number: bigint): Uint8Array =>
  Buffer.from(number.toString(16).padStart(64, '0'), 'hex');
