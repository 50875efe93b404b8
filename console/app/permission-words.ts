import type { Permission, Role } from '../../fabric/access/roles.ts';

/** What each permission lets somebody do. */
export const PERMISSION_WORDS: Readonly<Record<Permission, string>> = {
  'networks.read': 'See the networks',
  'networks.write': 'Add, name and remove networks, and give their devices names in DNS',
  'rules.read': 'See who reaches whom in a network, and how much devices may send',
  'rules.write': 'Change the rules of who reaches whom, and the rate limits of devices',
  'groups.read': 'See the batches, and how many of each have come',
  'groups.claim': 'Scan labels and admit batches',
  'groups.suspend': 'Suspend batches, and resume them',
  'groups.write': 'Rename batches, change their limits, and remove them',
  'devices.read': 'See the devices',
  'devices.name': 'Give devices names and notes',
  'devices.standing': 'Evict, ban and unban devices, also many at once',
  'devices.replace': 'Retire devices, and replace one by another',
  'pki.read': 'See the CAs whose certificates admit machines',
  'pki.enrol': 'Make codes by which machines get certificates',
  'pki.revoke': 'Revoke certificates of these CAs',
  'pki.write': 'Make, add and remove CAs, list their machines, and register keys of others',
  'handshakes.read': 'See where handshakes came from, and who was refused',
  'audit.read': 'Read and verify the audit trail',
  'alarms.read': 'See the alarms',
  'alarms.write': 'Say that somebody looks after an alarm',
  'hooks.write': 'Choose who else hears of alarms',
  'people.read': 'See who may sign in, and which invites are open',
  'people.write': 'Invite and remove people, and change their roles',
  'tokens.write': 'Make and revoke tokens for programs',
  'settings.write': 'Choose what is kept of the addresses of handshakes',
  'keys.read': 'See the certificates and roots of the fabric',
  'keys.write': 'Replace the certificates and roots of the fabric',
  'owners.write': 'Add and close owners, and lend them prefixes',
  'nodes.read': 'See the hosts that serve together',
  'nodes.write': 'Have devices leave such a host, and forget one that is gone',
};

/** What a role is for. */
export const ROLE_WORDS: Readonly<Record<Role, string>> = {
  host: 'Runs the fabric: may do everything, for all owners.',
  owner: 'May do everything that is this owner’s: networks, batches, devices, people, tokens.',
  operator: 'Admits batches, and bans, names and replaces devices. Changes no networks and no people.',
  installer: 'Scans labels and names devices. Sees no handshakes, no alarms and no audit trail.',
  auditor: 'Sees devices, handshakes, alarms, people and the audit trail, and changes nothing.',
};
