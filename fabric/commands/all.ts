import type { Command, Section } from '../../cli/program.ts';
import { alarmCommands } from './alarm.ts';
import { audit } from './audit.ts';
import { backupCommands } from './backup.ts';
import { bulkCommands } from './bulk.ts';
import { certificateCommands } from './certificate.ts';
import { checkConfig } from './check-config.ts';
import { consoleServe } from './console.ts';
import { deviceCommands } from './device.ts';
import { doctor } from './doctor.ts';
import { groupCommands } from './group.ts';
import { init } from './init.ts';
import { netcheckCommand } from './netcheck.ts';
import { networkCommands } from './network.ts';
import { bgpConfig } from './nodes/bgp.ts';
import { drain } from './nodes/drain.ts';
import { nodeCommands } from './nodes/node.ts';
import { registryCommands } from './nodes/registry.ts';
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
export const sections: readonly Section[] = [
  {
    title: 'Set up, serve and check',
    commands: [init, checkConfig, serveCommand, drain, consoleServe, status, doctor, netcheckCommand],
  },
  { title: 'Networks', commands: networkCommands },
  { title: 'Batches of devices: labels, groups, rosters', commands: [...groupCommands, ...rosterCommands] },
  { title: 'Devices', commands: [...deviceCommands, ...bulkCommands] },
  { title: 'Rules and rate limits of traffic', commands: [...ruleCommands, ...limitCommands] },
  { title: 'Devices with certificates: CAs and codes', commands: [...pkiCommands, ...issuingCommands] },
  {
    title: 'Audit trail, alarms and privacy',
    commands: [audit, ...alarmCommands, ...privacyCommands],
  },
  { title: 'Backups', commands: backupCommands },
  {
    title: 'Several nodes and their registry',
    commands: [...nodeCommands, bgpConfig, ...registryCommands],
  },
  { title: "The fabric's own certificates and roots", commands: [...certificateCommands, ...rootCommands] },
  {
    title: 'People, tokens and owners',
    commands: [consoleInvite, ...personCommands, ...tokenCommands, ...ownerCommands],
  },
];

export const commands: readonly Command[] = sections.flatMap((section) => section.commands);
