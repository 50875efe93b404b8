import { type Program, runProgram } from '../cli/program.ts';
import { leave, programArguments, VERSION, watchOutput } from '../os/service/process.ts';
import { devicePersonalise } from './commands/device.ts';
import { groupCreate, groupImport, groupShow } from './commands/group.ts';
import { inspect } from './commands/inspect.ts';
import { label } from './commands/label.ts';

const program: Program = {
  name: 'enf-factory',
  summary: 'create device groups, personalise devices and draw labels, in the secure facility',
  version: VERSION,
  commands: [groupCreate, groupImport, groupShow, devicePersonalise, label, inspect],
};

watchOutput(program.name);
leave(await runProgram(program, programArguments()));
