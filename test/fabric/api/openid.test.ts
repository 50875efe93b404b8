import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CALLBACK_PATH } from '../../../fabric/api/openid-routes.ts';
import { openIdSignIn } from '../../../fabric/api/signing-in/openid.ts';
import { invitePerson, removePerson } from '../../../fabric/operations/people/people.ts';
import { opened, registryFile } from '../place.ts';
import { browser, served } from './console.ts';
import { CLIENT, type Wrong } from './issuer.ts';
import { ANNA, PASSWORD, place, problem } from './openid-place.ts';

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

test('a sign-in elsewhere is as fresh as the issuer says', async () => {
  const at = await place();
  await at.invite('anna@example.org', 'owner');
  const there = at.browser();
  expect(await there.signIn()).toBe('/');
  const invite = () => there.send('POST', '/people/invites', { role: 'auditor', hours: 1 });
  expect(await invite()).toMatchObject({ status: 403, body: { code: 'access.fresh-sign-in' } });
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
