import { type Finding, failed, failing, ok } from '../../../cli/check.ts';
import type { Check } from '../check.ts';
import type { Probes } from '../probes.ts';
import { checkTpmThatAnswers } from './tpm-use.ts';

export const credential: Check = {
  id: 'credential',
  about: 'key and credential make a valid group signature',
  async run(probes) {
    if (probes.config.identity.mode === 'tpm') return checkTpmThatAnswers(probes, () => prove(probes));
    return prove(probes).catch(failing);
  },
};

async function prove(probes: Pick<Probes, 'membership'>): Promise<Finding> {
  return (await probes.membership())
    ? ok('a signature for the group was made and verified')
    : failed(
        'the signature that was made is not valid for the group: key, credential and group do not belong together',
        'Personalise the device again.',
      );
}
