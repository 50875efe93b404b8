import { type Finding, failed, failing, ok } from '../../../cli/check.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import type { Check } from '../check.ts';
import type { Probes } from '../probes.ts';
import { checkTpmThatAnswers } from './tpm-use.ts';

export const credential: Check = {
  id: 'credential',
  about: 'key and credential make a valid group signature, or there is a certificate with its key',
  async run(probes) {
    if (probes.config.identity.mode === 'pki') return named(probes).catch(failing);
    if (probes.config.identity.mode === 'tpm') return checkTpmThatAnswers(probes, () => prove(probes));
    return prove(probes).catch(failing);
  },
};

/** Its chain and dates are judged by the fabric, whose clock is right. */
async function named({ certificate }: Pick<Probes, 'certificate'>): Promise<Finding> {
  const { address, facts } = await certificate();
  return ok(
    `${facts.subject} for ${formatIpv6(address)}, until ${new Date(1_000 * facts.notAfter).toISOString()}`,
  );
}

async function prove(probes: Pick<Probes, 'membership'>): Promise<Finding> {
  return (await probes.membership())
    ? ok('a signature for the group was made and verified')
    : failed(
        'the signature that was made is not valid for the group: key, credential and group do not belong together',
        'Personalise the device again.',
      );
}
