import { type Program, runProgram } from '../os/cli.ts';
import { leave, programArguments, VERSION } from '../os/process.ts';
import { commands } from './commands/all.ts';

const program: Program = {
  name: 'enf-fabric',
  summary: 'hosts an Edge Network Fabric: identities, tunnels, registry',
  version: VERSION,
  commands,
};

leave(await runProgram(program, programArguments()));
