import type { Command } from '../../os/cli.ts';
import { exists, openFolder } from '../../os/folder.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { forgetStore } from '../state.ts';
import { askStatus, CONFIG, JSON_OUTPUT, readConfig } from './shared.ts';

export const forget: Command = {
  name: 'forget',
  summary:
    'Removes the identity of this device, so that the next start provisions it anew; needs a stopped agent',
  options: [CONFIG, { name: 'yes', help: 'really do it' }, JSON_OUTPUT],
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
      throw new Failure('agent.running', 'operator', 'the agent is running and would write its state again', {
        action: 'Stop it first: systemctl stop enf-agent.',
      });
    }
    if (await exists(config.state.directory)) await forgetStore(await openFolder(config.state.directory));
    invocation.print(
      { forgotten: config.state.directory },
      () => 'The identity is removed; the next start provisions this device anew.',
    );
    return undefined;
  },
};

/** True if an agent answers on the socket. @throws Failure `control.…` if somebody else does */
export async function isRunning(socket: string): Promise<boolean> {
  try {
    await askStatus(socket);
    return true;
  } catch (error) {
    if (isFailure(error, 'agent.not-running')) return false;
    throw error;
  }
}
