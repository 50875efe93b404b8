import type { Invocation } from '../../../cli/program.ts';
import type { Progress } from '../../backup/progress.ts';

/** For people; a program waits for the JSON. */
export function progressOf(invocation: Invocation): Progress {
  return {
    step: (what) => {
      if (!invocation.flag('json')) process.stderr.write(`${what} …\n`);
    },
  };
}
