import { explainNotPermitted } from '../../os/linux/tpm-device.ts';
import { isFailure } from '../../protocol/failure.ts';
import { openTpm, type TpmOptions } from '../../tpm/context.ts';
import { readMembership, readTlsRoot, type TpmMembership } from '../../tpm/credential.ts';
import { createLongterm, loadLongterm } from '../../tpm/longterm.ts';
import { removeOwnParent } from '../../tpm/parent.ts';
import { type KeyStore, modeChanged } from './key-store.ts';

/**
 * Keys in the TPM that `tcti` names. The code of what only provisioning needs (the member's key) is
 * loaded when asked for. @throws Failure `tpm.…`
 */
export async function openTpmKeys(tcti: string, options?: TpmOptions): Promise<KeyStore> {
  const tpm = await explainNotPermitted(tcti, () => openTpm(tcti, options));
  // Read once for each connection to the TPM: a chip answers slowly, and what the factory wrote does not change.
  let read: { readonly membership: TpmMembership; readonly generation: number } | undefined;
  const membership = async (): Promise<TpmMembership> => {
    if (read === undefined || read.generation !== tpm.generation || !tpm.alive) {
      const membership = await readMembership(tpm);
      read = { membership, generation: tpm.generation };
    }
    return read.membership;
  };
  return {
    async credential() {
      const { gpk, credential, basename, xttRoot } = await membership();
      return { gpk, credential, basename, xttRoot };
    },
    async tlsRoot() {
      const root = await readTlsRoot(tpm, (await membership()).map);
      return root === undefined ? undefined : Uint8Array.from(root, (each) => each.charCodeAt(0));
    },
    async daaKey() {
      const { memberKey } = await import('./member-key.ts');
      return memberKey(tpm, (await membership()).map);
    },
    async create() {
      const { pem } = await createLongterm(tpm);
      return { kind: 'tpm', pem };
    },
    async load(saved) {
      if (saved.kind !== 'tpm') throw modeChanged(saved);
      return loadLongterm(tpm, saved.pem);
    },
    close: () => tpm.close(),
  };
}

/** Removes from the TPM what the factory wrote, and what the agent has stored there. False if a hierarchy is locked, so that something stays. */
export async function wipeTpmKeys(tcti: string): Promise<boolean> {
  const { wipeTpm } = await import('../../tpm/wipe.ts');
  const tpm = await explainNotPermitted(tcti, () => openTpm(tcti));
  try {
    await wipeTpm(tpm);
    return true;
  } catch (error) {
    if (!isFailure(error, 'tpm.hierarchy-locked')) throw error;
    await removeOwnParent(tpm);
    return false;
  } finally {
    await tpm.close();
  }
}

/** Removes from the TPM what the agent has stored there; what the factory wrote stays. False if an owner password prevents that. */
export async function forgetTpmKeys(tcti: string): Promise<boolean> {
  const tpm = await explainNotPermitted(tcti, () => openTpm(tcti, { timeoutMs: 10_000, retryMs: 2_000 }));
  try {
    return await removeOwnParent(tpm);
  } finally {
    await tpm.close();
  }
}
