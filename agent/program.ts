import type { Program } from '../cli/program.ts';
import { VERSION } from '../os/service/process.ts';
import { bugreport } from './commands/bugreport.ts';
import { checkConfig } from './commands/check-config.ts';
import { decommission } from './commands/decommission.ts';
import { doctor } from './commands/doctor.ts';
import { enroll } from './commands/enroll.ts';
import { forget } from './commands/forget.ts';
import { importEnftun } from './commands/import-enftun.ts';
import { netcheck } from './commands/netcheck.ts';
import { provision } from './commands/provision.ts';
import { run } from './commands/run.ts';
import { status } from './commands/status.ts';

/** The agent's command line; what a command needs is loaded when it runs. */
export const PROGRAM: Program = {
  name: 'enf-agent',
  summary: 'gives this device its identity and keeps its tunnel to the Edge Network Fabric',
  version: VERSION,
  sections: [
    { title: 'The service', commands: [run] },
    { title: 'Look and check', commands: [status, doctor, netcheck, bugreport, checkConfig] },
    {
      title: 'Identity of the device',
      commands: [provision, enroll, importEnftun, forget, decommission],
    },
  ],
};
