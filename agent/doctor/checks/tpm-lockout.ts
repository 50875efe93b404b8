import { failed, ok, warning } from '../../../cli/check.ts';
import type { Check } from '../check.ts';
import { checkTpmThatAnswers } from './tpm-use.ts';

const FIND_OUT =
  'Find out which program tries wrong passwords; reset it with: tpm2_dictionarylockout --clear-lockout.';

export const tpmLockout: Check = {
  id: 'tpm-lockout',
  about: 'the dictionary-attack counter of the TPM',
  run: (probes) =>
    checkTpmThatAnswers(probes, async () => {
      const { lockedOut, lockout } = await probes.capabilities();
      const count = `${lockout.counter} of ${lockout.limit} failed attempts`;
      if (lockedOut) {
        return failed(
          `the TPM is locked out after ${count}; one is forgiven every ${lockout.seconds} s`,
          `Our own keys are exempt, so the tunnel may work all the same. ${FIND_OUT}`,
        );
      }
      if (lockout.counter > 0) return warning(count, FIND_OUT);
      return ok(count);
    }),
};
