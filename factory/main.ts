import { type Program, runProgram } from '../cli/program.ts';
import { leave, programArguments, VERSION, watchOutput } from '../os/service/process.ts';
import { batchClose, batchExport, batchStatus } from './commands/batch.ts';
import { batchLabels } from './commands/boxes.ts';
import { devicePersonalise } from './commands/device.ts';
import { groupCreate, groupImport, groupSeal, groupShow } from './commands/group.ts';
import { deviceVerify, deviceWipe } from './commands/incoming.ts';
import { inspect } from './commands/inspect.ts';
import { label } from './commands/label.ts';
import { makerCreate } from './commands/maker.ts';
import { batchRun } from './commands/run.ts';
import { stationServe, stationToken } from './commands/station.ts';

const program: Program = {
  name: 'enf-factory',
  summary: 'create device groups, personalise devices and draw labels, in the secure facility',
  version: VERSION,
  commands: [
    groupCreate,
    groupImport,
    groupShow,
    groupSeal,
    devicePersonalise,
    deviceVerify,
    deviceWipe,
    batchRun,
    batchStatus,
    batchExport,
    batchClose,
    batchLabels,
    stationServe,
    stationToken,
    label,
    makerCreate,
    inspect,
  ],
};

watchOutput(program.name);
leave(await runProgram(program, programArguments()));
