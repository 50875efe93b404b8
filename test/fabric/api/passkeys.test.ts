import { describe, expect, test } from 'vitest';
import { challenges } from '../../../fabric/api/signing-in/challenges.ts';
import { invitePerson } from '../../../fabric/operations/people/people.ts';
import { opened, registryFile } from '../place.ts';
import { type Authenticator, authenticator, type Change } from './authenticator.ts';
import { type Browser, browser, served } from './console.ts';

async function place() {
  const time = { now: Date.now() };
  const registry = opened(registryFile(), { now: () => time.now });
  const api = await served(registry, { now: () => time.now });
  const on = {
    registry,
    running: { notify: async () => 'in force', presence: async () => undefined },
    actor: 'alice',
    now: () => time.now,
  };
  const enter = async (name: string): Promise<Browser> => {
    const { invite } = await invitePerson.run(on, { role: 'owner', hours: 1 });
    const there = browser(api);
    await there.send('POST', '/setup', { invite, name, password: 'correct horse battery' });
    return there;
  };
  return { registry, api, time, enter };
}

/** Makes a passkey for whoever has signed in. */
async function register(there: Browser, key: Authenticator, change: Change = {}, origin = there.origin) {
  const { body: options } = await there.send('POST', '/passkeys/options', {});
  const response = key.create(options, origin, change);
  return there.send('POST', '/passkeys', { name: 'laptop', response });
}

async function signIn(there: Browser, key: Authenticator, change: Change = {}, origin = there.origin) {
  const { body: options } = await there.send('POST', '/session/passkey/options', {});
  return there.send('POST', '/session/passkey', { response: key.get(options, origin, change) });
}

const WRONG = { status: 401, body: { code: 'access.bad-passkey' } };

describe('a passkey', () => {
  test('is registered, signs in without a name, and is removed', async () => {
    const at = await place();
    const there = await at.enter('Anna');
    const key = authenticator();
    const { body: options } = await there.send('POST', '/passkeys/options', {});
    expect(options).toMatchObject({
      rp: { id: 'localhost' },
      user: { name: 'Anna' },
      attestation: 'none',
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      excludeCredentials: [],
    });
    expect(await register(there, key)).toMatchObject({
      status: 200,
      body: { id: 1, name: 'laptop', used: null },
    });
    expect(await register(there, key)).toMatchObject({
      status: 409,
      body: { code: 'fabric.passkey-exists' },
    });
    expect((await there.send('POST', '/passkeys/options', {})).body.excludeCredentials).toHaveLength(1);
    const other = browser(at.api);
    expect(await signIn(other, key)).toMatchObject({ status: 200, body: { name: 'Anna', via: 'session' } });
    expect(await other.send('GET', '/me')).toMatchObject({ status: 200 });
    const { body } = await there.send('GET', '/passkeys');
    expect(body.rows).toMatchObject([{ id: 1, name: 'laptop', used: expect.any(String) }]);
    const { rows } = await at.registry.audit({ limit: 1 });
    expect(rows).toMatchObject([{ actor: 'Anna (person 1)', action: 'signin', detail: { via: 'passkey' } }]);
    expect(await there.send('DELETE', '/passkeys/1')).toMatchObject({ status: 200 });
    expect(await there.send('DELETE', '/passkeys/1')).toMatchObject({ status: 404 });
    expect(await signIn(other, key)).toMatchObject(WRONG);
  });

  test.each<[string, Change, string?]>([
    ['for another site', {}, 'https://evil.example'],
    ['for another host name', { rpId: 'evil.example' }],
    ['of another type', { type: 'webauthn.get' }],
    ['without its user verified', { flags: 0x41 }],
    ['with certificates', { fmt: 'packed', attStmt: new Map([['x5c', [Buffer.from('x')]]]) }],
    ['with an attestation', { fmt: 'tpm' }],
  ])('%s is not registered', async (_, change, origin) => {
    const at = await place();
    const there = await at.enter('Anna');
    expect(await register(there, authenticator(), change, origin)).toMatchObject(WRONG);
    expect(await at.registry.passkeys(1)).toEqual([]);
  });

  test.each<[string, Change, string?]>([
    ['for another site', {}, 'https://evil.example'],
    ['for another host name', { rpId: 'evil.example' }],
    ['of another type', { type: 'webauthn.create' }],
    ['without its user verified', { flags: 0x01 }],
    ['of another key', { id: Buffer.from('another') }],
    ['that counts back', { counter: 3 }],
  ])('%s signs nobody in', async (_, change, origin) => {
    const at = await place();
    const there = await at.enter('Anna');
    const key = authenticator();
    await register(there, key, { counter: 5 });
    expect(await signIn(browser(at.api), key, change, origin)).toMatchObject(WRONG);
    expect(await signIn(browser(at.api), key, { counter: 9 })).toMatchObject({ status: 200 });
  });

  test('of somebody else’s key signs nobody in', async () => {
    const at = await place();
    const there = await at.enter('Anna');
    const [key, other] = [authenticator(), authenticator()];
    await register(there, key);
    const { body: options } = await there.send('POST', '/session/passkey/options', {});
    const own = key.get(options, there.origin) as { id: string };
    const forged = { ...other.get(options, there.origin), id: own.id, rawId: own.id };
    expect(await there.send('POST', '/session/passkey', { response: forged })).toMatchObject(WRONG);
  });

  test('answers once, within five minutes, for what and whom it was asked', async () => {
    const at = await place();
    const [anna, bob] = [await at.enter('Anna'), await at.enter('Bob')];
    const key = authenticator();
    const { body: options } = await anna.send('POST', '/passkeys/options', {});
    const made = { name: 'laptop', response: key.create(options, anna.origin) };
    expect(await bob.send('POST', '/passkeys', made)).toMatchObject(WRONG);
    expect(await anna.send('POST', '/passkeys', made)).toMatchObject({ status: 200 });
    await anna.send('DELETE', '/passkeys/1');
    expect(await anna.send('POST', '/passkeys', made)).toMatchObject(WRONG);
    await register(anna, key);
    const there = browser(at.api);
    const asked = (await there.send('POST', '/session/passkey/options', {})).body;
    const answer = { response: key.get(asked, there.origin, { counter: 0 }) };
    const both = await Promise.all(
      [1, 2].map(() => browser(at.api).send('POST', '/session/passkey', answer)),
    );
    expect(both.map(({ status }) => status).sort()).toEqual([200, 401]);
    const late = (await there.send('POST', '/session/passkey/options', {})).body;
    at.time.now += 5 * 60_000;
    expect(
      await there.send('POST', '/session/passkey', { response: key.get(late, there.origin) }),
    ).toMatchObject(WRONG);
  });

  test('that is no answer at all is refused', async () => {
    const at = await place();
    const there = await at.enter('Anna');
    const good = { id: 'AA', rawId: 'AA', type: 'public-key', response: { clientDataJSON: 'AA' } };
    for (const [response, status] of [
      [undefined, 400],
      [7, 400],
      [{}, 400],
      [{ ...good, type: 'other' }, 400],
      [{ ...good, id: 'x'.repeat(3_000) }, 400],
      [good, 401],
      [
        {
          ...good,
          response: {
            clientDataJSON: '%%',
            attestationObject: '%%',
            authenticatorData: 'AA',
            signature: 'AA',
          },
        },
        401,
      ],
    ] as const) {
      const sent = [
        await there.send('POST', '/session/passkey', { response }),
        await there.send('POST', '/passkeys', { name: 'x', response }),
      ];
      expect(
        sent.map((each) => each.status),
        JSON.stringify(response)?.slice(0, 60),
      ).toEqual([status, status]);
    }
  });

  test('nested deeply is refused like any other', async () => {
    const there = browser((await place()).api);
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    const text = `{"response":{"id":"A","rawId":"A","type":"public-key","response":{"clientDataJSON":"A"},"more":${deep}}}`;
    expect(await there.send('POST', '/session/passkey', text)).toMatchObject({
      status: 400,
      body: { code: 'request.malformed' },
    });
  });

  test('is for a name, not for an address', async () => {
    const at = await place();
    const there = await at.enter('Anna');
    const port = new URL(there.origin).port;
    const byAddress = { host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` };
    for (const path of ['/passkeys/options', '/session/passkey/options'])
      expect(await there.send('POST', path, {}, byAddress)).toMatchObject({
        status: 422,
        body: { code: 'access.no-host-name' },
      });
  });
});

describe('a challenge', () => {
  test('is open for its purpose, for five minutes and once', () => {
    let now = 1_000;
    const all = challenges(() => now);
    const one = all.issue('sign in');
    expect(all.isOpen(one, 'sign in')).toBe(true);
    for (const wrong of ['', 'x', `${one}A`, one.slice(1), challenges(() => now).issue('sign in')])
      expect(all.isOpen(wrong, 'sign in')).toBe(false);
    expect(all.use(one, 'add 1')).toBe(false);
    expect(all.use(one, 'sign in')).toBe(true);
    expect([all.isOpen(one, 'sign in'), all.use(one, 'sign in')]).toEqual([false, false]);
    const two = all.issue('sign in');
    now += 5 * 60_000;
    expect(all.use(two, 'sign in')).toBe(false);
  });

  test('that was used stays used, however many others are', () => {
    let now = 1_000;
    const all = challenges(() => now);
    const first = all.issue('x');
    now++;
    const later = all.issue('x');
    all.use(first, 'x');
    for (let count = 0; count < 2_000; count++) {
      now++;
      expect(all.use(all.issue('x'), 'x')).toBe(true);
    }
    expect([all.use(first, 'x'), all.use(later, 'x')]).toEqual([false, false]);
    expect(all.isOpen(all.issue('x'), 'x')).toBe(true);
  });

  test('is not lost to others that are never answered', () => {
    const all = challenges(() => 1_000);
    const one = all.issue('x');
    for (let count = 0; count < 5_000; count++) all.issue('x');
    expect(all.use(one, 'x')).toBe(true);
  });
});
