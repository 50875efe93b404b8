/** Prints 200 lines of 1,000 characters, one in each turn of the event loop, and ends with exit code 3. */
import { setImmediate } from 'node:timers/promises';
import { leave, watchOutput } from '../../../os/service/process.ts';

watchOutput('child');
for (let i = 0; i < 200; i++) {
  process.stdout.write(`${String(i).padEnd(999)}\n`);
  await setImmediate();
}
leave(3);
