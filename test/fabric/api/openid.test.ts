import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { FRESH_MS } from '../../../fabric/access/fresh.ts';
import type { OpenId } from '../../../fabric/access/openid.ts';
import type { Role } from '../../../fabric/access/roles.ts';
import { CALLBACK_PATH } from '../../../fabric/api/openid-routes.ts';
import { openIdSignIn } from '../../../fabric/api/signing-in/openid.ts';
import { invitePerson, removePerson } from '../../../fabric/operations/people.ts';
import { opened, registryFile } from '../place.ts';
import { browser, served, traveller } from './console.ts';
import { CLIENT, issuer, type Wrong } from './issuer.ts';

const PASSWORD = 'correct horse battery';
const ANNA = { sub: 'u-1', email: 'Anna@example.org', email_verified: true, name: 'Anna' };

/** A console whose people sign in at an issuer; both are in this process, with one clock. */
async function place(settings: Partial<OpenId> = {}) {
  const time = { now: Date.now() };
  const now = (): number => time.now;
  const at = await issuer(now);
  at.claims = ANNA;
  const registry = opened(registryFile(), { now });
  const log: string[] = [];
  const openid: OpenId = {
    ...{ issuer: new URL(at.url), clientId: CLIENT.id, secret: CLIENT.secret, name: 'Example' },
    ...{ claim: 'email', domains: [], role: 'auditor', ...settings },
  };
  // Browsers in these tests name the port that the console really has, whatever its origin is.
  const origin = 'http://localhost:8480';
  const api = await served(registry, { now, openid, origin, log: (_level, line) => log.push(line) });
  const on = {
    ...{ registry, actor: 'alice', now },
    running: { notify: async () => 'in force', presence: async () => undefined },
  };
  const invite = (login?: string, role: Role = 'operator') => invitePerson.run(on, { role, hours: 1, login });
  return { at, registry, api, time, log, on, invite, browser: () => traveller(api) };
}

/** The console's side alone, and the address at which a browser comes back that has begun. */
function atTheIssuer({ at, time }: Awaited<ReturnType<typeof place>>) {
  const signIn = openIdSignIn(
    {
      ...{ issuer: new URL(at.url), clientId: CLIENT.id, secret: CLIENT.secret, name: 'x' },
      ...{ claim: 'email', domains: [], role: 'auditor' },
    },
    'http://localhost:8480/back',
    () => time.now,
  );
  const backFrom = ({ address }: { readonly address: string }, parameters = ''): URL => {
    const state = new URL(address).searchParams.get('state')!;
    return new URL(`http://localhost:8480/back?${parameters}state=${state}&iss=${at.url}`);
  };
  return { signIn, backFrom };
}

const problem = (code: string): string => `/#/?problem=${code}`;

describe('somebody who signs in by an account elsewhere', () => {
  test('comes in by an invite for its login, and from then on by the account', async () => {
    const at = await place();
    await at.invite('anna@EXAMPLE.org');
    const there = at.browser();
    expect((await there.send('GET', '/session/ways')).body).toEqual({ issuer: 'Example' });
    expect(await there.signIn()).toBe('/');
    expect(await there.send('GET', '/me')).toMatchObject({
      status: 200,
      body: { name: 'Anna', role: 'operator', via: 'session' },
    });
    const { rows } = await at.registry.audit({ limit: 1 });
    expect(rows).toMatchObject([{ action: 'signin', detail: { via: 'account', from: '127.0.0.1' } }]);
    // The issuer's number counts, whatever it calls the person later.
    at.at.claims = { ...ANNA, email: 'anna.b@example.net', name: 'Somebody' };
    const again = at.browser();
    expect(await again.signIn()).toBe('/');
    expect((await again.send('GET', '/me')).body.name).toBe('Anna');
    // Another account does not come in by the invite that was used.
    at.at.claims = { ...ANNA, sub: 'u-2' };
    expect(await at.browser().signIn()).toBe(problem('access.not-invited'));
  });

  test('and whom nobody invited is refused, unless its domain is let in', async () => {
    const closed = await place();
    await closed.invite();
    await closed.invite('bob@example.org');
    expect(await closed.browser().signIn()).toBe(problem('access.not-invited'));
    expect((await closed.registry.people({ limit: 9 })).rows).toEqual([]);
    const { rows } = await closed.registry.audit({ limit: 1 });
    expect(rows).toMatchObject([{ action: 'signin.failed', subject: 'nobody' }]);

    const open = await place({ domains: ['example.org'], role: 'installer' });
    const there = open.browser();
    expect(await there.signIn()).toBe('/');
    expect((await there.send('GET', '/me')).body).toMatchObject({ name: 'Anna', role: 'installer' });
    for (const email of [
      'bob@example.org.evil.test',
      'bob@sub.example.org',
      'example.org',
      '@xexample.org',
    ]) {
      open.at.claims = { ...ANNA, sub: email, email };
      expect(await open.browser().signIn(), email).toBe(problem('access.not-invited'));
    }
    // Whoever was removed does not come back with its domain, but by an invite.
    await invitePerson.run(open.on, { role: 'owner', hours: 1, login: 'root@example.org' });
    open.at.claims = ANNA;
    await removePerson.run(open.on, { person: 'Anna' });
    expect(await open.browser().signIn()).toBe(problem('access.not-invited'));
    await open.invite('anna@example.org');
    expect(await open.browser().signIn()).toBe('/');
  });

  test('and whose name somebody has already is called by its login, or by a number', async () => {
    const at = await place({ domains: ['example.org'] });
    const nameOf = async (sub: string, name: string, email = 'anna@example.org') => {
      at.at.claims = { ...ANNA, sub, name, email };
      const there = at.browser();
      expect(await there.signIn()).toBe('/');
      return (await there.send('GET', '/me')).body.name;
    };
    expect(await nameOf('1', 'Anna')).toBe('Anna');
    expect(await nameOf('2', 'ANNA', 'anna.b@example.org')).toBe('anna.b@example.org');
    expect(await nameOf('3', 'Anna', 'anna.b@example.org')).toBe('Anna 2');
    expect(await nameOf('4', '007', 'bond@example.org')).toBe('bond@example.org');
    expect(await nameOf('5', 'x'.repeat(80), 'x@example.org')).toBe('x'.repeat(60));
    expect(await nameOf('6', 'x'.repeat(80), 'x@example.org')).toBe('x@example.org');
    expect(await nameOf('7', 'x'.repeat(80), 'x@example.org')).toBe(`${'x'.repeat(58)} 2`);
    expect(await nameOf('1', 'Another')).toBe('Anna');
  });

  test('and has an address of a domain alone does not where the issuer has to say whose account it is', async () => {
    const at = await place({ domains: ['example.org', 'example.net'], domainClaim: 'hd' });
    for (const [hd, email] of [
      [undefined, 'anna@example.org'],
      ['', 'anna@example.org'],
      ['Example.org', 'anna@example.org'],
      [['example.org'], 'anna@example.org'],
      ['example.org.evil.test', 'anna@example.org'],
      ['example.org', 'anna@gmail.example'],
    ]) {
      at.at.claims = { ...ANNA, hd, email };
      expect(await at.browser().signIn(), `${hd} ${email}`).toBe(problem('access.not-invited'));
    }
    at.at.claims = { ...ANNA, hd: 'example.org', email: 'anna@example.net' };
    expect(await at.browser().signIn()).toBe('/');
  });

  test('twice at the same moment is one person', async () => {
    const at = await place({ domains: ['example.org'] });
    const there = [at.browser(), at.browser(), at.browser()];
    const ways = await Promise.all(there.map((each) => each.travel()));
    expect(await Promise.all(there.map((each, i) => each.comeBack(ways[i]!)))).toEqual(['/', '/', '/']);
    expect((await at.registry.people({ limit: 9 })).rows).toHaveLength(1);
  });

  test.each<[string, object, string]>([
    ['an e-mail address that is not verified', { email_verified: false }, 'access.unverified-email'],
    ['one of which nothing is said', { email_verified: undefined }, 'access.unverified-email'],
    ['one that is verified in words', { email_verified: 'true' }, 'access.unverified-email'],
    ['no e-mail address', { email: undefined }, 'access.bad-account'],
    ['a list of them', { email: ['anna@example.org'] }, 'access.bad-account'],
    ['another nonce', { nonce: 'x' }, 'access.bad-account'],
    ['no nonce', { nonce: undefined }, 'access.bad-account'],
    ['another audience', { aud: 'somebody else' }, 'access.bad-account'],
    ['another issuer', { iss: 'https://evil.example' }, 'access.bad-account'],
    ['an end that is past', { exp: 1_000 }, 'access.bad-account'],
    ['no number', { sub: undefined }, 'access.bad-account'],
  ])('with %s in the id token does not', async (_, claims, code) => {
    const at = await place();
    await at.invite('anna@example.org');
    at.at.claims = { ...ANNA, ...claims };
    const there = at.browser();
    expect(await there.signIn()).toBe(problem(code));
    expect(await there.send('GET', '/me')).toMatchObject({ status: 401 });
    expect((await at.registry.people({ limit: 9 })).rows).toEqual([]);
  });

  test.each<[string, Wrong, string]>([
    [
      'a signature by another key',
      { key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey },
      'access.bad-account',
    ],
    ['no signature', { algorithm: 'none' }, 'access.bad-account'],
    ['another algorithm', { algorithm: 'RS512' }, 'access.bad-account'],
    ['another state', { parameters: { state: 'x' } }, 'access.bad-account'],
    ['another issuer in the address', { parameters: { iss: 'https://evil.example' } }, 'access.bad-account'],
    ['an error', { parameters: { error: 'access_denied' } }, 'access.bad-account'],
    ['another code', { parameters: { code: 'guessed' } }, 'access.bad-account'],
    ['a refusal', { answers: { '/token': { status: 401 } } }, 'access.bad-account'],
    ['no JSON', { answers: { '/token': { status: 200, body: '<html>' } } }, 'access.bad-account'],
    [
      'a very long answer',
      { answers: { '/token': { status: 200, body: 'x'.repeat(300_000) } } },
      'access.bad-account',
    ],
    ['an error of its own', { answers: { '/token': { status: 502 } } }, 'access.no-issuer'],
    ['no keys', { answers: { '/keys': { status: 503 } } }, 'access.no-issuer'],
    ['a way elsewhere', { answers: { '/keys': { status: 302 } } }, 'access.bad-account'],
  ])('with an issuer that gives %s does not', async (_, wrong, code) => {
    const at = await place();
    await at.invite('anna@example.org');
    at.at.wrong = wrong;
    const there = at.browser();
    expect(await there.signIn()).toBe(problem(code));
    expect(await there.send('GET', '/me')).toMatchObject({ status: 401 });
    expect(at.log.join('\n')).toContain(code);
    expect(at.log.join('\n')).not.toContain(CLIENT.secret);
  });

  test('with an answer that was used, that is of another browser, or that comes too late does not', async () => {
    const at = await place();
    await at.invite('anna@example.org');
    const [there, other] = [at.browser(), at.browser()];
    const back = await there.travel();
    const cookie = there.cookies.get('enf-account')!;
    expect(await other.comeBack(back)).toBe(problem('access.bad-account'));
    await other.travel();
    expect(await other.comeBack(back)).toBe(problem('access.bad-account'));
    expect(at.at.asked).not.toContain('/token');
    expect(await there.comeBack(back)).toBe('/');
    expect(there.cookies.has('enf-account')).toBe(false);
    const asked = at.at.asked.length;
    there.cookies.set('enf-account', cookie);
    expect(await there.comeBack(back)).toBe(problem('access.bad-account'));
    expect(at.at.asked.length).toBe(asked);
    // A code that was used is refused by the issuer, whatever state it comes with.
    const next = new URL(await there.travel());
    next.searchParams.set('code', new URL(back).searchParams.get('code')!);
    expect(await there.comeBack(next.href)).toBe(problem('access.bad-account'));
    const late = await there.travel();
    at.time.now += 5 * 60_000;
    expect(await there.comeBack(late)).toBe(problem('access.bad-account'));
    expect(await there.comeBack(`http://localhost:8480${CALLBACK_PATH}`)).toBe(problem('access.bad-account'));
  });
});

describe('an issuer that is down', () => {
  test('is named, and asked again by the next', async () => {
    const at = await place();
    await at.invite('anna@example.org');
    at.at.wrong = { answers: { '/.well-known/openid-configuration': { status: 503 } } };
    const there = at.browser();
    const down = { status: 503, body: { code: 'access.no-issuer', remedy: 'retry' } };
    expect(await there.send('POST', '/session/account', {})).toMatchObject(down);
    at.at.wrong = {};
    expect(await there.signIn()).toBe('/');
  });

  test('does not keep anybody from signing in by password', async () => {
    const at = await place();
    await at.at.close();
    const there = at.browser();
    expect(await there.send('POST', '/session/account', {})).toMatchObject({ status: 503 });
    const { invite } = await at.invite();
    const made = await there.send('POST', '/setup', { invite, name: 'Bob', password: PASSWORD });
    expect(made.status).toBe(200);
  });

  test('is asked once for what it says of itself, by however many', async () => {
    const at = await place();
    await Promise.all(Array.from({ length: 20 }, () => at.browser().send('POST', '/session/account', {})));
    expect(at.at.asked).toEqual(['/.well-known/openid-configuration']);
  });

  test('and answers that no issuer has given use up nothing', async () => {
    const at = await place();
    const { signIn, backFrom } = atTheIssuer(at);
    const honest = await signIn.begin({ to: 'enter' });
    for (let i = 0; i < 1_100; i++) {
      at.time.now++;
      const begun = await signIn.begin({ to: 'enter' });
      const refused = signIn.end(backFrom(begun), begun.cookie, '192.0.2.1');
      await expect(refused).rejects.toMatchObject({ code: 'access.bad-account' });
    }
    const sent = await fetch(honest.address, { redirect: 'manual' });
    const { account } = await signIn.end(new URL(sent.headers.get('location')!), honest.cookie, '192.0.2.2');
    expect(account.subject).toBe('u-1');
  });

  test('and whoever comes back while others wait is told to come again: of one source sooner than of all', async () => {
    const at = await place();
    const { signIn, backFrom } = atTheIssuer(at);
    const source = (n: number): string => `192.0.2.${n}`;
    const from = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4].map(source);
    const [more, ...begun] = await Promise.all([source(1), ...from].map(() => signIn.begin({ to: 'enter' })));
    at.at.wrong = { silent: '/token' };
    const end = (each: { address: string; cookie: string }, address: string) =>
      signIn.end(backFrom(each, 'code=x&'), each.cookie, address);
    const waiting: Promise<unknown>[] = [];
    const busy = { code: 'access.busy' };
    for (const [i, each] of begun.entries()) {
      waiting.push(end(each, from[i]!).catch(({ code }: { code: string }) => code));
      if (i === 3) await expect(end(more!, source(1))).rejects.toMatchObject(busy);
    }
    await expect(end(more!, source(5))).rejects.toMatchObject(busy);
    await at.at.close();
    expect(await Promise.all(waiting)).toEqual(Array(16).fill('access.no-issuer'));
  });
});

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

test('a sign-in elsewhere is as fresh as the issuer says', async () => {
  const at = await place();
  await at.invite('anna@example.org', 'owner');
  const there = at.browser();
  expect(await there.signIn()).toBe('/');
  const invite = () => there.send('POST', '/people/invites', { role: 'auditor', hours: 1 });
  expect(await invite()).toMatchObject({ status: 403, body: { code: 'access.fresh-sign-in' } });
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

test('answers that nobody has asked for fill no log', async () => {
  const at = await place();
  for (let i = 0; i < 20; i++)
    expect(await at.browser().comeBack(`http://localhost:8480${CALLBACK_PATH}?state=${i}`)).toBe(
      problem('access.bad-account'),
    );
  expect(at.log).toHaveLength(3);
  await at.api.close();
  expect(at.log).toHaveLength(4);
  expect(at.log[3]).toContain('from 127.0.0.1: access.bad-account');
  expect(at.log[3]).toContain('16 more like it');
});

test('a console without an issuer says so', async () => {
  const api = await served(opened(registryFile()));
  const there = browser(api);
  expect((await there.send('GET', '/session/ways')).body).toEqual({ issuer: null });
  expect(await there.send('POST', '/session/account', {})).toMatchObject({
    status: 422,
    body: { code: 'access.no-accounts' },
  });
  expect(await there.send('GET', CALLBACK_PATH.replace('/api/v1', ''))).toMatchObject({ status: 404 });
});

test('a sign-in begins in the console’s own pages alone', async () => {
  const at = await place();
  const from = { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' };
  expect(await at.browser().send('POST', '/session/account', {}, from)).toMatchObject({
    status: 403,
    body: { code: 'access.cross-site' },
  });
});
