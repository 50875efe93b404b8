import type { Command } from '../../cli/program.ts';
import { alarmCommands } from './alarm.ts';
import { audit } from './audit.ts';
import { backupCommands } from './backup.ts';
import { bulkCommands } from './bulk.ts';
import { certificateCommands } from './certificate.ts';
import { checkConfig } from './check-config.ts';
import { consoleServe } from './console.ts';
import { deviceCommands } from './device.ts';
import { doctor } from './doctor.ts';
import { drain } from './drain.ts';
import { groupCommands } from './group.ts';
import { init } from './init.ts';
import { netcheckCommand } from './netcheck.ts';
import { networkCommands } from './network.ts';
import { ownerCommands } from './owner.ts';
import { consoleInvite, personCommands } from './person.ts';
import { pkiCommands } from './pki/cas.ts';
import { issuingCommands } from './pki/issuing.ts';
import { privacyCommands } from './privacy.ts';
import { rootCommands } from './root.ts';
import { rosterCommands } from './roster.ts';
import { serveCommand } from './serve.ts';
import { status } from './status.ts';
import { tokenCommands } from './token.ts';
import { limitCommands } from './traffic/limit.ts';
import { ruleCommands } from './traffic/rule.ts';

/** In the order in which a new owner needs them. */
export const commands: readonly Command[] = [
  init,
  ...networkCommands,
  ...groupCommands,
  ...rosterCommands,
  serveCommand,
  drain,
  ...deviceCommands,
  ...bulkCommands,
  ...ruleCommands,
  ...limitCommands,
  ...pkiCommands,
  ...issuingCommands,
  audit,
  ...alarmCommands,
  ...privacyCommands,
  ...backupCommands,
  ...certificateCommands,
  ...rootCommands,
  ...tokenCommands,
  consoleServe,
  checkConfig,
  status,
  doctor,
  netcheckCommand,
  consoleInvite,
  ...personCommands,
  ...ownerCommands,
];
