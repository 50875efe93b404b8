import { describe, expect, test } from 'vitest';
import { ROLES, type Role } from '../../../fabric/access/roles.ts';
import { OPERATIONS } from '../../../fabric/operations/all.ts';
import { CATALOGUE } from '../../../fabric/operations/contract/catalogue.ts';
import type { Actor } from '../../../fabric/operations/contract/operation.ts';
import { perform } from '../../../fabric/operations/perform.ts';
import { opened, registryFile } from '../place.ts';

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
  'network-rename': [OWNERS],
  'network-remove': [OWNERS],
  overview: [ALL],
  'label-read': [WORKERS],
  'group-list': [ALL],
  'group-add': [WORKERS],
  'group-show': [ALL],
  'group-change': [OWNERS],
  'group-remove': [OWNERS],
  'group-arrivals': [ALL],
  'group-status': [KEEPERS, 'fresh'],
  'device-list': [ALL],
  'device-show': [ALL],
  'device-standing': [KEEPERS],
  'device-name': [WORKERS],
  'device-retire': [KEEPERS, 'fresh'],
  'device-replace': [KEEPERS, 'fresh'],
  'handshake-list': [WATCHERS],
  'handshake-hours': [WATCHERS],
  'handshake-countries': [WATCHERS],
  'handshake-counts': [WATCHERS],
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
};

const NOW = Date.parse('2026-01-02T03:04:05.678Z');

const context = () => ({
  registry: opened(registryFile(), { now: () => NOW }),
  running: { notify: async () => 'in force', presence: async () => undefined },
  now: () => NOW,
});

/** What becomes of an operation with an input that says nothing: most refuse that, each after it has looked who asks. */
const outcome = (name: string, actor: Actor, on: ReturnType<typeof context>): Promise<string> =>
  perform(name, actor, on, {}).then(
    () => 'done',
    ({ code }: { code?: string }) => code ?? 'error',
  );

test('every operation has a row, and no row is of another one', () => {
  expect(Object.keys(TABLE).sort()).toEqual([...OPERATIONS.keys()].sort());
  expect(Object.keys(TABLE).sort()).toEqual(Object.keys(CATALOGUE).sort());
});

describe.each(ROLES)('%s', (role: Role) => {
  test('by a token may what its row says, and nothing else', async () => {
    const on = context();
    for (const [name, [roles]] of Object.entries(TABLE)) {
      const may = roles.split(' ').includes(role);
      const got = await outcome(name, { name: role, role, via: 'token' }, on);
      expect(got === 'access.forbidden', name).toBe(!may);
      expect(got, name).not.toBe('access.fresh-sign-in');
    }
  });

  test('by a stale session may less: what is marked as fresh not', async () => {
    const on = context();
    for (const [name, [roles, fresh]] of Object.entries(TABLE)) {
      if (!roles.split(' ').includes(role)) continue;
      const session = { name: role, role, via: 'session', person: 1, belongsTo: 1 } as const;
      const stale = await outcome(name, session, on);
      expect(stale === 'access.fresh-sign-in', name).toBe(fresh === 'fresh');
      const there = await outcome(name, { ...session, proved: NOW }, on);
      expect(there, name).not.toMatch(/^access\./);
    }
  });
});
