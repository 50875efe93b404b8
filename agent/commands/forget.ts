import type { Command } from '../../cli/program.ts';
import { exists } from '../../os/files/folder.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { type Config, isEnrolled, mayUseTpm } from '../config/config.ts';
import { holdState } from '../state/held.ts';
import { forgetStore } from '../state/state.ts';
import { isRunning } from '../status/client.ts';
import { CONFIG, readConfig } from './options.ts';

export const forget: Command = {
  name: 'forget',
  summary:
    'Removes the identity of this device from state and TPM, so that the next start provisions it again; needs a stopped agent',
  options: [CONFIG, { name: 'yes', help: 'really do it' }],
  examples: ['systemctl stop enf-agent && enf-agent forget --yes'],
  async run(invocation) {
    const config = await readConfig(invocation);
    if (!invocation.flag('yes')) {
      throw new Failure(
        'agent.not-confirmed',
        'operator',
        `this removes the identity kept in ${config.state.directory}`,
        {
          action: 'Add --yes if you mean it. The credential of the factory stays.',
        },
      );
    }
    if (await isRunning(config.control.socket)) {
      throw new Failure('agent.running', 'operator', 'the agent is running and would overwrite the state', {
        action: 'Stop it first: systemctl stop enf-agent.',
      });
    }
    const tpm = await forgetAll(config);
    const next = isEnrolled(config)
      ? 'to get another certificate, it is enrolled with a new code'
      : 'the next start provisions this device again';
    invocation.print(
      { forgotten: config.state.directory, tpm },
      () => `The identity is removed; ${next}.${tpm === null ? '' : ` ${TPM_OUTCOME[tpm]}`}`,
    );
    return undefined;
  },
};

/** Removes what is in the state folder, then what is in the TPM; null if there is nothing to remove there. @throws Failure `state.in-use`, `os.…` */
async function forgetAll(config: Config): Promise<TpmOutcome | null> {
  const { directory } = config.state;
  const held = (await exists(directory)) ? await holdState(directory) : undefined;
  try {
    if (held !== undefined) await forgetStore(held.folder);
    return mayUseTpm(config) ? await forgetTpm(config.tpm.tcti) : null;
  } finally {
    await held?.release();
  }
}

/** `clean`: nothing of the agent is left in the TPM; `kept`: its storage key is; `unasked`: the TPM does not answer. */
type TpmOutcome = 'clean' | 'kept' | 'unasked';

const TPM_OUTCOME: Record<TpmOutcome, string> = {
  clean: 'What the factory wrote into the TPM stays there.',
  kept: 'The agent’s storage key stays in the TPM: without the owner password it could not be created again.',
  unasked: 'The TPM does not answer; a storage key of the agent may be left in it.',
};

/** The identity is gone with the state: a key is useless without its half in there. */
async function forgetTpm(tcti: string): Promise<TpmOutcome> {
  const { forgetTpmKeys } = await import('../identity/tpm-keys.ts');
  try {
    return (await forgetTpmKeys(tcti)) ? 'clean' : 'kept';
  } catch (error) {
    if (!isFailure(error)) throw error;
    return 'unasked';
  }
}
