/**
 * What a signature costs the host beside its key (ecdaa.md §7). Points are 65 bytes, scalars 32, and all are valid. Whoever has faster
 * arithmetic than TypeScript brings it.
 */
import { concat } from '../bytes.ts';
import { multiplyEach } from './blind.ts';
import { decodeG1, decodeG1Points, decodeScalar, decodeSecret, encodeG1, G1_LENGTH } from './encoding.ts';

export interface HostArithmetic {
  /** scalar·P of each of the points, which lie one behind the other; so do the products. The scalar is secret, and used once. */
  multiplyEach(points: Uint8Array, scalar: Uint8Array): Uint8Array;
  /** a·P + b·Q of public values; empty if that is infinity. */
  multiplyAdd(P: Uint8Array, a: Uint8Array, Q: Uint8Array, b: Uint8Array): Uint8Array;
}

export const PORTABLE: HostArithmetic = {
  multiplyEach(points, scalar) {
    const decoded = decodeG1Points(points, points.length / G1_LENGTH);
    return concat(...multiplyEach(decoded, decodeSecret(scalar)).map(encodeG1));
  },
  multiplyAdd(P, a, Q, b) {
    const sum = decodeG1(P).mulAddUnsafe(decodeScalar(a), decodeG1(Q), decodeScalar(b));
    return sum.is0() ? new Uint8Array(0) : encodeG1(sum);
  },
};
