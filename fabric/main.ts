import { type Program, runProgram } from '../cli/program.ts';
import { leave, programArguments, VERSION, watchOutput } from '../os/service/process.ts';
import { commands } from './commands/all.ts';
import { IDENTITY_PROCESS } from './identity/messages.ts';
import { runIdentityProcess } from './identity/worker.ts';

const program: Program = {
  name: 'enf-fabric',
  summary: 'hosts an Edge Network Fabric: identities, tunnels, registry',
  version: VERSION,
  commands,
};

const args = programArguments();
watchOutput(program.name);
leave(args[0] === IDENTITY_PROCESS ? await runIdentityProcess() : await runProgram(program, args));
