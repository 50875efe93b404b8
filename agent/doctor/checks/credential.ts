import { type Finding, failed, failing, ok, warning } from '../../../cli/check.ts';
import { isEnrolled } from '../../config/config.ts';
import { KEY_PLACES } from '../../config/key-place.ts';
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

/** Less of its life than this left: what should have renewed it has not. */
const LATE = 1 / 4;

/** Its chain is judged by the fabric, and so are its dates, by a clock that is right. */
async function named(probes: Pick<Probes, 'certificate' | 'config' | 'wallMs' | 'status'>): Promise<Finding> {
  const { subject, address, notBefore, notAfter, key } = await probes.certificate();
  const [from, to] = [Date.parse(notBefore), Date.parse(notAfter)];
  const enrolled = isEnrolled(probes.config);
  const what = `${subject} for ${address}, until ${notAfter}${enrolled || key === 'token' ? `, its key in ${KEY_PLACES[key]}` : ''}`;
  const now = probes.wallMs();
  if (now >= to)
    return failed(
      `${what}: by this device’s clock it has expired`,
      enrolled
        ? 'If the clock is right, enroll again with a new code: enf-agent enroll --force.'
        : 'If the clock is right, put a newer certificate there.',
    );
  const rotation = enrolled ? (await probes.status())?.rotation : undefined;
  const why = rotation?.failure
    ? `; the last renewal has failed: ${rotation.failure.message} [${rotation.failure.code}]`
    : '';
  if (to - now < LATE * (to - from) || why !== '')
    return warning(
      `${what}${why}`,
      enrolled
        ? 'The agent renews it by itself while it is online: see "enf-agent status".'
        : 'Have a newer certificate put there in time.',
    );
  return ok(rotation ? `${what}, renewed ${rotation.next}` : what);
}

async function prove(probes: Pick<Probes, 'membership'>): Promise<Finding> {
  return (await probes.membership())
    ? ok('a signature for the group was made and verified')
    : failed(
        'the signature that was made is not valid for the group: key, credential and group do not belong together',
        'Personalise the device again.',
      );
}
