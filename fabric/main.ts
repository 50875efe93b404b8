import { type Program, runProgram } from '../cli/program.ts';
import { leave, programArguments, VERSION, watchOutput } from '../os/service/process.ts';
import { sections } from './commands/all.ts';
import { NAME_PROCESS } from './dns/messages.ts';
import { EST_PROCESS } from './est/messages.ts';
import { IDENTITY_PROCESS } from './identity/messages.ts';
import { PICTURE_PROCESS } from './labels/picture-process.ts';

/** What a command needs is loaded when it runs: most of them need neither the server nor its arithmetic. */
const program: Program = {
  name: 'enf-fabric',
  summary: 'hosts an Edge Network Fabric: identities, tunnels, registry',
  version: VERSION,
  sections,
};

/** The parts of the program that it starts as processes of their own. */
const parts: Readonly<Record<string, () => Promise<number>>> = {
  [IDENTITY_PROCESS]: async () => (await import('./identity/worker.ts')).runIdentityProcess(),
  [EST_PROCESS]: async () => (await import('./est/process.ts')).runEstProcess(),
  [NAME_PROCESS]: async () => (await import('./dns/process.ts')).runNameProcess(),
  [PICTURE_PROCESS]: async () => (await import('./labels/picture-process.ts')).runPictureProcess(),
};

const args = programArguments();
watchOutput(program.name);
const part = Object.hasOwn(parts, args[0] ?? '') ? parts[args[0]!] : undefined;
leave(part === undefined ? await runProgram(program, args) : await part());
