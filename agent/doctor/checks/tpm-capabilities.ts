import { ok } from '../../../cli/check.ts';
import { requireEcdaa } from '../../../tpm/probe.ts';
import type { Check } from '../check.ts';
import { checkTpm } from './tpm-use.ts';

export const tpmCapabilities: Check = {
  id: 'tpm-capabilities',
  about: 'the TPM answers and can do ECDAA on BN_P256',
  run: (probes) =>
    checkTpm(probes, async () => {
      const capabilities = await probes.capabilities();
      requireEcdaa(capabilities);
      return ok(`a TPM of ${capabilities.manufacturer || 'an unnamed maker'} with ECDAA on BN_P256`);
    }),
};
