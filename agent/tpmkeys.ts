import { openTpm } from '../tpm/context.ts';
import { readCredential } from '../tpm/credential.ts';
import { createLongterm, loadLongterm } from '../tpm/longterm.ts';
import { type KeyStore, modeChanged } from './keys.ts';

/**
 * Keys in the TPM that `tcti` names. What only provisioning needs (the probe of its abilities, the ECDAA key) is
 * loaded when asked for. @throws Failure `tpm.…`
 */
export async function openTpmKeys(tcti: string): Promise<KeyStore> {
  const tpm = await openTpm(tcti);
  return {
    async credential() {
      const { gpk, credential, basename, xttRoot, tlsRoot } = await readCredential(tpm);
      return { gpk, credential, basename, xttRoot, tlsRoot };
    },
    async daaKey() {
      const [{ probe, requireEcdaa }, { openDaaKey }] = await Promise.all([
        import('../tpm/probe.ts'),
        import('../tpm/daa.ts'),
      ]);
      requireEcdaa(await probe(tpm));
      return openDaaKey(tpm, (await readCredential(tpm)).map.daaKey);
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
