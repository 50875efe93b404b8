import { ok } from '../../../cli/check.ts';
import { describeTpm, lackingForEcdaa, requireEcdaa } from '../../../tpm/probe.ts';
import type { Check } from '../check.ts';
import { checkTpm } from './tpm-use.ts';

export const tpmCapabilities: Check = {
  id: 'tpm-capabilities',
  about: 'the TPM answers, and can do ECDAA on BN_P256 or keeps a sealed secret',
  run: (probes) =>
    checkTpm(probes, async () => {
      const capabilities = await probes.capabilities();
      const lacking = lackingForEcdaa(capabilities);
      const { maps } = await probes.inspection();
      if (maps.some(({ daaKey }) => daaKey?.sealed && daaKey.fault === undefined)) {
        const can = lacking.length === 0 ? 'that can do ECDAA' : `without ${lacking.join(', ')}`;
        return ok(
          `a TPM of ${describeTpm(capabilities)}, ${can}; it keeps the member's secret (resident: no)`,
        );
      }
      requireEcdaa(capabilities);
      return ok(`a TPM of ${describeTpm(capabilities)}, with ECDAA on BN_P256`);
    }),
};
