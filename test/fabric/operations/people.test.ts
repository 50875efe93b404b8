import { describe, expect, test } from 'vitest';
import { ROLES, type Role } from '../../../fabric/access/roles.ts';
import { DEFAULT_OWNER, EVERYTHING } from '../../../fabric/access/scope.ts';
import { secretHash } from '../../../fabric/access/secrets.ts';
import { openJobs } from '../../../fabric/jobs/jobs.ts';
import { addOwner } from '../../../fabric/operations/people/owners.ts';
import {
  invitePerson,
  listInvites,
  listPeople,
  removePerson,
  setPersonRole,
  withdrawInvite,
} from '../../../fabric/operations/people/people.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import '../checked.ts';
import { opened, registryFile, seenBy, type TestContext } from '../place.ts';
import { somebody } from '../registry/contract/people.ts';

const NOW = Date.parse('2026-01-02T03:04:05.678Z');

function context(role?: Role): TestContext {
  return {
    ...seenBy(opened(registryFile(), { now: () => NOW })),
    running: { notify: async () => 'in force', presence: async () => undefined },
    actor: 'alice',
    ...(role === undefined ? {} : { role }),
    now: () => NOW,
  };
}

test('an invite is shown once, holds for its hours, and is kept as a hash', async () => {
  const on = context();
  const { invite, ...view } = await invitePerson.run(on, { role: 'operator', hours: 2 });
  expect(view).toEqual({ role: 'operator', expires: '2026-01-02T05:04:05.678Z' });
  const hash = secretHash('invite', invite)!;
  expect(await on.registry.invite(hash)).toMatchObject({ role: 'operator', expires: NOW + 7_200_000 });
  expect(JSON.stringify((await on.registry.audit({ limit: 9 })).rows)).not.toContain(invite);
  for (const hours of [0, 169, 1.5])
    await expect(invitePerson.run(on, { role: 'owner', hours })).rejects.toMatchObject({
      code: 'fabric.bad-input',
    });
});

test('an invite is listed until it is used, withdrawn or over, and nobody withdraws one of a role above the own', async () => {
  const on = context();
  const { invite } = await invitePerson.run(on, { role: 'operator', hours: 2, login: 'Anna@example.org' });
  const hash = secretHash('invite', invite)!;
  const id = Buffer.from(hash.subarray(0, 8)).toString('hex');
  const listed = { id, role: 'operator', owner: 'default', createdBy: 'alice', login: 'anna@example.org' };
  expect(await listInvites.run(on, { limit: 9 })).toEqual({
    rows: [{ ...listed, expires: '2026-01-02T05:04:05.678Z' }],
    next: undefined,
  });
  for (const wrong of ['', id.slice(1), `${id}0`, 'f'.repeat(16), '%'])
    await expect(withdrawInvite.run(on, { id: wrong })).rejects.toMatchObject({
      code: 'fabric.unknown-invite',
    });
  await expect(withdrawInvite.run({ ...on, role: 'installer' }, { id })).rejects.toMatchObject({
    code: 'access.forbidden',
  });
  expect(await withdrawInvite.run(on, { id })).toEqual({ id, role: 'operator' });
  expect((await listInvites.run(on, { limit: 9 })).rows).toEqual([]);
  expect(await on.registry.invite(hash)).toBeUndefined();
  expect((await on.registry.audit({ limit: 1 })).rows[0]).toMatchObject({
    actor: 'alice',
    action: 'person.withdraw',
    subject: 'operator',
    detail: { role: 'operator', login: 'anna@example.org' },
  });
  await expect(withdrawInvite.run(on, { id })).rejects.toMatchObject({ code: 'fabric.unknown-invite' });
});

test('people are listed, changed and removed by number or name', async () => {
  const on = context();
  await somebody(on.registry, 'Anna');
  await somebody(on.registry, 'Bob', 'operator');
  expect((await listPeople.run(on, { limit: 1 })).rows).toEqual([
    {
      id: 1,
      name: 'Anna',
      role: 'owner',
      owners: [{ name: 'default', role: 'owner' }],
      createdBy: 'alice',
      created: '2026-01-02T03:04:05.678Z',
      signedIn: null,
      removed: null,
      passkeys: 0,
    },
  ]);
  const toAuditor = { person: 'bob', role: 'auditor' } as const;
  expect(await setPersonRole.run(on, toAuditor)).toMatchObject({ role: 'auditor', changed: true });
  expect(await setPersonRole.run(on, { ...toAuditor, person: '2' })).toMatchObject({ changed: false });
  expect(await removePerson.run(on, { person: '2' })).toEqual({ id: 2, name: 'Bob' });
  await expect(removePerson.run(on, { person: 'bob' })).rejects.toMatchObject({
    code: 'fabric.unknown-person',
  });
  await expect(removePerson.run(on, { person: 'anna' })).rejects.toMatchObject({ code: 'fabric.last-owner' });
});

describe('nobody gives or takes a role that may more than the own', () => {
  test.each(ROLES)('%s', async (own) => {
    const on = context(own);
    const forbidden = { code: 'access.forbidden' };
    const more = ROLES.slice(0, ROLES.indexOf(own));
    for (const [index, role] of more.entries()) {
      await somebody(on.registry, `other ${index}`, role);
      await expect(invitePerson.run(on, { role, hours: 1 })).rejects.toMatchObject(forbidden);
      await expect(createToken.run(on, { name: 'x', role, days: 1 })).rejects.toMatchObject(forbidden);
      const person = `other ${index}`;
      await expect(removePerson.run(on, { person })).rejects.toMatchObject(forbidden);
      await expect(setPersonRole.run(on, { person, role: own })).rejects.toMatchObject(forbidden);
    }
    await somebody(on.registry, 'equal', own);
    await expect(invitePerson.run(on, { role: own, hours: 1 })).resolves.toMatchObject({ role: own });
    await expect(createToken.run(on, { name: 'x', role: own, days: 1 })).resolves.toMatchObject({
      role: own,
    });
    if (own !== 'host')
      await expect(setPersonRole.run(on, { person: 'equal', role: 'host' })).rejects.toMatchObject(forbidden);
  });
});

test('a second owner is added when nothing runs that sees everything', async () => {
  const jobs = openJobs(() => 0);
  const on = { ...context(), jobs };
  let release = (): void => {};
  const running = new Promise<void>((resolve) => {
    release = resolve;
  });
  const of = { operation: 'device-bulk', input: {}, actor: 'alice', owner: DEFAULT_OWNER };
  await jobs.start(of, () => running);
  await expect(addOwner.run(on, { name: 'acme' })).rejects.toMatchObject({ code: 'fabric.jobs-running' });
  release();
  await new Promise((resolve) => setImmediate(resolve));
  // One that counts still, and one that begins while the owner is written.
  let counted = (): void => {};
  const counting = jobs.start(
    of,
    async () => {},
    () =>
      new Promise<void>((resolve) => {
        counted = resolve;
      }),
  );
  await expect(addOwner.run(on, { name: 'acme' })).rejects.toMatchObject({ code: 'fabric.jobs-running' });
  counted();
  await counting;
  await new Promise((resolve) => setImmediate(resolve));
  const adding = addOwner.run(
    {
      ...on,
      whole: {
        ...on.whole!,
        async addOwner(actor, name) {
          await jobs.start(
            of,
            ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
          );
          return on.whole!.addOwner(actor, name);
        },
      },
    },
    { name: 'apex' },
  );
  expect(await adding).toMatchObject({ name: 'apex' });
  await new Promise((resolve) => setImmediate(resolve));
  expect(jobs.list(EVERYTHING)[0]).toMatchObject({ state: 'cancelled' });
  expect(await addOwner.run(on, { name: 'acme' })).toMatchObject({ name: 'acme', status: 'active' });
});
