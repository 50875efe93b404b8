import { groupVerifier } from '../../crypto/ecdaa.ts';
import { primitives } from '../../crypto/primitives.ts';
import { toHex } from '../../protocol/bytes.ts';
import type { GroupVerifier } from '../../protocol/crypto/verifier.ts';
import { newestMap } from '../../protocol/newest-map.ts';
import type { Group } from '../registry/records.ts';

/** Verifies group signatures of all admitted groups. */
export interface Verifiers {
  /** False for any signature that no member of the group made. */
  verify(group: Group, signature: Uint8Array, message: Uint8Array): Promise<boolean>;
}

/** A prepared group takes some 75 KB and a few milliseconds to prepare. */
const MOST_PREPARED = 1_024;

/**
 * Caches the prepared verifiers of the most recently used groups. A group never changes: its id is a hash over it. The
 * addon's verification runs in other threads.
 */
export function groupVerifiers(): Verifiers {
  const known = newestMap<string, GroupVerifier>(MOST_PREPARED);

  function verifierOf({ gid, gpk, basename }: Group): GroupVerifier {
    const name = toHex(gid);
    const verifier = known.get(name) ?? groupVerifier(primitives, gpk, basename);
    known.set(name, verifier);
    return verifier;
  }

  return {
    verify: async (group, signature, message) => verifierOf(group).verify(signature, message),
  };
}
