import type { Invocation, Option } from '../../../cli/program.ts';
import { askLine, hasTerminal } from '../../../cli/prompt.ts';
import { Failure } from '../../../protocol/failure.ts';

export const YES: Option = { name: 'yes', help: 'do not ask' };

/** Who may be asked; tests answer themselves. */
const TERMINAL = { isThere: hasTerminal, ask: askLine };

/**
 * Asks on the terminal before something is done that nobody, or not everybody, can undo, unless `--yes` is given. `what` says what is done and what
 * undoes it, with a capital and no full stop.
 * @throws Failure `cli.not-confirmed`, `os.cancelled`
 */
export async function requireYes(invocation: Invocation, what: string, terminal = TERMINAL): Promise<void> {
  if (invocation.flag(YES.name)) return;
  if (!terminal.isThere()) throw notConfirmed(what, 'Repeat the command with --yes.');
  const answer = await terminal.ask(`${what}. Go on? (yes/no) `);
  if (answer !== 'yes')
    throw notConfirmed(what, 'Repeat the command, and type "yes" to do it; or give it --yes.');
}

const notConfirmed = (what: string, action: string): Failure =>
  new Failure('cli.not-confirmed', 'operator', `${what}. Nothing was done`, {
    action,
  });
