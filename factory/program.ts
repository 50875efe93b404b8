import type { Program } from '../cli/program.ts';
import { VERSION } from '../os/service/process.ts';
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

/** The factory's command line. */
export const PROGRAM: Program = {
  name: 'enf-factory',
  summary: 'create device groups, personalise devices and draw labels, in the secure facility',
  version: VERSION,
  sections: [
    { title: 'Groups and keys', commands: [groupCreate, groupImport, groupShow, groupSeal, makerCreate] },
    {
      title: 'Batches',
      commands: [batchRun, batchStatus, batchExport, batchClose, batchLabels, label],
    },
    { title: 'Single devices', commands: [devicePersonalise, deviceVerify, deviceWipe, inspect] },
    { title: 'A station for boards', commands: [stationServe, stationToken] },
  ],
};
