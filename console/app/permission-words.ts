import type { Permission, Role } from '../../fabric/access/roles.ts';

/** What each permission lets somebody do, as what follows "may". */
export const PERMISSION_WORDS: Readonly<Record<Permission, string>> = {
  'networks.read': 'see the networks',
  'networks.write': 'add, name and remove networks, and give their devices names in DNS',
  'groups.read': 'see the batches, and how many of each have come',
  'groups.claim': 'scan labels and admit batches',
  'groups.suspend': 'suspend batches, and resume them',
  'groups.write': 'rename batches, change their limits, and remove them',
  'devices.read': 'see the devices',
  'devices.name': 'give devices names and notes',
  'devices.standing': 'evict, ban and unban devices, also many at once',
  'devices.replace': 'retire devices, and replace one by another',
  'handshakes.read': 'see where handshakes came from, and who was refused',
  'audit.read': 'read and verify the audit trail',
  'alarms.read': 'see the alarms',
  'alarms.write': 'say that somebody looks after an alarm',
  'hooks.write': 'choose who else hears of alarms',
  'people.read': 'see who may sign in, and which invites are open',
  'people.write': 'invite and remove people, and change their roles',
  'tokens.write': 'make and revoke tokens for programs',
  'settings.write': 'choose what is kept of the addresses of handshakes',
  'keys.read': 'see the certificates and roots of the fabric',
  'keys.write': 'replace the certificates and roots of the fabric',
  'owners.write': 'add and close owners, and lend them prefixes',
};

/** What a role is for. */
export const ROLE_WORDS: Readonly<Record<Role, string>> = {
  host: 'Runs the fabric: may do everything, for all owners.',
  owner: 'May do everything that is this owner’s: networks, batches, devices, people, tokens.',
  operator: 'Admits batches, and bans, names and replaces devices. Changes no networks and no people.',
  installer: 'Scans labels and names devices. Sees no handshakes, no alarms and no audit trail.',
  auditor: 'Sees devices, handshakes, alarms, people and the audit trail, and changes nothing.',
};
