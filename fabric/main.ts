import { type Program, runProgram } from '../os/cli.ts';
import { leave, programArguments, VERSION } from '../os/process.ts';
import { commands } from './commands/all.ts';
import { IDENTITY_PROCESS } from './identity/post.ts';
import { runIdentityProcess } from './identity/process.ts';

const program: Program = {
  name: 'enf-fabric',
  summary: 'hosts an Edge Network Fabric: identities, tunnels, registry',
  version: VERSION,
  commands,
};

const words = programArguments();
leave(words[0] === IDENTITY_PROCESS ? await runIdentityProcess() : await runProgram(program, words));
