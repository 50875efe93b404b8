import type { EcdaaFace } from '../native/ecdaa/ecdaa.ts';
import { addon } from '../native/index.ts';
import { concat, wipe } from '../protocol/bytes.ts';
import { G1_LENGTH } from '../protocol/crypto/encoding.ts';
import { type HostArithmetic, PORTABLE } from '../protocol/crypto/host-arithmetic.ts';

/** The addon's arithmetic, some ninety times as fast as TypeScript under --jitless; TypeScript's where the addon was built without it. */
export function hostArithmetic(): HostArithmetic {
  const face: Partial<EcdaaFace> = addon();
  return face.fp256bnMultiplyEach && face.fp256bnMultiplyAdd ? native(face as EcdaaFace) : PORTABLE;
}

/** Invalid input is passed to the TypeScript implementation, which reports it. */
function native(face: EcdaaFace): HostArithmetic {
  return {
    multiplyEach(points, scalar) {
      const scalars = concat(...Array.from({ length: points.length / G1_LENGTH }, () => scalar));
      try {
        return face.fp256bnMultiplyEach(points, scalars) ?? PORTABLE.multiplyEach(points, scalar);
      } finally {
        wipe(scalars);
      }
    },
    multiplyAdd: (P, a, Q, b) => face.fp256bnMultiplyAdd(P, a, Q, b) ?? PORTABLE.multiplyAdd(P, a, Q, b),
  };
}
