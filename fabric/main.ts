import { type Program, runProgram } from '../cli/program.ts';
import { leave, programArguments, VERSION, watchOutput } from '../os/service/process.ts';
import { commands } from './commands/all.ts';
import { IDENTITY_PROCESS } from './identity/messages.ts';

/** What a command needs is loaded when it runs: most of them need neither the server nor its arithmetic. */
const program: Program = {
  name: 'enf-fabric',
  summary: 'hosts an Edge Network Fabric: identities, tunnels, registry',
  version: VERSION,
  commands,
};

const args = programArguments();
watchOutput(program.name);
leave(args[0] === IDENTITY_PROCESS ? await runIdentity() : await runProgram(program, args));

async function runIdentity(): Promise<number> {
  const { runIdentityProcess } = await import('./identity/worker.ts');
  return runIdentityProcess();
}
