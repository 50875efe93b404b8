/** What a role or a token may do, by the subject that it is done to. */
export const PERMISSIONS = [
  'networks.read',
  'networks.write',
  'rules.read',
  'rules.write',
  'groups.read',
  'groups.claim',
  'groups.suspend',
  'groups.write',
  'devices.read',
  'devices.name',
  'devices.standing',
  'devices.replace',
  'pki.read',
  'pki.enrol',
  'pki.revoke',
  'pki.write',
  'handshakes.read',
  'audit.read',
  'alarms.read',
  'alarms.write',
  'hooks.write',
  'people.read',
  'people.write',
  'tokens.write',
  'settings.write',
  'keys.read',
  'keys.write',
  'owners.write',
  'nodes.read',
  'nodes.write',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/**
 * `host` runs the fabric and lends prefixes to owners; the others belong to one owner. An installer scans labels and names devices in the
 * field; an auditor only reads.
 */
export const ROLES = ['host', 'owner', 'operator', 'installer', 'auditor'] as const;

export type Role = (typeof ROLES)[number];

/** What somebody may be at an owner; also of whoever comes in without an invite. */
export const OWNER_ROLES = ['owner', 'operator', 'installer', 'auditor'] as const;

const READS: readonly Permission[] = [
  'networks.read',
  'rules.read',
  'groups.read',
  'devices.read',
  'pki.read',
  'handshakes.read',
  'audit.read',
  'alarms.read',
];

/** On these all owners depend: the fabric's keys, owners, and the hosts that serve. */
const HOST_ONLY: readonly Permission[] = ['keys.write', 'owners.write', 'nodes.read', 'nodes.write'];

const GRANTS: Readonly<Record<Role, readonly Permission[]>> = {
  host: PERMISSIONS,
  owner: PERMISSIONS.filter((permission) => !HOST_ONLY.includes(permission)),
  operator: [
    ...READS,
    'groups.claim',
    'groups.suspend',
    'devices.name',
    'devices.standing',
    'devices.replace',
    'pki.enrol',
    'pki.revoke',
    'alarms.write',
  ],
  installer: ['networks.read', 'groups.read', 'groups.claim', 'devices.read', 'devices.name'],
  auditor: [...READS, 'people.read'],
};

/** What a role may do. */
export const permissionsOf = (role: Role): readonly Permission[] => GRANTS[role];

/** Nobody gives a role that may more than the own one. */
export const mayGive = (own: Role, given: Role): boolean =>
  GRANTS[given].every((permission) => GRANTS[own].includes(permission));

export const isRole = (text: string): text is Role => (ROLES as readonly string[]).includes(text);

export const isPermission = (text: string): text is Permission =>
  (PERMISSIONS as readonly string[]).includes(text);
