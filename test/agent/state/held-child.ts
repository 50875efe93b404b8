/** Another program that wants the state in the folder of its argument: says whether it has it, and stays. */
import { holdState } from '../../../agent/state/held.ts';

const held = await holdState(process.argv[2]!).catch((error: { readonly code: string }) => error.code);
process.send!(typeof held === 'string' ? held : 'held');
setInterval(() => void held, 60_000);
