import { describe, expect, test } from 'vitest';
import { FRESH_MS } from '../../../fabric/access/fresh.ts';
import { ANNA, PASSWORD, place, problem } from './openid-place.ts';

describe('a person who has signed in by password', () => {
  async function entered() {
    const at = await place();
    const there = at.browser();
    const { invite } = await at.invite(undefined, 'owner');
    const made = await there.send('POST', '/setup', { invite, name: 'Anna', password: PASSWORD });
    expect(made.status).toBe(200);
    return { at, there };
  }

  test('adds its account, signs in by it, and removes it', async () => {
    const { at, there } = await entered();
    expect(await there.comeBack(await there.travel('/accounts'))).toBe('/#/you');
    const account = { issuer: at.at.url, subject: 'u-1', login: ANNA.email };
    expect((await there.send('GET', '/accounts')).body).toEqual({ rows: [account] });
    expect(await at.browser().signIn()).toBe('/');
    expect(await there.send('POST', '/accounts/remove', { issuer: at.at.url })).toMatchObject({
      status: 200,
    });
    expect(await there.send('POST', '/accounts/remove', { issuer: at.at.url })).toMatchObject({
      status: 404,
      body: { code: 'fabric.unknown-account' },
    });
    expect(await at.browser().signIn()).toBe(problem('access.not-invited'));
    const actions = (await at.registry.audit({ limit: 20 })).rows.map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(['account.add', 'account.remove']));
  });

  test('adds none once it has signed out meanwhile', async () => {
    const { at, there } = await entered();
    const back = await there.travel('/accounts');
    expect((await there.send('DELETE', '/session')).status).toBeLessThan(300);
    expect(await there.comeBack(back)).toBe('/#/you?problem=access.not-signed-in');
    expect(await at.browser().signIn()).toBe(problem('access.not-invited'));
  });

  test('does so only freshly, and does not take somebody else’s', async () => {
    const { at, there } = await entered();
    await at.invite('anna@example.org');
    expect(await at.browser().signIn()).toBe('/');
    expect(await there.comeBack(await there.travel('/accounts'))).toBe(
      '/#/you?problem=fabric.account-exists',
    );
    at.time.now += FRESH_MS;
    expect(await there.send('POST', '/accounts', {})).toMatchObject({
      status: 403,
      body: { code: 'access.fresh-sign-in' },
    });
  });
});

describe('a person shows at the issuer that it is there', () => {
  async function entered() {
    const at = await place();
    await at.invite('anna@example.org', 'owner');
    const there = at.browser();
    expect(await there.signIn()).toBe('/');
    const invite = () => there.send('POST', '/people/invites', { role: 'auditor', hours: 1 });
    const confirm = async () => there.comeBack(await there.travel('/session/confirm/account'));
    return { at, there, invite, confirm };
  }
  const refused = (code: string) => `/#/you?problem=${code}`;
  const stale = { status: 403, body: { code: 'access.fresh-sign-in' } };

  test('in the session that asked, which stays the same and is fresh from then on', async () => {
    const { at, there, invite, confirm } = await entered();
    const session = there.cookies.get('enf');
    expect(await invite()).toMatchObject(stale);
    const { body } = await there.send('POST', '/session/confirm/account', {});
    const asked = new URL(String(body.address)).searchParams;
    expect([asked.get('prompt'), asked.get('max_age')]).toEqual(['login', '0']);
    expect(await confirm()).toBe('/');
    expect(there.cookies.get('enf')).toBe(session);
    expect(await invite()).toMatchObject({ status: 200 });
    at.time.now += FRESH_MS;
    expect(await invite()).toMatchObject(stale);
  });

  test.each<[string, (now: number) => object]>([
    ['an hour ago', (now) => ({ auth_time: now - 3_600 })],
    ['a minute ago', (now) => ({ auth_time: now - 60 })],
    ['at a time that is not said', () => ({ auth_time: undefined })],
    ['at a time in words', (now) => ({ auth_time: String(now) })],
  ])('not by a sign-in there of %s', async (_, claims) => {
    const { at, invite, confirm } = await entered();
    at.at.claims = { ...ANNA, ...claims(Math.floor(at.time.now / 1_000)) };
    expect(await confirm()).toBe(refused('access.bad-account'));
    expect(await invite()).toMatchObject(stale);
  });

  test('and nobody else does, also not a person of this fabric', async () => {
    const { at, there, invite, confirm } = await entered();
    for (const name of ['Bob', 'Carl']) {
      at.at.claims = { ...ANNA, sub: name, name, email: `${name}@example.org` };
      if (name === 'Bob') {
        await at.invite('bob@example.org');
        expect(await at.browser().signIn()).toBe('/');
      }
      expect(await confirm()).toBe(refused('access.other-account'));
    }
    expect((await there.send('GET', '/me')).body.name).toBe('Anna');
    expect(await invite()).toMatchObject(stale);
  });

  test('not in another session, nor in one that has ended', async () => {
    const { at, there, invite } = await entered();
    const back = await there.travel('/session/confirm/account');
    const kept = there.cookies.get('enf-account')!;
    await there.send('DELETE', '/session');
    expect(await there.signIn()).toBe('/');
    there.cookies.set('enf-account', kept);
    expect(await there.comeBack(back)).toBe(refused('access.not-signed-in'));
    expect(await invite()).toMatchObject(stale);
    const next = await there.travel('/session/confirm/account');
    await there.send('DELETE', '/sessions');
    expect(await there.comeBack(next)).toBe(refused('access.not-signed-in'));
    const stranger = at.browser();
    expect(await stranger.send('POST', '/session/confirm/account', {})).toMatchObject({ status: 401 });
  });
});

describe('a person who has only an account elsewhere', () => {
  async function entered() {
    const at = await place();
    await at.invite('anna@example.org', 'owner');
    const there = at.browser();
    at.at.claims = { ...ANNA, auth_time: Math.floor(at.time.now / 1_000) };
    expect(await there.signIn()).toBe('/');
    return { at, there };
  }
  const signIn = (at: Awaited<ReturnType<typeof place>>, password: string) =>
    at.browser().send('POST', '/session', { name: 'Anna', password });
  const wrong = { status: 401, body: { code: 'access.wrong-password' } };

  test('signs in, and shows that it is there, by recovery codes', async () => {
    const { at, there } = await entered();
    const made = await there.send('POST', '/recovery-codes', {});
    const [first, second] = made.body.codes as string[];
    expect(await signIn(at, PASSWORD)).toMatchObject(wrong);
    expect(await signIn(at, first!)).toMatchObject({ status: 200, body: { hasPassword: false } });
    expect(await signIn(at, first!)).toMatchObject(wrong);
    at.time.now += FRESH_MS;
    expect(await there.send('POST', '/session/confirm', { password: second })).toMatchObject({ status: 200 });
    expect(await there.send('POST', '/people/invites', { role: 'auditor', hours: 1 })).toMatchObject({
      status: 200,
    });
  });

  test('chooses its first password freshly or by a recovery code, and from then on needs that', async () => {
    const { at, there } = await entered();
    const { codes } = (await there.send('POST', '/recovery-codes', {})).body;
    const change = (body: object) => there.send('POST', '/password', body);
    expect((await there.send('GET', '/me')).body.hasPassword).toBe(false);
    expect(await change({ current: 'anything at all', password: PASSWORD })).toMatchObject(wrong);
    at.time.now += FRESH_MS;
    const stale = { status: 403, body: { code: 'access.fresh-sign-in' } };
    expect(await change({ password: PASSWORD })).toMatchObject(stale);
    expect(await change({ current: (codes as string[])[0], password: PASSWORD })).toMatchObject({
      status: 200,
      body: { hasPassword: true },
    });
    expect(await change({ password: `${PASSWORD} 2` })).toMatchObject(wrong);
    expect(await signIn(at, PASSWORD)).toMatchObject({ status: 200 });

    const other = await entered();
    const chosen = await other.there.send('POST', '/password', { password: PASSWORD });
    expect(chosen).toMatchObject({ status: 200, body: { hasPassword: true } });
    expect(await signIn(other.at, PASSWORD)).toMatchObject({ status: 200 });
  });
});
