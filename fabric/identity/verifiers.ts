import { primitives } from '../../os/primitives.ts';
import { toHex } from '../../protocol/bytes.ts';
import { type GroupVerifier, groupVerifier } from '../../protocol/crypto/verifier.ts';
import type { Group } from '../registry/records.ts';

/** Verifies group signatures of all admitted groups. */
export interface Verifiers {
  /** False for whatever no member of the group signed. */
  verify(group: Group, signature: Uint8Array, message: Uint8Array): Promise<boolean>;
}

/** Gives the rest of the program a turn. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Keeps each group's precomputed verifier from its first use on. A group never changes, its id is a hash over it.
 * Verification takes tens of milliseconds of this thread: one after the other, with a turn of the event loop
 * between, so that packets flow while many devices provision.
 */
export function groupVerifiers(): Verifiers {
  const known = new Map<string, GroupVerifier>();
  let last: Promise<unknown> = Promise.resolve();

  function verifierOf({ gid, gpk, basename }: Group): GroupVerifier {
    const name = toHex(gid);
    let verifier = known.get(name);
    if (verifier === undefined) {
      verifier = groupVerifier(primitives, gpk, basename);
      known.set(name, verifier);
    }
    return verifier;
  }

  return {
    verify(group, signature, message) {
      const result = last.then(turn).then(() => verifierOf(group).verify(signature, message));
      last = result.catch(() => {});
      return result;
    },
  };
}
