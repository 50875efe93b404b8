import { OPERATIONS, type OperationName } from '../../fabric/operations/all.ts';
import { ANSWERS } from '../../fabric/operations/answers.ts';
import { differs } from './strict.ts';

/*
 * Whoever imports this has every operation's view compared with its schema, in whatever test it is run.
 */

for (const [name, operation] of OPERATIONS) {
  const { run } = operation;
  (operation as { run: typeof run }).run = async (context, input) => {
    const view = await run(context, input);
    const wrong = differs(ANSWERS[name as OperationName], view);
    if (wrong !== undefined) throw new Error(`${name} answers otherwise than its schema says: ${wrong}`);
    return view;
  };
}
