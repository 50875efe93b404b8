/** Scalars and points as bytes (ecdaa.md §2, §3), decoded strictly: what is accepted re-encodes to itself. */
import { concat, toHex, wipe } from '../bytes.ts';
import { Failure } from '../failure.ts';
import { Fp2, p as fieldOrder, G1, type G1Point, G2, type G2Point, n } from './fp256bn.ts';
import type { Primitives } from './primitives.ts';

/** What the scheme needs from outside: SHA-256, and random bytes, of which a scalar takes 65 (§3). */
export type Entropy = Pick<Primitives, 'sha256' | 'random'>;

export const SCALAR_LENGTH = 32;
export const G1_LENGTH = 65;
export const G2_LENGTH = 129;

const UNCOMPRESSED = 0x04;
const DRAW_LENGTH = 65;

/** 32 bytes, big-endian. */
export function encodeScalar(scalar: bigint): Uint8Array {
  const out = new Uint8Array(SCALAR_LENGTH);
  let rest = scalar;
  for (let i = SCALAR_LENGTH - 1; i >= 0; i--) {
    out[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return out;
}

/** Big-endian bytes as a number, unbounded. */
export function toNumber(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
}

/** Exactly 32 bytes, 0 … n−1. @throws Failure `ecdaa.bad-scalar` */
export function decodeScalar(bytes: Uint8Array): bigint {
  const scalar = bytes.length === SCALAR_LENGTH ? toNumber(bytes) : n;
  if (scalar >= n) {
    throw new Failure(
      'ecdaa.bad-scalar',
      'operator',
      `expected a scalar of ${SCALAR_LENGTH} bytes below the group order, got ${bytes.length} bytes or a larger number`,
    );
  }
  return scalar;
}

/** Exactly 32 bytes, 1 … n−1. @throws Failure `ecdaa.bad-scalar` */
export function decodeSecret(bytes: Uint8Array): bigint {
  const scalar = decodeScalar(bytes);
  if (scalar === 0n) {
    throw new Failure('ecdaa.bad-scalar', 'operator', 'expected a secret scalar, got zero');
  }
  return scalar;
}

/**
 * A secret scalar, uniform in 1 … n−1, from 65 random bytes of which 64 count: the number whose most significant bit is
 * the least significant bit of the first byte, mod n (§3; the order of bits matters only to reproduce recorded draws).
 */
export function drawScalar(p: Pick<Primitives, 'random'>): bigint {
  for (;;) {
    const draw = p.random(DRAW_LENGTH);
    const reversed = draw.subarray(0, 64).map(reverseBits);
    const scalar = toNumber(reversed) % n;
    wipe(draw, reversed);
    if (scalar !== 0n) return scalar;
  }
}

/** SHA-256 of the concatenation, big-endian, mod n (§2). */
export function hashToScalar(p: Pick<Primitives, 'sha256'>, ...parts: readonly Uint8Array[]): bigint {
  return toNumber(p.sha256(...parts)) % n;
}

/** 04 ‖ x ‖ y, 65 bytes. @throws Failure `ecdaa.bad-point` for infinity, which has no encoding. */
export function encodeG1(point: G1Point): Uint8Array {
  if (point.is0()) throw badPoint('G1', 'infinity');
  const { x, y } = point.toAffine();
  return concat(Uint8Array.of(UNCOMPRESSED), encodeScalar(x), encodeScalar(y));
}

/** 04 ‖ x ‖ y: tag, range and curve equation checked (the cofactor is 1). @throws Failure `ecdaa.bad-point` */
export function decodeG1(bytes: Uint8Array): G1Point {
  const [x, y] = decodeCoordinates('G1', bytes, G1_LENGTH);
  const point = valid(() => G1.fromAffine({ x: x!, y: y! }));
  if (point === undefined) throw badPoint('G1', 'a point that is not on the curve');
  return point;
}

/** 04 ‖ x.a ‖ x.b ‖ y.a ‖ y.b, 129 bytes. @throws Failure `ecdaa.bad-point` for infinity. */
export function encodeG2(point: G2Point): Uint8Array {
  if (point.is0()) throw badPoint('G2', 'infinity');
  const { x, y } = point.toAffine();
  return concat(Uint8Array.of(UNCOMPRESSED), ...[x.c0, x.c1, y.c0, y.c1].map(encodeScalar));
}

/** As `decodeG1`, and the point must lie in the subgroup of order n. @throws Failure `ecdaa.bad-point` */
export function decodeG2(bytes: Uint8Array): G2Point {
  const [xa, xb, ya, yb] = decodeCoordinates('G2', bytes, G2_LENGTH);
  const [x, y] = [Fp2.fromBigTuple([xa!, xb!]), Fp2.fromBigTuple([ya!, yb!])];
  const point = valid(() => G2.fromAffine({ x, y }));
  if (point === undefined) throw badPoint('G2', 'a point that is not in the group of order n on the twist');
  return point;
}

/** `count` consecutive G1 points. The caller has checked the length. @throws Failure `ecdaa.bad-point` */
export function decodeG1Points(bytes: Uint8Array, count: number): G1Point[] {
  return Array.from({ length: count }, (_, i) =>
    decodeG1(bytes.subarray(i * G1_LENGTH, (i + 1) * G1_LENGTH)),
  );
}

function decodeCoordinates(group: string, bytes: Uint8Array, length: number): bigint[] {
  if (bytes.length !== length) throw badPoint(group, `${bytes.length} bytes instead of ${length}`);
  if (bytes[0] !== UNCOMPRESSED)
    throw badPoint(group, `the tag 0x${toHex(bytes.subarray(0, 1))} instead of 0x04`);
  const coordinates: bigint[] = [];
  for (let offset = 1; offset < length; offset += SCALAR_LENGTH) {
    coordinates.push(toNumber(bytes.subarray(offset, offset + SCALAR_LENGTH)));
  }
  if (coordinates.some((coordinate) => coordinate >= fieldOrder)) {
    throw badPoint(group, 'a coordinate that is not below the field order');
  }
  return coordinates;
}

/** The point, unless it is infinity or none: a y of zero is refused when the point is made already. */
function valid<Point extends G1Point | G2Point>(make: () => Point): Point | undefined {
  try {
    const point = make();
    if (point.is0()) return undefined;
    point.assertValidity();
    return point;
  } catch {
    return undefined;
  }
}

function badPoint(group: string, got: string): Failure {
  return new Failure(
    'ecdaa.bad-point',
    'operator',
    `expected an uncompressed ${group} point of FP256BN, got ${got}`,
  );
}

function reverseBits(byte: number): number {
  let reversed = 0;
  for (let bit = 0; bit < 8; bit++) reversed |= ((byte >> bit) & 1) << (7 - bit);
  return reversed;
}
