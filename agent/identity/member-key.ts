import { keptDaaKey } from '../../crypto/member-secret.ts';
import { primitives } from '../../crypto/primitives.ts';
import { isFailure } from '../../protocol/failure.ts';
import type { Tpm } from '../../tpm/context.ts';
import type { HandleMap } from '../../tpm/handles.ts';
import { openMemberKey } from '../../tpm/member-key.ts';
import { probe, requireEcdaa } from '../../tpm/probe.ts';
import type { DeviceKey } from './key-store.ts';

/**
 * The member's key in a TPM. If that keeps only its secret, sealed, it is unsealed for each signature, and is in the memory of this program for as
 * long as that takes. @throws Failure `tpm.…`
 */
export async function memberKey(tpm: Tpm, map: HandleMap): Promise<DeviceKey> {
  const { key, resident } = await openMemberKey(tpm, map, (point, open) =>
    keptDaaKey(primitives, point, open),
  );
  return {
    publicPoint: key.publicPoint,
    resident,
    async commit(base, basename) {
      try {
        return await key.commit(base, basename);
      } catch (error) {
        // If the TPM lacks what ECDAA needs, report that instead of its first refusal.
        if (resident && isFailure(error) && tpm.alive) requireEcdaa(await probe(tpm));
        throw error;
      }
    },
  };
}
