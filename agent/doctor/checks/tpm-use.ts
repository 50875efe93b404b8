import { type Finding, failing, skipped } from '../../../cli/check.ts';
import { areaOf, isFailure } from '../../../protocol/failure.ts';
import type { Probes } from '../probes.ts';

/** As `checkTpm`, but skipped if the TPM does not answer at all: the check "tpm-capabilities" reports why. */
export async function checkTpmThatAnswers(
  probes: Pick<Probes, 'config' | 'status' | 'capabilities'>,
  look: () => Promise<Finding>,
): Promise<Finding> {
  return checkTpm(probes, async () => {
    const answers = await probes.capabilities().then(
      () => true,
      (error: unknown) => {
        if (isFailure(error, 'tpm.busy') || isFailure(error, 'tpm.timeout') || !isFailure(error)) throw error;
        return false;
      },
    );
    return answers ? look() : skipped('the TPM does not answer: see tpm-capabilities');
  });
}

/**
 * A check of the TPM. Skipped if the keys are in files, and if a running agent uses a TPM that only one program can use at a time:
 * then the agent's status reports what is wrong with it.
 */
export async function checkTpm(
  probes: Pick<Probes, 'config' | 'status'>,
  look: () => Promise<Finding>,
): Promise<Finding> {
  const { mode } = probes.config.identity;
  if (mode !== 'tpm')
    return skipped(mode === 'pki' ? 'this device has a certificate, no credential' : 'the keys are in files');
  try {
    return await look();
  } catch (error) {
    const held = isFailure(error, 'tpm.busy') || isFailure(error, 'tpm.timeout');
    const status = held ? await probes.status() : undefined;
    if (status !== undefined && (status.trouble === null || areaOf(status.trouble.code) !== 'tpm')) {
      return skipped('the running agent uses this TPM, which only one program can use at a time');
    }
    return failing(error);
  }
}
