import type { Arithmetic, EcdaaFace } from '../../../native/ecdaa/ecdaa.ts';
import { addon } from '../../../native/index.ts';

const ALL: readonly Arithmetic[] = ['portable', 'adx', 'lanes'];

/** Chooses an arithmetic; false if this processor or build lacks it. */
export function choose(arithmetic: Arithmetic): boolean {
  try {
    return (addon() as EcdaaFace).ecdaaArithmetic(arithmetic) === arithmetic;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** The arithmetics of this machine; the best one stays chosen. */
export function arithmetics(): Arithmetic[] {
  return ALL.filter(choose);
}
