import type { TpmOptions } from '../../tpm/context.ts';
import type { Config } from '../config/config.ts';
import type { KeyStore } from './key-store.ts';

/** Opens the key store that the configuration names; the code of the other kind is not loaded. */
export async function openKeys(config: Config, options?: TpmOptions): Promise<KeyStore> {
  if (config.identity.mode === 'software') {
    const { openSoftwareKeys } = await import('./software-keys.ts');
    return openSoftwareKeys(config.identity.credentialDir);
  }
  const { openTpmKeys } = await import('./tpm-keys.ts');
  return openTpmKeys(config.tpm.tcti, options);
}
