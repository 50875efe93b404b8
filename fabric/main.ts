import { type Program, runProgram } from '../cli/program.ts';
import { leave, programArguments, VERSION, watchOutput } from '../os/service/process.ts';
import { commands } from './commands/all.ts';
import { IDENTITY_PROCESS } from './identity/messages.ts';
import { runIdentityProcess } from './identity/worker.ts';
import { PICTURE_PROCESS, runPictureProcess } from './labels/picture-process.ts';

const program: Program = {
  name: 'enf-fabric',
  summary: 'hosts an Edge Network Fabric: identities, tunnels, registry',
  version: VERSION,
  commands,
};

/** The parts of the program that it starts as processes of their own. */
const parts: Readonly<Record<string, () => Promise<number>>> = {
  [IDENTITY_PROCESS]: runIdentityProcess,
  [PICTURE_PROCESS]: runPictureProcess,
};

const args = programArguments();
watchOutput(program.name);
const part = Object.hasOwn(parts, args[0] ?? '') ? parts[args[0]!] : undefined;
leave(part === undefined ? await runProgram(program, args) : await part());
