/**
 * What roles of the database may do, one for each duty of a node (registry/nodes.ts), as far as its statements need it. The owner of the schema may do
 * everything, and is who changes it. Statements run with the rights of who asks, triggers and functions, too.
 */

export const ROLES = ['identity', 'router', 'console'] as const;
export type Role = (typeof ROLES)[number];

/** Privileges as PostgreSQL writes them; none: not even to read. */
type Rights = readonly string[];

const READ: Rights = ['SELECT'];
const NONE: Rights = [];
const KEEPS: Rights = ['SELECT', 'INSERT', 'UPDATE'];
const ALL: Rights = [...KEEPS, 'DELETE'];

const update = (...columns: readonly string[]): string => `UPDATE (${columns.join(', ')})`;

/** Read by all, and changed at the console. */
const KNOWN: Readonly<Record<Role, Rights>> = { identity: READ, router: READ, console: ALL };
/** Of people, and secrets: the others have nothing to do with them. */
const PRIVATE: Readonly<Record<Role, Rights>> = { identity: NONE, router: NONE, console: ALL };
/** Counts that triggers keep of devices. */
const COUNTED: Readonly<Record<Role, Rights>> = { identity: KEEPS, router: KEEPS, console: KEEPS };

const same = (rights: Rights): Readonly<Record<Role, Rights>> => ({
  identity: rights,
  router: rights,
  console: rights,
});

const NODE_SAYS = update(
  ...['address', 'version', 'serves', 'installation', 'run', 'started', 'seen', 'stopped', 'tunnels', 'load'],
  'routes_lost',
);

/** Every table has its line: a new one is decided about here. */
export const GRANTS: Readonly<Record<string, Readonly<Record<Role, Rights>>>> = {
  migration: same(READ),
  grantee: same(NONE),

  // The trail is only ever continued; what is wrong with its counter is found when it is recomputed.
  audit: same(['SELECT', 'INSERT']),
  // A counter is added by whoever first finds what a failover has lost.
  counter: same(KEEPS),
  // Those that are gone are made up for: whoever reads sees the gap.
  change: same(['SELECT', 'INSERT', 'DELETE']),
  node: {
    identity: ['SELECT', 'INSERT', NODE_SAYS],
    router: ['SELECT', 'INSERT', NODE_SAYS],
    console: ALL,
  },

  device: {
    // By a handshake, or a certificate that the fabric issues.
    identity: [
      ...['SELECT', 'INSERT'],
      update('gid', 'longterm_key', 'evicted', 'handshake_at', 'handshake_from', 'country', 'place', 'name'),
    ],
    // Tunnels, reports, certificates of owners' CAs, and the end that a device has asked for; what is more the trigger device_is_guarded refuses.
    router: [
      ...['SELECT', 'INSERT'],
      update(
        ...['node', 'generation', 'recent_tunnels', 'clones_told'],
        ...['tunnel_at', 'tunnel_from', 'tunnel_ended'],
        ...['reported_at', 'agent_version', 'failure_code', 'failure_at'],
        ...['gid', 'evicted', 'handshake_at', 'handshake_from', 'country'],
        ...['retired', 'moved_to', 'banned', 'name'],
      ),
    ],
    console: KEEPS,
  },
  group_size: { ...COUNTED, console: ALL },
  arrival: COUNTED,
  device_country: COUNTED,
  device_place: same(ALL),
  // Kept by triggers of whoever names a device, or takes its name.
  device_text: same(ALL),
  noted: { identity: KEEPS, router: KEEPS, console: READ },
  place: { identity: ['SELECT', 'INSERT'], router: READ, console: ['SELECT', 'INSERT'] },

  handshake: {
    identity: ['SELECT', 'INSERT', 'DELETE'],
    router: READ,
    console: ['SELECT', update('source', 'place'), 'DELETE'],
  },
  handshake_day: { identity: ALL, router: READ, console: ALL },
  handshake_hour: { identity: ALL, router: READ, console: READ },

  network: KNOWN,
  grp: KNOWN,
  rule: KNOWN,
  rate_limit: KNOWN,
  pool: KNOWN,
  // Which prefix a device has is chosen when it comes for the first time.
  delegation: { identity: READ, router: ['SELECT', 'INSERT', 'DELETE'], console: ALL },
  delegation_grant: { identity: READ, router: ['SELECT', 'DELETE'], console: ALL },
  roster: KNOWN,
  roster_row: KNOWN,
  roster_key: KNOWN,
  roster_serial: KNOWN,
  maker_key: KNOWN,

  anchor: { identity: ['SELECT', update('revoked')], router: READ, console: ALL },
  listed_device: KNOWN,
  revocation_list: KNOWN,
  list_source: KNOWN,
  // A certificate that takes another one's place revokes that.
  revoked_certificate: { identity: ['SELECT', 'INSERT'], router: READ, console: ALL },
  shown_certificate: { identity: KEEPS, router: KEEPS, console: READ },
  issued: { identity: ['SELECT', 'INSERT', 'DELETE'], router: READ, console: READ },
  maker_enrolment: { identity: KEEPS, router: READ, console: ['SELECT', update('ended')] },
  enrolment_code: { identity: ['SELECT', update('used', 'serial')], router: NONE, console: ALL },

  owner: KNOWN,
  space: KNOWN,
  former_name: KNOWN,
  setting: KNOWN,
  alarm: KNOWN,
  hook: PRIVATE,
  delivery: PRIVATE,
  person: PRIVATE,
  membership: PRIVATE,
  account: PRIVATE,
  passkey: PRIVATE,
  recovery_code: PRIVATE,
  invite: PRIVATE,
  token: PRIVATE,
};

/** The names of the roles; those without one get nothing. */
export type RoleNames = Partial<Record<Role, string>>;

/**
 * A name as `createuser` makes it, which needs no care elsewhere. Not `public`, which means everybody also between quotes, nor what the server keeps for
 * itself.
 */
export const isRoleName = (text: string): boolean =>
  /^(?!(?:public|none)$|pg_)[a-z_][a-z0-9_]{0,62}$/.test(text);

/** Statements that give the roles what they may do, and nothing else of the schema; a role with two duties may do what either may. */
export function grantsSql(names: RoleNames): string {
  const given = ROLES.flatMap((role) => {
    const name = names[role];
    return name === undefined ? [] : [{ role, name: quoted(name) }];
  });
  const all = [...new Set(given.map(({ name }) => name))].join(', ');
  return [
    `REVOKE ALL ON ALL TABLES IN SCHEMA enf FROM ${all};`,
    `REVOKE ALL ON SCHEMA enf FROM ${all};`,
    `GRANT USAGE ON SCHEMA enf TO ${all};`,
    ...Object.entries(GRANTS).flatMap(([table, rights]) =>
      given
        .filter(({ role }) => rights[role].length > 0)
        .map(({ role, name }) => `GRANT ${rights[role].join(', ')} ON enf.${table} TO ${name};`),
    ),
  ].join('\n');
}

/** The same for a person's psql: all or nothing, and the roles are kept for what later versions add (`STORED_ROLES`). */
export function grantsScript(names: RoleNames): string {
  const kept = ROLES.flatMap((role) => {
    const name = names[role];
    return name === undefined ? [] : [`(${literal(role)}, ${literal(requireName(name))})`];
  });
  return [
    'BEGIN;',
    notOfOwner(names),
    grantsSql(names),
    `INSERT INTO enf.grantee (duty, name) VALUES ${kept.join(', ')} ON CONFLICT (duty) DO UPDATE SET name = excluded.name;`,
    'COMMIT;',
    '',
  ].join('\n');
}

/** Whoever owns the tables may do everything; what is taken from the owner is missed by the next migration. */
function notOfOwner(names: RoleNames): string {
  const given = Object.values(names).map((name) => literal(requireName(name)));
  return `DO $$ BEGIN
  IF (SELECT pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = 'enf') IN (${given.join(', ')}) THEN
    RAISE EXCEPTION 'a role is the owner of the registry: give a role of its own to each duty';
  END IF;
END $$;`;
}

/** The roles that grants were made for and that are there still. */
export const STORED_ROLES =
  'SELECT duty, name FROM enf.grantee JOIN pg_catalog.pg_roles ON rolname = name ORDER BY duty';

function requireName(name: string): string {
  if (!isRoleName(name)) throw new Error(`no name of a role: ${name}`);
  return name;
}

const quoted = (name: string): string => `"${requireName(name)}"`;
const literal = (text: string): string => `'${text}'`;
