import { type Program, runProgram } from '../os/cli.ts';
import { leave, programArguments, VERSION } from '../os/process.ts';
import { audit } from './commands/audit.ts';
import { deviceCommands } from './commands/device.ts';
import { groupCommands } from './commands/group.ts';
import { init } from './commands/init.ts';
import { networkCommands } from './commands/network.ts';
import { serveCommand } from './commands/serve.ts';

const program: Program = {
  name: 'enf-fabric',
  summary: 'hosts an Edge Network Fabric: identities, tunnels, registry',
  version: VERSION,
  commands: [init, ...networkCommands, ...groupCommands, ...deviceCommands, serveCommand, audit],
};

leave(await runProgram(program, programArguments()));
