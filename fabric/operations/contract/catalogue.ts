import type { Permission } from '../../access/roles.ts';

/** What each operation is to whoever calls it from outside: the permission that it needs, and its place in the API. */
export interface Entry {
  readonly permission: Permission;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below `/api/v1`; `{name}` is a field of the input. The other fields are in the query of a GET, else in the body. */
  readonly path: string;
  readonly summary: string;
}

export const CATALOGUE: Readonly<Record<string, Entry>> = {
  'network-list': {
    permission: 'networks.read',
    method: 'GET',
    path: '/networks',
    summary: 'Networks, oldest first',
  },
  'network-add': {
    permission: 'networks.write',
    method: 'POST',
    path: '/networks',
    summary: 'Adds a network',
  },
  'network-rename': {
    permission: 'networks.write',
    method: 'POST',
    path: '/networks/{prefix}/name',
    summary: 'Renames a network',
  },
  'network-remove': {
    permission: 'networks.write',
    method: 'DELETE',
    path: '/networks/{prefix}',
    summary: 'Removes a network that has no groups',
  },
  overview: {
    permission: 'devices.read',
    method: 'GET',
    path: '/overview',
    summary: 'Numbers of devices and handshakes, by hour and country',
  },
  'label-read': {
    permission: 'groups.claim',
    method: 'POST',
    path: '/labels/read',
    summary: 'What a label says, and what is known here of its group',
  },
  'group-list': {
    permission: 'groups.read',
    method: 'GET',
    path: '/groups',
    summary: 'Groups, oldest first',
  },
  'group-add': {
    permission: 'groups.claim',
    method: 'POST',
    path: '/groups',
    summary: 'Admits a group by the text of its label',
  },
  'group-show': {
    permission: 'groups.read',
    method: 'GET',
    path: '/groups/{gid}',
    summary: 'One group with its newest refusals, by the first digits of its id',
  },
  'group-change': {
    permission: 'groups.write',
    method: 'POST',
    path: '/groups/{gid}',
    summary: 'Changes the name of a group, how many devices are expected or may come, and from where',
  },
  'group-remove': {
    permission: 'groups.write',
    method: 'DELETE',
    path: '/groups/{gid}',
    summary: 'Removes a group that has no devices',
  },
  'group-arrivals': {
    permission: 'groups.read',
    method: 'GET',
    path: '/groups/{gid}/arrivals',
    summary: 'How many devices of a group had come by when',
  },
  'group-status': {
    permission: 'groups.suspend',
    method: 'POST',
    path: '/groups/{gid}/status',
    summary: 'Suspends a group or resumes it, by the first digits of its id',
  },
  'device-list': {
    permission: 'devices.read',
    method: 'GET',
    path: '/devices',
    summary: 'Devices, oldest first',
  },
  'device-show': {
    permission: 'devices.read',
    method: 'GET',
    path: '/devices/{address}',
    summary: 'One device with its newest handshakes',
  },
  'device-standing': {
    permission: 'devices.standing',
    method: 'POST',
    path: '/devices/{address}/standing',
    summary: 'Evicts, bans or unbans a device',
  },
  'device-name': {
    permission: 'devices.name',
    method: 'POST',
    path: '/devices/{address}/name',
    summary: 'Names a device, or notes something of it',
  },
  'device-retire': {
    permission: 'devices.replace',
    method: 'POST',
    path: '/devices/{address}/retire',
    summary: 'Refuses a device for ever; nobody gets its address again',
  },
  'device-replace': {
    permission: 'devices.replace',
    method: 'POST',
    path: '/devices/{address}/replace',
    summary: 'Gives the address of a device to the chip of another one',
  },
  'handshake-list': {
    permission: 'handshakes.read',
    method: 'GET',
    path: '/handshakes',
    summary: 'Handshakes, newest first',
  },
  'handshake-hours': {
    permission: 'handshakes.read',
    method: 'GET',
    path: '/handshakes/hours',
    summary: 'Handshakes by hour',
  },
  'handshake-countries': {
    permission: 'handshakes.read',
    method: 'GET',
    path: '/handshakes/countries',
    summary: 'Handshakes and devices by country',
  },
  'handshake-counts': {
    permission: 'handshakes.read',
    method: 'GET',
    path: '/handshakes/counts',
    summary: 'Handshakes that are counted only, by result',
  },
  'privacy-show': {
    permission: 'handshakes.read',
    method: 'GET',
    path: '/privacy',
    summary: 'What is kept of where devices come from',
  },
  'privacy-change': {
    permission: 'settings.write',
    method: 'POST',
    path: '/privacy',
    summary: 'Chooses what is kept of where devices come from, also of what is there',
  },
  'audit-list': {
    permission: 'audit.read',
    method: 'GET',
    path: '/audit',
    summary: 'The audit trail, newest first',
  },
  'audit-verify': {
    permission: 'audit.read',
    method: 'POST',
    path: '/audit/verify',
    summary: 'Recomputes the audit trail',
  },
  'audit-accept-loss': {
    permission: 'settings.write',
    method: 'POST',
    path: '/audit/accept-loss',
    summary: 'Gives up entries that the registry lacks, and writes that into the trail',
  },
  'token-list': {
    permission: 'tokens.write',
    method: 'GET',
    path: '/tokens',
    summary: 'Tokens, oldest first',
  },
  'token-create': { permission: 'tokens.write', method: 'POST', path: '/tokens', summary: 'Makes a token' },
  'token-revoke': {
    permission: 'tokens.write',
    method: 'DELETE',
    path: '/tokens/{id}',
    summary: 'Revokes a token',
  },
  'person-list': {
    permission: 'people.read',
    method: 'GET',
    path: '/people',
    summary: 'People who may sign in, oldest first',
  },
  'person-invite': {
    permission: 'people.write',
    method: 'POST',
    path: '/people/invites',
    summary: 'Makes an invite, by which one person may come in a role',
  },
  'person-role': {
    permission: 'people.write',
    method: 'POST',
    path: '/people/{person}/role',
    summary: 'Changes the role of a person, by number or name',
  },
  'alarm-list': {
    permission: 'alarms.read',
    method: 'GET',
    path: '/alarms',
    summary: 'Alarms, newest first: those that are open, or those that have ended',
  },
  'alarm-acknowledge': {
    permission: 'alarms.write',
    method: 'POST',
    path: '/alarms/{id}/acknowledge',
    summary: 'Says that somebody looks after an alarm',
  },
  'hook-list': {
    permission: 'hooks.write',
    method: 'GET',
    path: '/hooks',
    summary: 'Where alarms are sent to',
  },
  'hook-add': { permission: 'hooks.write', method: 'POST', path: '/hooks', summary: 'Adds a hook' },
  'hook-remove': {
    permission: 'hooks.write',
    method: 'DELETE',
    path: '/hooks/{id}',
    summary: 'Removes a hook, which hears of that',
  },
  'hook-test': {
    permission: 'hooks.write',
    method: 'POST',
    path: '/hooks/{id}/test',
    summary: 'Sends an event to try a hook',
  },
  'hook-deliveries': {
    permission: 'hooks.write',
    method: 'GET',
    path: '/hooks/{id}/deliveries',
    summary: 'What was sent to a hook, or is to be, newest first',
  },
  'delivery-retry': {
    permission: 'hooks.write',
    method: 'POST',
    path: '/hooks/deliveries/{id}/retry',
    summary: 'Sends once more what has come to an end',
  },
  'person-remove': {
    permission: 'people.write',
    method: 'DELETE',
    path: '/people/{person}',
    summary: 'Removes a person at once, by number or name',
  },
  'certificate-list': {
    permission: 'keys.read',
    method: 'GET',
    path: '/certificates',
    summary: "The fabric's certificates and roots, and how many devices know of the newest",
  },
  'certificate-rotate': {
    permission: 'keys.write',
    method: 'POST',
    path: '/certificates/rotate',
    summary: 'Makes a new key and certificate for the router or the identity server',
  },
  'certificate-install': {
    permission: 'keys.write',
    method: 'POST',
    path: '/certificates/install',
    summary: 'Installs what the keys of a root have signed elsewhere',
  },
  'root-rotate': {
    permission: 'keys.write',
    method: 'POST',
    path: '/roots',
    summary: 'Makes the next pair of roots, of which devices learn over their tunnels',
  },
  'root-end': {
    permission: 'keys.write',
    method: 'POST',
    path: '/roots/{number}/end',
    summary: 'Declares the end of an older root',
  },
  'root-keys-drop': {
    permission: 'keys.write',
    method: 'POST',
    path: '/roots/{number}/drop-keys',
    summary: 'Takes the keys of a root, of which there are copies, out of the data folder',
  },
  'device-count': {
    permission: 'devices.read',
    method: 'GET',
    path: '/device-count',
    summary: 'How many devices a filter finds, and how many of them a change would change',
  },
  'device-bulk': {
    permission: 'devices.standing',
    method: 'POST',
    path: '/devices/bulk',
    summary: 'Evicts, bans or unbans all devices that a filter finds, as a job',
  },
  'job-list': {
    permission: 'audit.read',
    method: 'GET',
    path: '/jobs',
    summary: 'Jobs, newest first',
  },
  'job-show': {
    permission: 'audit.read',
    method: 'GET',
    path: '/jobs/{id}',
    summary: 'One job: what it has done, and what it could not',
  },
  'job-cancel': {
    permission: 'devices.standing',
    method: 'POST',
    path: '/jobs/{id}/cancel',
    summary: 'Ends a job; what was done stays done',
  },
};
