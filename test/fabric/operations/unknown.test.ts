import { expect, test } from 'vitest';
import { isList, ROUTES } from '../../../fabric/api/routes.ts';
import { OPERATIONS } from '../../../fabric/operations/all.ts';
import type { Context } from '../../../fabric/operations/contract/operation.ts';
import { opened, registryFile, seenBy } from '../place.ts';

/*
 * What a list is asked for by name or number has to be there: of a typing error it must not say "none".
 */

/** Something that is not there, for each field that names one thing. */
const UNKNOWN: Readonly<Record<string, unknown>> = {
  network: 'fd00:dead::/64',
  prefix: 'fd00:dead::/64',
  gid: 'ff'.repeat(32),
  device: 'fd00:dead::1',
  address: 'fd00:dead::1',
  ca: 999_999,
  id: 999_999,
  node: 'nowhere',
};

/** Fields that narrow a list by what its rows say, of which there may be none. */
const NARROWING: Readonly<Record<string, readonly string[]>> = {
  'network-list': ['q'],
  'group-list': ['q'],
  'device-list': ['kind', 'standing', 'tunnel', 'failure', 'roster', 'q'],
  // Refused handshakes claim groups that nobody has admitted.
  'handshake-list': ['gid', 'result'],
  // Entries stay of what was removed, and name it in words.
  'audit-list': ['subject'],
  'alarm-list': ['state'],
  'roster-list': ['serial', 'from', 'to', 'box', 'state'],
};

const LISTS = ROUTES.filter(isList);
const naming = LISTS.flatMap(({ name, fields }) =>
  Object.keys(fields)
    .filter((field) => field !== 'limit' && field !== 'after' && !NARROWING[name]?.includes(field))
    .map((field) => [name, field] as const),
);

test.each(naming)('%s refuses a %s that is not there, by its code', async (name, field) => {
  expect(UNKNOWN, 'whether it names one thing').toHaveProperty(field);
  const registry = opened(registryFile());
  const context: Context = {
    ...{ ...seenBy(registry), actor: 'test', now: Date.now },
    running: { notify: async () => '', presence: async () => undefined },
  };
  const input = { limit: 9, [field]: UNKNOWN[field] };
  await expect(OPERATIONS.get(name)!.run(context, input as never)).rejects.toMatchObject({
    code: expect.stringMatching(/^(?:(?:fabric|pki)\.unknown-|node\.unknown$)/),
    remedy: 'operator',
  });
});

test('what narrows a list is of a list that there is', () => {
  for (const [name, fields] of Object.entries(NARROWING)) {
    const list = LISTS.find((each) => each.name === name);
    expect(Object.keys(list?.fields ?? {}), name).toEqual(expect.arrayContaining([...fields]));
  }
  expect(naming.length).toBeGreaterThan(8);
});
