import { type Program, runProgram } from '../cli/program.ts';
import { devicePersonalise } from './commands/device.ts';
import { groupCreate, groupShow } from './commands/group.ts';
import { inspect } from './commands/inspect.ts';
import { label } from './commands/label.ts';

const program: Program = {
  name: 'enf-factory',
  summary: 'create device groups, personalise devices and draw labels, in the secure facility',
  version: process.env.ENF_VERSION ?? 'dev',
  commands: [groupCreate, groupShow, devicePersonalise, label, inspect],
};

process.exitCode = await runProgram(program, process.argv.slice(2));
