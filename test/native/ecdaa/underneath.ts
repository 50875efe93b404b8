/**
 * Slips the native implementation under protocol/crypto: test files of protocol/crypto that are imported after
 * `vi.mock(…, underneath(…))` ask crypto/ecdaa.ts, and so the addon, where they believe to ask TypeScript.
 */

import type * as Ecdaa from '../../../crypto/ecdaa.ts';
import { primitives } from '../../../crypto/primitives.ts';
import type { Arithmetic } from '../../../native/ecdaa/ecdaa.ts';
import { choose } from './arithmetics.ts';

const NAMES = ['groupVerifier', 'issueCredential', 'sign', 'softwareDaaKey'] as const;
type Any = (...parameters: unknown[]) => unknown;

let ecdaa: typeof Ecdaa | undefined;
let inside = false;

/** What crypto/ecdaa.ts itself calls is the original. */
function from(inner: Any, ...parameters: unknown[]): unknown {
  const before = inside;
  inside = true;
  try {
    return inner(...parameters);
  } finally {
    inside = before;
  }
}

/** A key of crypto/ecdaa.ts makes its commitments with protocol/crypto. */
function withOriginalInside(result: unknown): unknown {
  const commit = (result as { commit?: Any }).commit;
  if (!commit) return result;
  const value = (...parameters: unknown[]) => from(commit, ...parameters);
  return Object.defineProperty(result, 'commit', { value });
}

/** `original` with those functions from crypto/ecdaa.ts that are there, too. */
export function underneath<T extends object>(original: T): T {
  const replaced = NAMES.filter((name) => name in original).map((name) => {
    const reference = (original as Record<string, unknown>)[name] as Any;
    // A verifier whose coefficients a test chooses is the reference's: the addon draws its own.
    const isWeighed = (p: unknown) => name === 'groupVerifier' && p !== primitives;
    const slipped: Any = (...parameters) =>
      inside || isWeighed(parameters[0])
        ? reference(...parameters)
        : withOriginalInside(from(ecdaa![name] as unknown as Any, ...parameters));
    return [name, slipped];
  });
  return { ...original, ...Object.fromEntries(replaced) };
}

/** Loads crypto/ecdaa.ts; to be called when the mocks are in place and before a test runs. False if there is no such arithmetic. */
export async function slipUnderneath(arithmetic: Arithmetic): Promise<boolean> {
  ecdaa = await import('../../../crypto/ecdaa.ts');
  return choose(arithmetic);
}
