import { type HeldFolder, holdFolder } from '../../os/files/folder.ts';
import { Failure } from '../../protocol/failure.ts';

/**
 * Opens the folder of the state for this program alone: the agent has it as long as it runs, a command while it writes. Whoever reads only does without.
 * @throws Failure `state.in-use`, `os.no-folder`
 */
export async function holdState(directory: string): Promise<HeldFolder> {
  const held = await holdFolder(directory);
  if (held !== undefined) return held;
  throw new Failure('state.in-use', 'retry', `${directory} is in use by the agent, or by a command of it`, {
    action:
      'Try again when that command has ended. If it is the agent, which has just started: "enf-agent status" shows it, and "systemctl stop enf-agent" stops it.',
  });
}
