/** Hashing a basename to a point, so that a member's pseudonym under it is K = sk·P2 (ecdaa.md §4). */
import { concat, equal, u32le } from '../bytes.ts';
import { Failure } from '../failure.ts';
import type { BasenamePoint } from './daa-key.ts';
import { encodeG1, hashToScalar } from './encoding.ts';
import { Fp, p as fieldOrder, G1, type G1Point } from './fp256bn.ts';
import type { Primitives } from './primitives.ts';

const ATTEMPTS = 232;

/** A basename with its point P2, ready for both the arithmetic and a key that lives elsewhere. */
export interface HashedBasename extends BasenamePoint {
  readonly basename: Uint8Array;
  readonly P2: G1Point;
  /** How many counters before this one gave no point. */
  readonly counter: number;
}

/** The last one: whoever hashes one, hashes it for each of many members. */
let last: HashedBasename | undefined;

/**
 * The first x = SHA-256(LE32(i) ‖ basename) mod n, i = 0 … 231, that is on the curve, with its even y.
 * @throws Failure `ecdaa.bad-basename` if none is (probability 2⁻²³²).
 */
export function hashToG1(p: Pick<Primitives, 'sha256'>, basename: Uint8Array): HashedBasename {
  if (last === undefined || !equal(last.basename, basename)) last = hashed(p, basename.slice());
  return last;
}

function hashed(p: Pick<Primitives, 'sha256'>, basename: Uint8Array): HashedBasename {
  for (let counter = 0; counter < ATTEMPTS; counter++) {
    const s2 = concat(u32le(counter), basename);
    const x = hashToScalar(p, s2);
    const y = evenRoot(Fp.add(Fp.mul(Fp.sqr(x), x), 3n));
    if (y === undefined) continue;
    const P2 = G1.fromAffine({ x, y });
    return { basename, P2, counter, point: encodeG1(P2), s2 };
  }
  throw new Failure(
    'ecdaa.bad-basename',
    'operator',
    `no counter below ${ATTEMPTS} hashes this basename to a point`,
    {
      action: 'Choose another basename for the group.',
    },
  );
}

/** The even square root of a non-zero square; p mod 4 is 3, so a power does it. */
function evenRoot(square: bigint): bigint | undefined {
  const root = Fp.pow(square, (fieldOrder + 1n) / 4n);
  if (square === 0n || Fp.sqr(root) !== square) return undefined;
  return root % 2n === 0n ? root : fieldOrder - root;
}
