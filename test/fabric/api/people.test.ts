import { describe, expect, test } from 'vitest';
import { PERMISSIONS, permissionsOf, ROLES, type Role } from '../../../fabric/access/roles.ts';
import { ACCOUNT_ROUTES } from '../../../fabric/api/account-table.ts';
import { CATALOGUE } from '../../../fabric/operations/contract/catalogue.ts';
import { invitePerson } from '../../../fabric/operations/people/people.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import type { WholeRegistry as Registry } from '../place.ts';
import { opened, registryFile } from '../place.ts';
import { type Browser, browser, served } from './console.ts';

const PASSWORD = 'correct horse battery';

/** A console, its registry, and its clock. */
async function place() {
  const time = { now: Date.now() };
  const now = (): number => time.now;
  const registry = opened(registryFile(), { now });
  const api = await served(registry, { now });
  return { registry, api, time };
}

const on = (registry: Registry) => ({
  registry,
  running: { notify: async () => 'in force', presence: async () => undefined },
  actor: 'alice',
  now: Date.now,
});

const inviteOf = async (registry: Registry, role: Role = 'owner'): Promise<string> =>
  (await invitePerson.run(on(registry), { role, hours: 1 })).invite;

/** A browser in which a new person has signed in. */
async function entered(
  { registry, api }: Awaited<ReturnType<typeof place>>,
  name: string,
  role: Role = 'owner',
): Promise<Browser> {
  const there = browser(api);
  const invite = await inviteOf(registry, role);
  const answer = await there.send('POST', '/setup', { invite, name, password: PASSWORD });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return there;
}

const signIn = (there: Browser, name: string, password = PASSWORD) =>
  there.send('POST', '/session', { name, password });

describe('an invite', () => {
  test('makes a person, who is signed in and may what the role may', async () => {
    const at = await place();
    const there = browser(at.api);
    const invite = await inviteOf(at.registry, 'operator');
    const made = await there.send('POST', '/setup', { invite, name: ' Anna ', password: PASSWORD });
    const me = {
      name: 'Anna',
      role: 'operator',
      permissions: permissionsOf('operator'),
      via: 'session',
      hasPassword: true,
    };
    expect(made).toMatchObject({ status: 200, body: me });
    expect(made.headers.get('set-cookie')).toMatch(
      /^enf=enfs_[\w-]{49}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    expect(await there.send('GET', '/me')).toMatchObject({ status: 200, body: me });
    expect(await there.send('GET', '/networks')).toMatchObject({ status: 200 });
    expect(await there.send('POST', '/networks', { prefix: 'fd00:7::/64', name: '' })).toMatchObject({
      status: 403,
      body: { code: 'access.forbidden' },
    });
    const { rows } = await at.registry.audit({ limit: 2 });
    expect(rows).toMatchObject([
      { actor: 'Anna (person 1)', action: 'signin', detail: { via: 'invite', from: '127.0.0.1' } },
      { actor: 'Anna (person 1)', action: 'person.create' },
    ]);
  });

  test('that six use at once lets one in', async () => {
    const { registry, api } = await place();
    const invite = await inviteOf(registry);
    const all = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        browser(api, `198.51.100.${index}`).send('POST', '/setup', {
          invite,
          name: `person ${index}`,
          password: PASSWORD,
        }),
      ),
    );
    expect(all.map(({ status }) => status).sort()).toEqual([200, 403, 403, 403, 403, 403]);
    expect((await registry.people({ limit: 9 })).rows).toHaveLength(1);
  });

  test('that is none, a name that is none or taken, and a weak password are refused', async () => {
    const at = await place();
    await entered(at, 'Anna');
    const invite = await inviteOf(at.registry);
    const good = { invite, name: 'Bob', password: PASSWORD };
    for (const [change, status, code] of [
      [{ invite: `${invite}x` }, 403, 'access.bad-invite'],
      [{ invite: '' }, 403, 'access.bad-invite'],
      [{ name: 'anna' }, 409, 'fabric.person-exists'],
      [{ name: '007' }, 400, 'access.bad-name'],
      [{ name: ' ' }, 400, 'access.bad-name'],
      [{ name: 'a\u200bb' }, 400, 'fabric.bad-input'],
      [{ name: 'x'.repeat(61) }, 400, 'fabric.bad-input'],
      [{ password: 'short' }, 400, 'access.weak-password'],
      [{ password: undefined }, 400, 'fabric.bad-input'],
      [{ role: 'host' }, 400, 'fabric.bad-input'],
      [{ source: '192.0.2.1' }, 400, 'fabric.bad-input'],
    ] as const) {
      const answer = await browser(at.api).send('POST', '/setup', { ...good, ...change });
      expect(answer, JSON.stringify(change)).toMatchObject({ status, body: { code } });
      expect(JSON.stringify(answer.body)).not.toContain(PASSWORD);
    }
    expect(await browser(at.api).send('POST', '/setup', good)).toMatchObject({ status: 200 });
  });
});

describe('signing in', () => {
  test('by password opens a session until it is signed out', async () => {
    const at = await place();
    await entered(at, 'Anna');
    const there = browser(at.api);
    expect(await there.send('GET', '/me')).toMatchObject({
      status: 401,
      body: { code: 'access.not-signed-in' },
    });
    expect(await signIn(there, 'ANNA')).toMatchObject({ status: 200, body: { name: 'Anna' } });
    const old = there.cookie();
    expect(await there.send('DELETE', '/session')).toMatchObject({ status: 200 });
    expect(there.cookie()).toBe('');
    expect(await there.send('GET', '/me', undefined, { cookie: old })).toMatchObject({ status: 401 });
  });

  test('fails alike for a wrong password and for nobody; the sixth waits, others do not', async () => {
    const at = await place();
    await entered(at, 'Anna');
    const stranger = browser(at.api, '198.51.100.7');
    const [wrong, nobody] = [await signIn(stranger, 'Anna', 'wrong password'), await signIn(stranger, 'Eve')];
    expect(wrong).toMatchObject({ status: 401, body: { code: 'access.wrong-password' } });
    expect(nobody.body).toEqual(wrong.body);
    for (let count = 2; count < 5; count++) await signIn(stranger, 'Anna', 'wrong password');
    const waits = await signIn(stranger, 'Anna');
    expect(waits).toMatchObject({ status: 429, body: { code: 'access.too-many-attempts' } });
    expect(Number(waits.headers.get('retry-after'))).toBeGreaterThan(0);
    at.time.now += 2_000;
    expect(await signIn(stranger, 'Anna')).toMatchObject({ status: 200 });
    const { rows } = await at.registry.audit({ limit: 99 });
    expect(rows.filter(({ action }) => action === 'signin.failed')).toMatchObject([
      { subject: 'person 1', detail: { from: '198.51.100.7' } },
    ]);
  });

  test('takes a recovery code in place of the password, once', async () => {
    const at = await place();
    const there = await entered(at, 'Anna');
    const { body } = await there.send('POST', '/recovery-codes', {});
    const codes = body.codes as string[];
    expect(codes).toHaveLength(10);
    expect(new Set(codes).size).toBe(10);
    expect(await there.send('GET', '/recovery-codes')).toMatchObject({ body: { left: 10 } });
    const other = browser(at.api);
    expect(await signIn(other, 'Anna', ` ${codes[0]!.toUpperCase()}`)).toMatchObject({ status: 200 });
    expect(await signIn(other, 'Anna', codes[0]!)).toMatchObject({ status: 401 });
    expect(await there.send('GET', '/recovery-codes')).toMatchObject({ body: { left: 9 } });
    const changed = { current: codes[1]!, password: 'another good password' };
    expect(await other.send('POST', '/password', { ...changed, password: 'weak' })).toMatchObject({
      status: 400,
    });
    expect(await other.send('POST', '/password', changed)).toMatchObject({ status: 200 });
    expect(await signIn(browser(at.api), 'Anna', changed.password)).toMatchObject({ status: 200 });
  });
});

describe('all sessions of a person', () => {
  const over = { status: 401, body: { code: 'access.not-signed-in' } };

  test('end when the role changes or the person is removed, at once', async () => {
    const at = await place();
    const owner = await entered(at, 'Anna');
    const bob = await entered(at, 'Bob', 'operator');
    expect(await owner.send('POST', '/people/bob/role', { role: 'auditor' })).toMatchObject({ status: 200 });
    expect(await bob.send('GET', '/me')).toMatchObject(over);
    expect(await bob.send('GET', '/networks')).toMatchObject(over);
    expect(await signIn(bob, 'Bob')).toMatchObject({ body: { role: 'auditor' } });
    expect(await owner.send('DELETE', '/people/2')).toMatchObject({ status: 200 });
    expect(await bob.send('GET', '/me')).toMatchObject(over);
    expect(await signIn(bob, 'Bob')).toMatchObject({ status: 401, body: { code: 'access.wrong-password' } });
    expect(await owner.send('DELETE', '/people/1')).toMatchObject({
      status: 409,
      body: { code: 'fabric.last-owner' },
    });
    expect((await owner.send('GET', '/people')).body.rows).toMatchObject([{ name: 'Anna' }, { name: 'Bob' }]);
  });

  test('but the one at hand end with a new password; all with signing out everywhere', async () => {
    const at = await place();
    const [there, other] = [await entered(at, 'Anna'), browser(at.api)];
    await signIn(other, 'Anna');
    const wrong = { current: 'not the password', password: 'another good password' };
    expect(await there.send('POST', '/password', wrong)).toMatchObject({
      status: 401,
      body: { code: 'access.wrong-password' },
    });
    const weak = { current: PASSWORD, password: 'weak' };
    expect(await there.send('POST', '/password', weak)).toMatchObject({
      status: 400,
      body: { code: 'access.weak-password' },
    });
    expect(await there.send('POST', '/password', { ...wrong, current: PASSWORD })).toMatchObject({
      status: 200,
    });
    expect(await there.send('GET', '/me')).toMatchObject({ status: 200 });
    expect(await other.send('GET', '/me')).toMatchObject(over);
    await signIn(other, 'Anna', wrong.password);
    expect(await there.send('DELETE', '/sessions')).toMatchObject({ status: 200 });
    expect(await there.send('GET', '/me')).toMatchObject(over);
    expect(await other.send('GET', '/me')).toMatchObject(over);
  });
});

describe('who may send what', () => {
  test('whatever changes something comes from the console’s own pages', async () => {
    const at = await place();
    const there = await entered(at, 'Anna');
    const foreign: Record<string, string | undefined>[] = [
      { 'x-enf-request': undefined },
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'cross-site' },
      { origin: undefined, 'sec-fetch-site': undefined },
    ];
    const unsafe = [...ACCOUNT_ROUTES, ...Object.values(CATALOGUE)].filter(({ method }) => method !== 'GET');
    for (const { method, path } of unsafe) {
      for (const headers of foreign) {
        const body = method === 'POST' ? {} : undefined;
        const answer = await there.send(method, path.replace(/\{\w+\}/g, '1'), body, headers);
        expect(answer, `${method} ${path} ${JSON.stringify(headers)}`).toMatchObject({
          status: 403,
          body: { code: 'access.cross-site' },
        });
      }
    }
    expect(await there.send('GET', '/me', undefined, { 'x-enf-request': undefined })).toMatchObject({
      status: 200,
    });
  });

  test.each(ROLES)('every operation, by %s in a session', async (role) => {
    const at = await place();
    const there = await entered(at, 'Anna', role);
    const inputs: Record<string, object> = {
      'network-add': { prefix: 'fe80::/64', name: '' },
      'group-add': { label: 'ENF1:X', network: 'fd00::/64' },
      'group-status': { status: 'active' },
      'device-standing': { change: 'ban' },
      'token-create': { name: 'x', role: 'auditor', days: 1 },
      'person-invite': { role: 'auditor', hours: 1 },
      'person-role': { role: 'auditor' },
    };
    for (const [name, { method, path, permission }] of Object.entries(CATALOGUE)) {
      const body = method === 'POST' ? (inputs[name] ?? {}) : undefined;
      const filled = path.replace('{address}', 'fd00::1').replace(/\{\w+\}/g, '999999');
      const { status, body: answer } = await there.send(method, filled, body);
      if (permissionsOf(role).includes(permission)) expect(answer.code ?? '', name).not.toMatch(/^access\./);
      else expect([status, answer.code], name).toEqual([403, 'access.forbidden']);
    }
    expect(PERMISSIONS).toEqual(expect.arrayContaining([...permissionsOf(role)]));
  });

  test('every request of a person for itself, by a token and by nobody', async () => {
    const at = await place();
    const { token } = await createToken.run(on(at.registry), { name: 'x', role: 'host', days: 1 });
    const there = browser(at.api);
    // Events go on for ever.
    for (const { method, path, who } of ACCOUNT_ROUTES.filter(({ name }) => name !== 'events')) {
      const send = (headers: Record<string, string>) =>
        there.send(
          method,
          path.replace(/\{\w+\}/g, '1'),
          method === 'POST' ? (FILLED[path] ?? {}) : undefined,
          headers,
        );
      const [byToken, byNobody] = [await send({ authorization: `Bearer ${token}` }), await send({})];
      if (who === 'person') {
        expect(byToken, path).toMatchObject({ status: 403, body: { code: 'access.forbidden' } });
      }
      if (who === 'caller') expect(byToken, path).toMatchObject({ status: 200 });
      if (who !== 'anyone') {
        expect(byNobody, path).toMatchObject({ status: 401, body: { code: 'access.not-signed-in' } });
      }
    }
    const me = await there.send('GET', '/me', undefined, { authorization: `Bearer ${token}` });
    expect(me.body).toMatchObject({ name: 'x (token 1)', role: 'host', via: 'token' });
  });

  test('a session is no token, and a token no session', async () => {
    const at = await place();
    const there = await entered(at, 'Anna');
    const { token } = await createToken.run(on(at.registry), { name: 'x', role: 'host', days: 1 });
    const session = there.cookie().split('=')[1]!;
    expect(await there.send('GET', '/me', undefined, { authorization: `Bearer ${session}` })).toMatchObject({
      status: 401,
      body: { code: 'access.bad-token' },
    });
    expect(await there.send('GET', '/me', undefined, { cookie: `enf=${token}` })).toMatchObject({
      status: 401,
    });
  });
});

/** Bodies that are complete, where an empty one is not. */
const FILLED: Record<string, object> = {
  '/password': { current: PASSWORD, password: 'another good password' },
};

describe('a token', () => {
  const made = async (there: Browser, role: Role): Promise<string> =>
    (await there.send('POST', '/tokens', { name: `of ${role}`, role, days: 1 })).body.token as string;
  const works = async (there: Browser, token: string): Promise<boolean> =>
    (await there.send('GET', '/me', undefined, { cookie: undefined, authorization: `Bearer ${token}` }))
      .status === 200;

  test('ends with the person who made it, and so does one that was made by it', async () => {
    const at = await place();
    const [anna, bob] = [await entered(at, 'Anna'), await entered(at, 'Bob')];
    const own = await made(anna, 'owner');
    const first = await made(bob, 'owner');
    const answer = await bob.send(
      'POST',
      '/tokens',
      { name: 'second', role: 'owner', days: 1 },
      {
        cookie: undefined,
        authorization: `Bearer ${first}`,
      },
    );
    const second = answer.body.token as string;
    const operators = (await createToken.run(on(at.registry), { name: 'host', role: 'owner', days: 1 }))
      .token;
    expect(await Promise.all([own, first, second, operators].map((each) => works(anna, each)))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect((await anna.send('DELETE', '/people/bob')).status).toBe(200);
    expect(await Promise.all([own, first, second, operators].map((each) => works(anna, each)))).toEqual([
      true,
      false,
      false,
      true,
    ]);
    const newest = (await at.registry.audit({ limit: 1 })).rows[0];
    expect(newest).toMatchObject({ action: 'person.remove', detail: { tokensRevoked: 2 } });
  });

  test('that may more than the new role of its person ends with the old one', async () => {
    const at = await place();
    const [anna, bob] = [await entered(at, 'Anna'), await entered(at, 'Bob')];
    const [owner, auditor] = [await made(bob, 'owner'), await made(bob, 'auditor')];
    expect((await anna.send('POST', '/people/bob/role', { role: 'operator' })).status).toBe(200);
    expect(await Promise.all([owner, auditor].map((each) => works(anna, each)))).toEqual([false, false]);
    const carol = await entered(at, 'Carol');
    const kept = await made(carol, 'installer');
    expect((await anna.send('POST', '/people/carol/role', { role: 'operator' })).status).toBe(200);
    expect(await works(anna, kept)).toBe(true);
  });
});
