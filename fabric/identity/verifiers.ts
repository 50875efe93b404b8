import { groupVerifier } from '../../crypto/ecdaa.ts';
import { primitives } from '../../crypto/primitives.ts';
import { toHex } from '../../protocol/bytes.ts';
import type { GroupVerifier } from '../../protocol/crypto/verifier.ts';
import type { Group } from '../registry/records.ts';

/** Verifies group signatures of all admitted groups. */
export interface Verifiers {
  /** False for whatever no member of the group signed. */
  verify(group: Group, signature: Uint8Array, message: Uint8Array): Promise<boolean>;
}

/** A prepared group takes some 75 KB and a few milliseconds to prepare. */
const PREPARED = 1_024;

/**
 * Keeps each group's precomputed verifier from its first use on, the most recently used ones. A group never changes, its
 * id is a hash over it. Verification runs beside this thread where the addon has it.
 */
export function groupVerifiers(): Verifiers {
  const known = new Map<string, GroupVerifier>();

  function verifierOf({ gid, gpk, basename }: Group): GroupVerifier {
    const name = toHex(gid);
    const verifier = known.get(name) ?? groupVerifier(primitives, gpk, basename);
    known.delete(name);
    known.set(name, verifier);
    if (known.size > PREPARED) known.delete(known.keys().next().value!);
    return verifier;
  }

  return {
    verify: async (group, signature, message) => verifierOf(group).verify(signature, message),
  };
}
