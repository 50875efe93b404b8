import { describe, expect, test } from 'vitest';
import type { Role } from '../../../../fabric/access/roles.ts';
import { MOST_PASSKEYS } from '../../../../fabric/registry/credentials.ts';
import type { Account, Person } from '../../../../fabric/registry/people.ts';
import type { WholeRegistry as Registry } from '../../place.ts';
import { allOf, random } from '../../place.ts';
import type { OpenEmpty } from './place.ts';

const PASSWORD = '$scrypt$a-hash';
const HOW = { via: 'password', from: '192.0.2.7' } as const;

/** Lets somebody in by an invite. */
export async function somebody(registry: Registry, name: string, role: Role = 'owner'): Promise<Person> {
  const hash = random(32);
  await registry.addInvite('alice', { hash, role, expires: Number.MAX_SAFE_INTEGER });
  return registry.acceptInvite(hash, { name, password: PASSWORD });
}

const actionsOf = async (registry: Registry): Promise<string[]> =>
  (await registry.audit({ limit: 99 })).rows.map(
    ({ actor, action, subject }) => `${actor}: ${action} ${subject}`,
  );

/** People who sign in at the console. */
export function peopleContract(openEmpty: OpenEmpty): void {
  const opened = async (now = () => 1_000): Promise<Registry> => (await openEmpty())({ now });
  const refused = (code: string) => ({ code });

  describe('an invite', () => {
    test('makes one person, in its role, and is used up', async () => {
      const registry = await opened();
      const hash = random(32);
      const invite = { hash, role: 'operator', expires: 2_000 } as const;
      await registry.addInvite('alice', invite);
      expect(await registry.invite(hash)).toEqual(invite);
      expect(await registry.invite(random(32))).toBeUndefined();
      const accept = () => registry.acceptInvite(hash, { name: 'Anna', password: PASSWORD });
      const all = await Promise.allSettled([accept(), accept(), accept()]);
      expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
      expect(all[2]).toMatchObject({ reason: refused('access.bad-invite') });
      const anna = { id: 1, name: 'Anna', role: 'operator', createdBy: 'alice', created: 1_000 };
      expect(await allOf((page) => registry.people(page))).toEqual([
        {
          ...anna,
          owners: [{ owner: 1, name: 'default', role: 'operator' }],
          generation: 1,
          hasPassword: true,
          passkeys: 0,
        },
      ]);
      expect(await registry.invite(hash)).toBeUndefined();
      expect((await actionsOf(registry)).slice(0, 2)).toEqual([
        'Anna (person 1): person.create person 1',
        'alice: person.invite operator',
      ]);
    });

    test('ends, and stays if the name is taken', async () => {
      let now = 1_000;
      const registry = await opened(() => now);
      await somebody(registry, 'Anna');
      const hash = random(32);
      await registry.addInvite('alice', { hash, role: 'owner', expires: 2_000 });
      for (const name of ['Anna', 'anna', 'ＡＮＮＡ']) {
        await expect(registry.acceptInvite(hash, { name, password: PASSWORD })).rejects.toMatchObject(
          refused('fabric.person-exists'),
        );
      }
      expect(await registry.invite(hash)).toBeDefined();
      now = 2_000;
      expect(await registry.invite(hash)).toBeUndefined();
      await expect(registry.acceptInvite(hash, { name: 'Bob', password: PASSWORD })).rejects.toMatchObject(
        refused('access.bad-invite'),
      );
    });
  });

  describe('invites that are open', () => {
    test('are listed in pages, each once, and not when they are over', async () => {
      let now = 1_000;
      const registry = await opened(() => now);
      const hashes = Array.from({ length: 5 }, () => random(32));
      for (const [i, hash] of hashes.entries())
        await registry.addInvite('alice', { hash, role: 'auditor', expires: 2_000 + i });
      const ids = hashes.map((hash) => Buffer.from(hash.subarray(0, 8)).toString('hex'));
      const all: string[] = [];
      for (let after: string | undefined, i = 0; i < 3; i++) {
        const { rows, next } = await registry.invites({ limit: 2, after });
        all.push(...rows.map(({ id }) => id));
        after = next;
      }
      expect(all).toEqual([...ids].sort());
      now = 2_003;
      expect((await registry.invites({ limit: 9 })).rows).toEqual([
        { id: ids[4], role: 'auditor', owner: 1, ownerName: 'default', createdBy: 'alice', expires: 2_004 },
      ]);
      await expect(registry.withdrawInvite('bob', ids[0]!)).rejects.toMatchObject(
        refused('fabric.unknown-invite'),
      );
    });
  });

  describe('an account elsewhere', () => {
    const ACCOUNT = { issuer: 'https://login.example', subject: 'u-1', login: 'Anna@example.org' };

    test('comes in by the invite for its login, and is one person’s', async () => {
      let now = 1_000;
      const registry = await opened(() => now);
      const [hash, plain] = [random(32), random(32)];
      await registry.addInvite('alice', { hash: plain, role: 'owner', expires: 2_000 });
      await registry.addInvite('alice', {
        hash,
        role: 'operator',
        expires: 2_000,
        login: 'ANNA@example.org',
      });
      const come = (account: Partial<Account> = {}) =>
        registry.personByAccount({ ...ACCOUNT, ...account }, { names: ['Anna'] });
      // The Kelvin sign is no k.
      for (const login of ['bob@example.org', '', 'anna@example.or\u212a'])
        expect(await come({ login })).toBeUndefined();
      now = 2_000;
      expect(await come()).toBeUndefined();
      now = 1_500;
      const [anna, again] = await Promise.all([come(), come(), come({ login: 'another' })]);
      expect(anna).toMatchObject({ name: 'Anna', role: 'operator', createdBy: 'alice' });
      expect(again).toEqual(anna);
      expect((await registry.people({ limit: 9 })).rows).toHaveLength(1);
      expect(await registry.invite(hash)).toBeUndefined();
      expect(await come({ subject: 'u-2' })).toBeUndefined();
      expect(await registry.accountOwner(ACCOUNT)).toBe(anna!.id);
      expect(await registry.accountOwner({ ...ACCOUNT, issuer: 'https://other.example' })).toBeUndefined();
      expect(await registry.passwordOf('Anna')).toEqual({
        person: expect.objectContaining({ hasPassword: false }),
      });
      expect(await registry.accounts(anna!.id)).toEqual([ACCOUNT]);
    });

    test('is added, replaced and removed; somebody else’s is not taken', async () => {
      const registry = await opened();
      const [anna, bob] = [await somebody(registry, 'Anna'), await somebody(registry, 'Bob')];
      await registry.addAccount('Anna', anna.id, ACCOUNT);
      await expect(registry.addAccount('Bob', bob.id, ACCOUNT)).rejects.toMatchObject(
        refused('fabric.account-exists'),
      );
      const other = { ...ACCOUNT, subject: 'u-2' };
      await registry.addAccount('Anna', anna.id, other);
      expect(await registry.accounts(anna.id)).toEqual([other]);
      await registry.addAccount('Bob', bob.id, ACCOUNT);
      await registry.removeAccount('Bob', bob.id, ACCOUNT.issuer);
      await expect(registry.removeAccount('Bob', bob.id, ACCOUNT.issuer)).rejects.toMatchObject(
        refused('fabric.unknown-account'),
      );
      await expect(registry.addAccount('x', 99, ACCOUNT)).rejects.toMatchObject(
        refused('fabric.unknown-person'),
      );
      expect((await actionsOf(registry)).slice(0, 2)).toEqual([
        'Bob: account.remove person 2',
        'Bob: account.add person 2',
      ]);
    });

    test('that its person has given up lets nobody in by itself, also once that was removed', async () => {
      let now = 1_000;
      const registry = await opened(() => now);
      const anna = await somebody(registry, 'Anna');
      const bob = await somebody(registry, 'Bob');
      const come = (subject: string, login = `${subject}@example.org`) =>
        registry.personByAccount({ ...ACCOUNT, subject, login }, { names: ['Carl'], newcomer: 'auditor' });
      const add = (subject: string) => registry.addAccount('Bob', bob.id, { ...ACCOUNT, subject });
      await add('u-1');
      await add('u-2');
      await registry.removeAccount('Bob', bob.id, ACCOUNT.issuer);
      expect(await registry.accounts(bob.id)).toEqual([]);
      expect(await registry.accountOwner(ACCOUNT)).toBeUndefined();
      for (const subject of ['u-1', 'u-2']) expect(await come(subject)).toBeUndefined();
      // Its person takes it again, or somebody else does.
      await add('u-1');
      expect(await come('u-1')).toMatchObject({ id: bob.id });
      await registry.addAccount('Anna', anna.id, { ...ACCOUNT, subject: 'u-2' });
      expect(await registry.accountOwner({ ...ACCOUNT, subject: 'u-2' })).toBe(anna.id);
      await registry.removePerson('alice', bob.id);
      expect(await come('u-1')).toBeUndefined();
      // Somebody invites it; and of one person only so many are known.
      const hash = random(32);
      await registry.addInvite('alice', { hash, role: 'operator', expires: 9_999, login: 'u-1@example.org' });
      expect(await come('u-1')).toMatchObject({ name: 'Carl', role: 'operator' });
      for (let i = 10; i < 32; i++) {
        now++;
        await registry.addAccount('Anna', anna.id, { ...ACCOUNT, subject: `u-${i}` });
      }
      expect(await come('u-12')).toBeUndefined();
      expect(
        await registry.personByAccount(
          { ...ACCOUNT, subject: 'u-2' },
          { names: ['Dora'], newcomer: 'auditor' },
        ),
      ).toMatchObject({ name: 'Dora' });
    });

    test('and a passkey are not removed if the person signs in by nothing else', async () => {
      const registry = await opened();
      const anna = (await registry.personByAccount(ACCOUNT, { names: ['Anna'], newcomer: 'host' }))!;
      const removeAccount = () => registry.removeAccount('Anna', anna.id, ACCOUNT.issuer);
      await registry.setRecoveryCodes('Anna', anna.id, [random(32)]);
      await expect(removeAccount()).rejects.toMatchObject(refused('access.last-way-in'));
      expect(await registry.accounts(anna.id)).toEqual([ACCOUNT]);
      const { id } = await registry.addPasskey('Anna', passkey(anna.id));
      await removeAccount();
      await expect(registry.removePasskey('Anna', anna.id, id)).rejects.toMatchObject(
        refused('access.last-way-in'),
      );
      expect(await registry.passkeys(anna.id)).toHaveLength(1);
      await registry.setPassword('Anna', anna.id, PASSWORD);
      await registry.removePasskey('Anna', anna.id, id);
      expect((await actionsOf(registry)).slice(0, 3)).toEqual([
        'Anna: passkey.remove person 1',
        'Anna: person.password person 1',
        'Anna: account.remove person 1',
      ]);
    });

    test('of somebody who was removed lets nobody in by itself, and may become another person’s', async () => {
      const registry = await opened();
      await somebody(registry, 'Anna');
      const come = (names = ['bob', 'Bob B.'], subject = ACCOUNT.subject) =>
        registry.personByAccount({ ...ACCOUNT, subject }, { names, newcomer: 'auditor' });
      const bob = (await come())!;
      expect(bob).toMatchObject({ name: 'bob', role: 'auditor', createdBy: 'console' });
      expect(await come(['another'])).toEqual(bob);
      // Names that somebody has are passed over.
      expect(await come(['ANNA', 'BOB', 'Bob B.'], 'u-2')).toMatchObject({ name: 'Bob B.' });
      await expect(come(['bob', 'anna'], 'u-3')).rejects.toMatchObject(refused('fabric.person-exists'));
      expect(await registry.accountOwner({ ...ACCOUNT, subject: 'u-3' })).toBeUndefined();
      await registry.removePerson('alice', bob.id);
      expect(await registry.accountOwner(ACCOUNT)).toBe(bob.id);
      expect(await come()).toBeUndefined();
      const cleo = await somebody(registry, 'Cleo');
      await registry.addAccount('Cleo', cleo.id, ACCOUNT);
      expect(await registry.accountOwner(ACCOUNT)).toBe(cleo.id);
    });
  });

  describe('a person', () => {
    test('is found by number and by name, however it is written', async () => {
      const registry = await opened();
      const { id } = await somebody(registry, 'Änna B.');
      for (const who of [id, 'Änna B.', 'änna b.', 'A\u0308nna B.'])
        expect(await registry.person(who)).toMatchObject({ id, name: 'Änna B.' });
      for (const who of [id + 1, 'Bob', '1'])
        await expect(registry.person(who)).rejects.toMatchObject(refused('fabric.unknown-person'));
      expect(await registry.passwordOf('ÄNNA b.')).toMatchObject({ person: { id }, password: PASSWORD });
      expect(await registry.passwordOf('Bob')).toBeUndefined();
      expect(JSON.stringify(await registry.person(id))).not.toContain('scrypt');
    });

    test('changes role; that, a new password and signing out everywhere end all sessions', async () => {
      const registry = await opened();
      await somebody(registry, 'Anna');
      const { id } = await somebody(registry, 'Bob', 'operator');
      expect(await registry.setRole('alice', id, 'auditor')).toBe(true);
      expect(await registry.setRole('alice', id, 'auditor')).toBe(false);
      expect(await registry.person(id)).toMatchObject({ role: 'auditor', generation: 2 });
      expect(await registry.setPassword('Bob', id, 'another')).toMatchObject({ generation: 3 });
      expect(await registry.passwordOf('Bob')).toMatchObject({ password: 'another' });
      await registry.endSessions('Bob', id);
      expect(await registry.person(id)).toMatchObject({ generation: 4 });
      expect((await actionsOf(registry)).slice(0, 3)).toEqual([
        'Bob: person.signout person 2',
        'Bob: person.password person 2',
        'alice: person.role person 2',
      ]);
    });

    test('who is removed can sign in no more, stays in the list, and leaves the name to others', async () => {
      const registry = await opened();
      await somebody(registry, 'Anna');
      const { id } = await somebody(registry, 'Bob');
      await registry.addPasskey('Bob', passkey(id));
      await registry.setRecoveryCodes('Bob', id, [random(32)]);
      await registry.removePerson('alice', id);
      expect(await registry.passwordOf('Bob')).toBeUndefined();
      expect(await registry.passkeys(id)).toEqual([]);
      expect(await registry.recoveryCodesLeft(id)).toBe(0);
      for (const change of [
        () => registry.removePerson('alice', id),
        () => registry.setRole('alice', id, 'owner'),
        () => registry.setPassword('alice', id, 'x'),
        () => registry.endSessions('alice', id),
        () => registry.signedIn(id, HOW),
        () => registry.addPasskey('Bob', passkey(id)),
        () => registry.setRecoveryCodes('Bob', id, []),
      ])
        await expect(change()).rejects.toMatchObject(refused('fabric.unknown-person'));
      expect((await somebody(registry, 'bob')).id).toBe(id + 1);
      expect(await allOf((page) => registry.people(page))).toMatchObject([
        { name: 'Anna' },
        { name: 'Bob', removed: 1_000, generation: 2 },
        { name: 'bob' },
      ]);
    });

    test.each(['host', 'owner'] as const)('who is the last %s stays that', async (role) => {
      const registry = await opened();
      const { id } = await somebody(registry, 'Anna', role);
      await somebody(registry, 'Bob', 'operator');
      const last = refused('fabric.last-owner');
      await expect(registry.removePerson('alice', id)).rejects.toMatchObject(last);
      await expect(registry.setRole('alice', id, 'operator')).rejects.toMatchObject(last);
      expect(await registry.setRole('alice', id, role === 'host' ? 'owner' : 'host')).toBe(true);
      const other = await somebody(registry, 'Carl');
      await registry.removePerson('alice', id);
      await expect(registry.removePerson('alice', other.id)).rejects.toMatchObject(last);
    });

    test('signs in, and who could not is noted, too', async () => {
      const registry = await opened();
      const { id } = await somebody(registry, 'Anna');
      expect(await registry.signedIn(id, HOW)).toMatchObject({ id, signedIn: 1_000 });
      await registry.signInFailed(id, '192.0.2.8');
      await registry.signInFailed(undefined, '192.0.2.9');
      const { rows } = await registry.audit({ limit: 3 });
      expect(rows).toMatchObject([
        { actor: 'console', action: 'signin.failed', subject: 'nobody', detail: { from: '192.0.2.9' } },
        { actor: 'console', action: 'signin.failed', subject: 'person 1', detail: { from: '192.0.2.8' } },
        { actor: 'Anna (person 1)', action: 'signin', subject: 'person 1', detail: HOW },
      ]);
    });
  });

  const passkey = (person: number) => ({
    person,
    credential: random(32),
    publicKey: random(77),
    counter: 0,
    name: 'laptop',
  });

  describe('a passkey', () => {
    test('is found by its credential, and its count only grows', async () => {
      const registry = await opened();
      const { id: person } = await somebody(registry, 'Anna');
      const fields = passkey(person);
      const added = await registry.addPasskey('Anna', fields);
      expect(added).toEqual({ id: 1, ...fields, created: 1_000 });
      expect(await registry.passkey(fields.credential)).toEqual(added);
      expect(await registry.passkey(random(32))).toBeUndefined();
      const counts = [0, 0, 5, 5, 4, 0, 6];
      const good: boolean[] = [];
      for (const count of counts) good.push(await registry.usePasskey(1, count));
      expect(good).toEqual([true, true, true, false, false, false, true]);
      expect(await registry.passkeys(person)).toMatchObject([{ counter: 6, used: 1_000 }]);
      expect(await registry.person(person)).toMatchObject({ passkeys: 1 });
    });

    test('is one person’s alone, and one has only so many', async () => {
      const registry = await opened();
      const { id: person } = await somebody(registry, 'Anna');
      const { id: other } = await somebody(registry, 'Bob');
      const fields = passkey(person);
      await registry.addPasskey('Anna', fields);
      await expect(registry.addPasskey('Bob', { ...fields, person: other })).rejects.toMatchObject(
        refused('fabric.passkey-exists'),
      );
      await expect(registry.removePasskey('Bob', other, 1)).rejects.toMatchObject(
        refused('fabric.unknown-passkey'),
      );
      for (let count = 1; count < MOST_PASSKEYS; count++) await registry.addPasskey('Anna', passkey(person));
      await expect(registry.addPasskey('Anna', passkey(person))).rejects.toMatchObject(
        refused('access.too-many-passkeys'),
      );
      await registry.removePasskey('Anna', person, 1);
      expect(await registry.passkeys(person)).toHaveLength(MOST_PASSKEYS - 1);
      expect((await actionsOf(registry))[0]).toBe('Anna: passkey.remove person 1');
    });
  });

  test('a recovery code works once, and new ones replace the old', async () => {
    const registry = await opened();
    const { id } = await somebody(registry, 'Anna');
    const { id: other } = await somebody(registry, 'Bob');
    const [one, two, three] = [random(32), random(32), random(32)];
    await registry.setRecoveryCodes('Anna', id, [one, two]);
    expect(await registry.useRecoveryCode(other, one)).toBe(false);
    expect(await registry.useRecoveryCode(id, one)).toBe(true);
    expect(await registry.useRecoveryCode(id, one)).toBe(false);
    expect(await registry.recoveryCodesLeft(id)).toBe(1);
    await registry.setRecoveryCodes('Anna', id, [three]);
    expect(await registry.useRecoveryCode(id, two)).toBe(false);
    expect(await registry.useRecoveryCode(id, three)).toBe(true);
    const { rows } = await registry.audit({ limit: 9 });
    expect(JSON.stringify(rows)).not.toContain(Buffer.from(three).toString('hex'));
  });
}
