import { describe, expect, test } from 'vitest';
import { ROLES, type Role } from '../../../fabric/access/roles.ts';
import { DEFAULT_OWNER, EVERYTHING, scopeOf } from '../../../fabric/access/scope.ts';
import { OPERATIONS } from '../../../fabric/operations/all.ts';
import { CATALOGUE } from '../../../fabric/operations/contract/catalogue.ts';
import type { Actor } from '../../../fabric/operations/contract/operation.ts';
import { type Ground, perform } from '../../../fabric/operations/perform.ts';
import { opened, registryFile } from '../place.ts';
import { NAMING } from './naming.ts';
import { ABSENT, plantedFabric, stateOf, unnamed } from './owners.ts';

/**
 * Who may do what, written down once more beside the catalogue: a new operation has no row here, and whoever changes a permission says so twice.
 * `fresh`: a session needs a sign-in of the last minutes.
 */
const ALL = 'host owner operator installer auditor';
const WATCHERS = 'host owner operator auditor';
const WORKERS = 'host owner operator installer';
const KEEPERS = 'host owner operator';
const OWNERS = 'host owner';
const TABLE: Readonly<Record<string, readonly [roles: string, fresh?: 'fresh']>> = {
  'network-list': [ALL],
  'network-add': [OWNERS],
  'prefix-list': [ALL],
  'network-rename': [OWNERS],
  'network-zone': [OWNERS],
  'network-takes': [OWNERS, 'fresh'],
  'network-pool': [OWNERS, 'fresh'],
  'delegation-list': [ALL],
  'network-remove': [OWNERS],
  'rule-list': [WATCHERS],
  'rule-add': [OWNERS, 'fresh'],
  'rule-move': [OWNERS, 'fresh'],
  'rule-remove': [OWNERS, 'fresh'],
  'rule-test': [WATCHERS],
  'limit-list': [WATCHERS],
  'limit-set': [OWNERS, 'fresh'],
  'limit-remove': [OWNERS, 'fresh'],
  overview: [ALL],
  'label-read': [WORKERS],
  'group-list': [ALL],
  'group-add': [WORKERS],
  'group-show': [ALL],
  'group-change': [OWNERS],
  'group-remove': [OWNERS],
  'group-arrivals': [ALL],
  'group-status': [KEEPERS, 'fresh'],
  'group-delegate': [OWNERS, 'fresh'],
  'roster-begin': [WORKERS],
  'roster-part': [WORKERS],
  'roster-index': [WORKERS],
  'roster-show': [ALL],
  'roster-list': [ALL],
  'roster-standing': [KEEPERS, 'fresh'],
  'roster-remove': [OWNERS, 'fresh'],
  'device-list': [ALL],
  'device-show': [ALL],
  'device-standing': [KEEPERS],
  'device-name': [WORKERS],
  'device-retire': [KEEPERS, 'fresh'],
  'device-replace': [KEEPERS, 'fresh'],
  'device-register': [OWNERS, 'fresh'],
  'device-delegate': [OWNERS, 'fresh'],
  'handshake-list': [WATCHERS],
  'handshake-hours': [WATCHERS],
  'handshake-countries': [WATCHERS],
  'handshake-places': [WATCHERS],
  'handshake-counts': [WATCHERS],
  'pki-list': [WATCHERS],
  'pki-preview': [OWNERS],
  'pki-add': [OWNERS, 'fresh'],
  'pki-remove': [OWNERS, 'fresh'],
  'pki-import': [OWNERS, 'fresh'],
  'pki-crl': [KEEPERS],
  'pki-crl-from': [OWNERS, 'fresh'],
  'pki-enrols': [OWNERS, 'fresh'],
  'pki-revoke': [KEEPERS],
  'pki-create': [OWNERS, 'fresh'],
  'pki-renew': [OWNERS, 'fresh'],
  'pki-issued': [WATCHERS],
  'code-add': [KEEPERS, 'fresh'],
  'code-list': [WATCHERS],
  'code-withdraw': [KEEPERS],
  'privacy-show': [WATCHERS],
  'privacy-change': [OWNERS, 'fresh'],
  'audit-list': [WATCHERS],
  'audit-verify': [WATCHERS],
  'audit-accept-loss': [OWNERS, 'fresh'],
  'token-list': [OWNERS],
  'token-create': [OWNERS, 'fresh'],
  'token-revoke': [OWNERS, 'fresh'],
  'person-list': ['host owner auditor'],
  'person-invite': [OWNERS, 'fresh'],
  'invite-list': ['host owner auditor'],
  'invite-withdraw': [OWNERS, 'fresh'],
  'person-role': [OWNERS, 'fresh'],
  'alarm-list': [WATCHERS],
  'alarm-acknowledge': [KEEPERS],
  'hook-list': [OWNERS],
  'hook-add': [OWNERS, 'fresh'],
  'hook-remove': [OWNERS, 'fresh'],
  'hook-test': [OWNERS],
  'hook-deliveries': [OWNERS],
  'delivery-retry': [OWNERS],
  'person-remove': [OWNERS, 'fresh'],
  'certificate-list': [OWNERS],
  'certificate-rotate': ['host', 'fresh'],
  'certificate-install': ['host', 'fresh'],
  'root-rotate': ['host', 'fresh'],
  'root-end': ['host', 'fresh'],
  'root-keys-drop': ['host', 'fresh'],
  'device-count': [ALL],
  'device-bulk': [KEEPERS, 'fresh'],
  'job-list': [WATCHERS],
  'job-show': [WATCHERS],
  'job-cancel': [KEEPERS],
  'owner-list': ['host'],
  'owner-add': ['host', 'fresh'],
  'owner-rename': ['host', 'fresh'],
  'owner-close': ['host', 'fresh'],
  'owner-lend': ['host', 'fresh'],
  'owner-take-back': ['host', 'fresh'],
  'owner-member': ['host', 'fresh'],
  'limit-max': ['host', 'fresh'],
  'node-list': ['host'],
  'node-show': ['host'],
  'node-drain': ['host', 'fresh'],
  'node-resume': ['host'],
  'node-remove': ['host', 'fresh'],
};

/** What concerns all owners: nobody of one among several does it, whatever else its row says. */
const WHOLE =
  `audit-verify audit-accept-loss certificate-list certificate-rotate certificate-install root-rotate
  root-end root-keys-drop owner-list owner-add owner-rename owner-close owner-lend owner-take-back owner-member limit-max
  node-list node-show node-drain node-resume node-remove`.split(/\s+/);

const NOW = Date.parse('2026-01-02T03:04:05.678Z');

const context = () => ({
  registry: opened(registryFile(), { now: () => NOW }),
  running: { notify: async () => 'in force', presence: async () => undefined },
  now: () => NOW,
});

/** What becomes of an operation with an input that says nothing: most refuse that, each after it has looked who asks. */
const outcome = (name: string, actor: Actor, on: Ground, input?: Record<string, unknown>): Promise<string> =>
  perform(name, actor, on, input ?? {}).then(
    (done) => (input === undefined ? 'done' : JSON.stringify(done?.view)),
    ({ code, message }: { code?: string; message: string }) =>
      code === undefined ? 'error' : input === undefined ? code : `${code}: ${message}`,
  );

test('every operation has a row, and no row is of another one', () => {
  expect(Object.keys(TABLE).sort()).toEqual([...OPERATIONS.keys()].sort());
  expect(Object.keys(TABLE).sort()).toEqual(Object.keys(CATALOGUE).sort());
});

test('what concerns all owners is marked so', () => {
  const marked = Object.entries(CATALOGUE).filter(([, { whole }]) => whole);
  expect(marked.map(([name]) => name).sort()).toEqual([...WHOLE].sort());
});

describe.each(ROLES)('%s', (role: Role) => {
  const alone = role === 'host' ? EVERYTHING : scopeOf(DEFAULT_OWNER, true);
  const among = role === 'host' ? EVERYTHING : scopeOf(DEFAULT_OWNER, false);
  const mayAmong = (name: string, roles: string): boolean =>
    roles.split(' ').includes(role) && (role === 'host' || !WHOLE.includes(name));

  test('by a token may what its row says, and nothing else', async () => {
    const on = context();
    for (const [name, [roles]] of Object.entries(TABLE)) {
      const may = roles.split(' ').includes(role);
      const got = await outcome(name, { name: role, role, scope: alone, via: 'token' }, on);
      expect(got === 'access.forbidden', name).toBe(!may);
      expect(got, name).not.toBe('access.fresh-sign-in');
      expect(got, name).not.toBe('access.not-whole');
    }
  });

  test('by a stale session may less: what is marked as fresh not', async () => {
    const on = context();
    for (const [name, [roles, fresh]] of Object.entries(TABLE)) {
      if (!roles.split(' ').includes(role)) continue;
      const session = { name: role, role, scope: alone, via: 'session', person: 1, belongsTo: 1 } as const;
      const stale = await outcome(name, session, on);
      expect(stale === 'access.fresh-sign-in', name).toBe(fresh === 'fresh');
      const there = await outcome(name, { ...session, proved: NOW }, on);
      expect(there, name).not.toMatch(/^access\./);
    }
  });

  test('of one owner among several may nothing that concerns all', async () => {
    const on = context();
    for (const [name, [roles]] of Object.entries(TABLE)) {
      const got = await outcome(name, { name: role, role, scope: among, via: 'token' }, on);
      expect(!/^access\.(?:forbidden|not-whole)$/.test(got), name).toBe(mayAmong(name, roles));
    }
  });

  test('finds nothing of another owner: each answer is that for what is not there', async () => {
    const { on, one, other } = await plantedFabric();
    const actor: Actor = { name: role, role, scope: scopeOf(one.id, false), owner: one.name, via: 'token' };
    const before = await stateOf(on.registry, other.id);
    let compared = 0;
    for (const [name, changes] of Object.entries(NAMING)) {
      if (!mayAmong(name, TABLE[name]![0])) continue;
      for (const change of changes) {
        const [foreign, absent] = await Promise.all(
          [other, ABSENT].map(async (of) =>
            unnamed(await outcome(name, actor, on, change(of)), change(of), other, ABSENT),
          ),
        );
        const text = `${name} ${JSON.stringify(change(other))}`;
        expect(foreign, text).toBe(absent);
        expect(foreign, text).not.toBe('error');
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(20);
    expect(await stateOf(on.registry, other.id)).toEqual(before);
  });

  test('of one owner sees what is its own by the same names', async () => {
    const { on, one } = await plantedFabric();
    const actor: Actor = { name: role, role, scope: scopeOf(one.id, false), owner: one.name, via: 'token' };
    for (const name of ['device-show', 'group-show', 'device-list', 'job-show', 'hook-deliveries']) {
      if (!mayAmong(name, TABLE[name]![0])) continue;
      for (const change of NAMING[name]!.slice(0, 1)) {
        const found = await outcome(name, actor, on, change(one));
        expect(found, name).not.toMatch(/unknown|"rows":\[\]/);
      }
    }
  });
});

test('every operation that names a thing is compared, or concerns all owners', () => {
  const fields = /^(?:address|by|gid|prefix|network|id|person|device|subject|label)$/;
  const naming = [...OPERATIONS].filter(([, { input }]) =>
    Object.keys((input as { properties?: object }).properties ?? {}).some((field) => fields.test(field)),
  );
  const compared = new Set([...Object.keys(NAMING), ...WHOLE]);
  // Its own prefix an owner adds in what was lent to it; a network is not named but made.
  expect(naming.map(([name]) => name).filter((name) => !compared.has(name))).toEqual(['network-add']);
});
