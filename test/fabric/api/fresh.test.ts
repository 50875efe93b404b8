import { describe, expect, test } from 'vitest';
import { FRESH_MS, requireFresh } from '../../../fabric/access/fresh.ts';
import { EVERYTHING } from '../../../fabric/access/scope.ts';
import { ACCOUNT_OPERATIONS } from '../../../fabric/account/account.ts';
import { ACCOUNT_ROUTES } from '../../../fabric/api/account-table.ts';
import { CATALOGUE } from '../../../fabric/operations/contract/catalogue.ts';
import { invitePerson } from '../../../fabric/operations/people/people.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import { perform } from '../../../fabric/operations/perform.ts';
import { opened, registryFile } from '../place.ts';
import { authenticator } from './authenticator.ts';
import { type Browser, browser, fabricOf, served } from './console.ts';

const PASSWORD = 'correct horse battery';
const STALE = { status: 403, body: { code: 'access.fresh-sign-in', remedy: 'operator' } };

/** A console, its registry, and its clock; `enter` signs a new person in. */
async function place() {
  const time = { now: Date.now() };
  const now = (): number => time.now;
  const registry = opened(registryFile(), { now });
  const api = await served(registry, { now });
  const on = {
    registry,
    running: { notify: async () => 'in force', presence: async () => undefined },
    actor: 'alice',
    now,
  };
  const enter = async (name: string): Promise<Browser> => {
    const { invite } = await invitePerson.run(on, { role: 'host', hours: 1 });
    const there = browser(api);
    expect(await there.send('POST', '/setup', { invite, name, password: PASSWORD })).toMatchObject({
      status: 200,
    });
    return there;
  };
  return { registry, api, time, on, enter };
}

const invite = (there: Browser) => there.send('POST', '/people/invites', { role: 'auditor', hours: 1 });

/** A request with something in each brace of its path, and an empty body if it has one. */
const attempt = (there: Browser, { method, path }: { readonly method: string; readonly path: string }) =>
  there.send(method, path.replace(/\{\w+\}/g, '999999'), method === 'POST' ? {} : undefined);

const dangerous = Object.entries(CATALOGUE).filter(([, { fresh }]) => fresh);

/** Of those subjects, what sends anew what was sent before. */
const HARMLESS = ['hook-test', 'delivery-retry'];

test('what changes people, tokens, hooks, keys, or has no way back is marked', () => {
  const subjects = /^(?:people|tokens|hooks|keys|owners|settings)\.|^devices\.replace$|^groups\.suspend$/;
  const unmarked = Object.entries(CATALOGUE)
    .filter(([, { method, permission, fresh }]) => method !== 'GET' && subjects.test(permission) && !fresh)
    .map(([name]) => name);
  expect(unmarked.filter((name) => !HARMLESS.includes(name))).toEqual([]);
  expect(dangerous.map(([name]) => name)).toContain('device-bulk');
  expect(dangerous.every(([, { method }]) => method !== 'GET')).toBe(true);
});

describe('a session whose person was last there five minutes ago', () => {
  test.each(dangerous)('is refused %s, and not when it is fresh', async (_, entry) => {
    const at = await place();
    const there = await at.enter('Anna');
    at.time.now += FRESH_MS - 1;
    expect(String((await attempt(there, entry)).body.code)).not.toMatch(/^access\./);
    at.time.now += 1;
    expect(await attempt(there, entry)).toMatchObject(STALE);
    expect(await there.send('GET', '/me')).toMatchObject({ status: 200 });
  });

  test('is refused what changes how it signs in', async () => {
    const at = await place();
    const there = await at.enter('Anna');
    at.time.now += FRESH_MS;
    const marked = ACCOUNT_ROUTES.filter(({ who }) => who === 'fresh');
    expect(marked.map(({ name }) => name).sort()).toEqual([
      'account-add',
      'account-remove',
      'passkey-add',
      'passkey-options',
      'passkey-remove',
      'recovery-codes',
    ]);
    // A passkey is made from options that it is refused; accounts are those of an issuer (openid.test.ts).
    for (const route of marked.filter(
      ({ name }) => !['passkey-add', 'account-add', 'account-remove'].includes(name),
    ))
      expect(await attempt(there, route), route.name).toMatchObject(STALE);
    expect(await there.send('POST', '/accounts/remove', { issuer: 'x' })).toMatchObject(STALE);
  });

  test('does everything else', async () => {
    const at = await place();
    const there = await at.enter('Anna');
    at.time.now += FRESH_MS;
    for (const [name, entry] of Object.entries(CATALOGUE)) {
      const isRefused = (await attempt(there, entry)).body.code === 'access.fresh-sign-in';
      expect(isRefused, name).toBe(entry.fresh === true);
    }
  });
});

describe('a person shows that it is there', () => {
  test('by its password, and goes on for five minutes', async () => {
    const at = await place();
    const there = await at.enter('Anna');
    const other = browser(at.api);
    await other.send('POST', '/session', { name: 'Anna', password: PASSWORD });
    at.time.now += FRESH_MS;
    expect(await invite(there)).toMatchObject(STALE);
    const before = there.cookie();
    const wrong = await there.send('POST', '/session/confirm', { password: 'not the password' });
    expect(wrong).toMatchObject({ status: 401, body: { code: 'access.wrong-password' } });
    expect(await invite(there)).toMatchObject(STALE);
    expect(await there.send('POST', '/session/confirm', { password: PASSWORD })).toMatchObject({
      status: 200,
    });
    expect(there.cookie()).toBe(before);
    expect(await invite(there)).toMatchObject({ status: 200 });
    expect(await invite(other)).toMatchObject(STALE);
    at.time.now += FRESH_MS;
    expect(await invite(there)).toMatchObject(STALE);
  });

  test('by an own passkey, and by nobody else’s', async () => {
    const at = await place();
    const [anna, bob] = [await at.enter('Anna'), await at.enter('Bob')];
    const keys = new Map([anna, bob].map((there) => [there, authenticator()]));
    for (const [there, key] of keys) {
      const { body: options } = await there.send('POST', '/passkeys/options', {});
      const response = key.create(options, there.origin);
      expect(await there.send('POST', '/passkeys', { name: 'x', response })).toMatchObject({ status: 200 });
    }
    at.time.now += FRESH_MS;
    const options = async (path: string) => (await anna.send('POST', path, {})).body;
    const confirm = (response: object) => anna.send('POST', '/session/confirm/passkey', { response });
    const asked = await options('/session/confirm/passkey/options');
    expect(asked.allowCredentials).toHaveLength(1);
    const refused = { status: 401, body: { code: 'access.bad-passkey' } };
    expect(await confirm(keys.get(bob)!.get(asked, anna.origin))).toMatchObject(refused);
    // What was given to sign in, or to another person, shows nothing here.
    expect(
      await confirm(keys.get(anna)!.get(await options('/session/passkey/options'), anna.origin)),
    ).toMatchObject(refused);
    const ofBob = (await bob.send('POST', '/session/confirm/passkey/options', {})).body;
    expect(await confirm(keys.get(anna)!.get(ofBob, anna.origin))).toMatchObject(refused);
    expect(await invite(anna)).toMatchObject(STALE);
    const right = keys.get(anna)!.get(await options('/session/confirm/passkey/options'), anna.origin);
    expect(await confirm(right)).toMatchObject({ status: 200 });
    expect(await confirm(right)).toMatchObject(refused);
    expect(await invite(anna)).toMatchObject({ status: 200 });
    expect(await invite(bob)).toMatchObject(STALE);
  });

  test('only if it has signed in, and with few guesses', async () => {
    const at = await place();
    const there = await at.enter('Anna');
    const stranger = browser(at.api, '198.51.100.7');
    for (const path of ['/session/confirm', '/session/confirm/passkey', '/session/confirm/passkey/options'])
      expect(await stranger.send('POST', path, { password: PASSWORD })).toMatchObject({ status: 401 });
    const { token } = await createToken.run(at.on, { name: 'x', role: 'host', days: 1 });
    const byToken = { authorization: `Bearer ${token}`, cookie: undefined };
    expect(await there.send('POST', '/session/confirm', { password: PASSWORD }, byToken)).toMatchObject({
      status: 403,
      body: { code: 'access.forbidden' },
    });
    for (let guess = 0; guess < 5; guess++)
      await there.send('POST', '/session/confirm', { password: `guess ${guess} of many` });
    expect(await there.send('POST', '/session/confirm', { password: PASSWORD })).toMatchObject({
      status: 429,
      body: { code: 'access.too-many-attempts' },
    });
  });
});

test('a token and the operator of the host are not asked', async () => {
  const at = await place();
  const there = await at.enter('Anna');
  const { token } = await createToken.run(at.on, { name: 'x', role: 'host', days: 1 });
  at.time.now += FRESH_MS;
  const byToken = { authorization: `Bearer ${token}`, cookie: undefined };
  expect(await there.send('POST', '/people/invites', { role: 'auditor', hours: 1 }, byToken)).toMatchObject({
    status: 200,
  });
  const input = { role: 'auditor', hours: 1 };
  const operator = { name: 'root', role: 'host', scope: EVERYTHING, via: 'operator' } as const;
  expect(await perform('person-invite', operator, at.on, input)).toBeDefined();
});

test('the fabric decides: a console that does not say when the person was there is refused', async () => {
  const at = await place();
  await at.enter('Anna');
  const { call } = fabricOf(at.registry, () => at.time.now);
  const { id, generation } = await at.registry.person('Anna');
  const ask = (proved: number | undefined) =>
    call('person-invite', { person: { id, generation, proved } }, { role: 'auditor', hours: 1 });
  const refused = { code: 'access.fresh-sign-in' };
  await expect(ask(undefined)).rejects.toMatchObject(refused);
  await expect(ask(at.time.now + 1)).rejects.toMatchObject(refused);
  await expect(ask(at.time.now - FRESH_MS)).rejects.toMatchObject(refused);
  await expect(ask(at.time.now)).resolves.toBeDefined();
  expect(() => requireFresh(at.time.now, at.time.now)).not.toThrow();
  const fresh = [...ACCOUNT_OPERATIONS.values()].filter(({ who }) => who === 'fresh');
  expect(fresh.length).toBeGreaterThan(0);
  for (const { name } of fresh)
    await expect(call(name, { person: { id, generation } }, {}), name).rejects.toMatchObject(refused);
});

test('a request that is repeated with its Idempotency-Key after the person was there is done once', async () => {
  const at = await place();
  const there = await at.enter('Anna');
  const add = () =>
    there.send('POST', '/networks', { prefix: 'fd00:77::/64', name: 'once' }, { 'idempotency-key': 'k' });
  const first = await add();
  expect(first.status).toBe(200);
  at.time.now += 1_000;
  await there.send('POST', '/session/confirm', { password: PASSWORD });
  expect((await add()).body).toEqual(first.body);
});
