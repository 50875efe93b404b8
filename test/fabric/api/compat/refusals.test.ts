import { describe, expect, test } from 'vitest';
import { issueSecret } from '../../../../fabric/access/secrets.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { fabricOf } from '../console.ts';
import { type Client, exchanges, fabricWithAnna, join, PASSWORD, servedCompat } from './client.ts';

const XAUTH = '/api/xcr/v2/xauth';
const ENDPOINTS = '/api/xiam/v1/endpoints';
const NETWORKS = '/api/xcr/v2/domains/1/nws';
const KEY = (exchanges.find(({ path }) => path === ENDPOINTS)!.body as { ecdsa_credential: object })
  .ecdsa_credential;

interface Refused {
  readonly error: { readonly code: string; readonly text: string };
}
const codeOf = (body: unknown): string => (body as Refused).error.code;

/** A network that the client has made. */
async function networkBy(client: Client, token: string): Promise<string> {
  const { body } = await client.send('POST', NETWORKS, { body: { name: 'plant' }, token });
  return (body as { data: { network: string }[] }).data[0]!.network;
}

describe('what is sent', () => {
  test('has the fields of the call, and no others', async () => {
    const client = await servedCompat(await fabricWithAnna());
    const token = await client.signIn();
    for (const body of [
      { name: 'plant', colour: 'red' },
      { name: 7 },
      { description: 'without a name' },
      [],
      'plant',
      { name: null },
    ]) {
      const got = await client.send('POST', NETWORKS, { body, token });
      expect([got.status, codeOf(got.body)], JSON.stringify(body)).toEqual([400, 'validation_error']);
    }
    const none = await client.send('POST', NETWORKS, { token });
    expect([none.status, codeOf(none.body)]).toEqual([400, 'validation_error']);
    const other = await client.send('PUT', '/api/xcr/v2/domains/1/status', { body: 'DELETED', token });
    expect(other.status).toBe(400);
    const endpoint = await client.send('POST', ENDPOINTS, { body: { ecdsa_credential: KEY }, token });
    expect(endpoint).toMatchObject({ status: 400, body: { xiam_error: 400, http_error: 400 } });
    expect((endpoint.body as { reason: string }).reason).toContain('address_request');
  });

  test('is JSON of a bounded length', async () => {
    const client = await servedCompat(await fabricWithAnna());
    const token = await client.signIn();
    const large = await client.send('POST', NETWORKS, { body: { name: 'x'.repeat(70_000) }, token });
    expect([large.status, codeOf(large.body)]).toEqual([413, 'request.too-large']);
    const post = (type: string, body: string) =>
      fetch(`http://127.0.0.1:${client.port}${ENDPOINTS}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': type },
        body,
      });
    expect((await post('application/x-www-form-urlencoded', 'a=b')).status).toBe(415);
    expect((await post('application/json', '{"')).status).toBe(400);
    const deep = `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`;
    expect((await post('application/json', deep)).status).toBe(400);
    const stranger = await fetch(`http://127.0.0.1:${client.port}/api/xcr/v2/xauth`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: deep,
    });
    expect(stranger.status).toBe(400);
  });
});

describe('who calls', () => {
  test('has signed in, or has a token of the API', async () => {
    const registry = await fabricWithAnna();
    const client = await servedCompat(registry);
    for (const { call, method, path, body, open } of exchanges.filter(
      ({ path }) => !path.includes('/reset'),
    )) {
      if (open) continue;
      for (const token of [undefined, issueSecret('session').text, issueSecret('token').text]) {
        const got = await client.send(method, path.replace(/[{}]/g, ''), { body, token });
        expect([got.status, got.headers.get('www-authenticate')], call).toEqual([401, 'Bearer']);
      }
    }
    const { call } = fabricOf(registry);
    const made = await call('token-create', {}, { name: 'terraform', role: 'owner', days: 1 });
    const { token } = made!.view as { token: string };
    expect((await client.send('GET', '/api/xcr/v2/domains', { token })).status).toBe(200);
    const signed = await client.send('POST', XAUTH, { body: { username: 'terraform', token } });
    expect(signed).toMatchObject({
      status: 200,
      body: { data: [{ token, user_id: 0, type: 'DOMAIN_ADMIN' }] },
    });
    const wrong = issueSecret('token').text;
    const refused = await client.send('POST', XAUTH, { body: { username: 'terraform', token: wrong } });
    expect([refused.status, codeOf(refused.body)]).toEqual([401, 'access.bad-token']);
  });

  test('is nobody by the cookie of a browser, and no browser by this token', async () => {
    const client = await servedCompat(await fabricWithAnna());
    const token = await client.signIn();
    const cookie = { cookie: `enf=${token}` };
    expect((await client.send('GET', '/api/xcr/v2/domains', { headers: cookie })).status).toBe(401);
    expect((await client.send('GET', '/api/v1/me', { headers: cookie })).status).toBe(401);
    expect((await client.send('GET', '/api/v1/me', { token })).status).toBe(401);
  });

  test('is slowed down after wrong passwords, as at the console', async () => {
    let now = Date.now();
    const client = await servedCompat(await fabricWithAnna(() => now), { now: () => now });
    const enter = (token: string) => client.send('POST', XAUTH, { body: { username: 'Anna', token } });
    for (let attempt = 0; attempt < 5; attempt++) {
      const got = await enter('wrong');
      expect([got.status, codeOf(got.body)]).toEqual([401, 'access.wrong-password']);
    }
    const slowed = await enter(PASSWORD);
    expect([slowed.status, codeOf(slowed.body)]).toEqual([429, 'access.too-many-attempts']);
    expect(slowed.headers.get('retry-after')).toBe('5');
    now += 2_000;
    expect((await enter(PASSWORD)).status).toBe(200);
  });

  test('is signed out with all sessions of the person, and without use', async () => {
    let now = Date.now();
    const registry = await fabricWithAnna(() => now);
    const client = await servedCompat(registry, { now: () => now });
    const ask = async (token: string) => (await client.send('GET', '/api/xcr/v2/domains', { token })).status;
    const first = await client.signIn();
    expect(await ask(first)).toBe(200);
    now += 31 * 60_000;
    expect(await ask(first)).toBe(401);
    await join(registry, 'Otto', 'owner', () => now);
    const second = await client.signIn();
    await fabricOf(registry, () => now).call('person-role', {}, { person: 'Anna', role: 'auditor' });
    expect(await ask(second)).toBe(401);
  });

  test('may do what its role may, and what is dangerous right after signing in', async () => {
    let now = Date.now();
    const registry = await fabricWithAnna(() => now);
    await join(registry, 'Olga', 'auditor', () => now);
    const client = await servedCompat(registry, { now: () => now });
    const [owner, auditor] = [await client.signIn(), await client.signIn('Olga')];
    const network = await networkBy(client, owner);
    const body = { ecdsa_credential: KEY, address_request: { network } };
    expect(await client.send('POST', ENDPOINTS, { body, token: auditor })).toMatchObject({
      status: 403,
      body: { xiam_error: 403, http_error: 403 },
    });
    expect((await client.send('GET', `/api/xcr/v2/nws/${network}`, { token: auditor })).status).toBe(200);
    now += 6 * 60_000;
    const late = await client.send('POST', ENDPOINTS, { body, token: owner });
    expect(late).toMatchObject({ status: 403, body: { reason: expect.stringContaining('sign-in') } });
    expect((await client.send('POST', ENDPOINTS, { body, token: await client.signIn() })).status).toBe(200);
  });
});

test('an endpoint is refused with all that would be another one', async () => {
  const registry = await fabricWithAnna();
  const client = await servedCompat(registry);
  const token = await client.signIn();
  const network = await networkBy(client, token);
  const create = (address_request: object, key: object = KEY) =>
    client.send('POST', ENDPOINTS, { body: { ecdsa_credential: key, address_request }, token });
  const inside = network.replace('::/64', ':a::1');
  expect((await create({ network, address: inside })).status).toBe(400);
  expect((await create({})).status).toBe(400);
  expect((await create({ address: network })).status).toBe(400);
  expect((await create({ address: 'fd00:9:9:9::1:1' })).status).toBe(404);
  expect((await create({ address: network.replace('/64', '1') })).status).toBe(409);
  const off = { type: 'ecdsa_p256', key: `04${'11'.repeat(64)}` };
  expect((await create({ network }, off)).status).toBe(400);
  expect((await create({ network }, { type: 'ecdsa_p384', key: off.key })).status).toBe(400);
  expect(await create({ address: `${inside}/128` })).toMatchObject({
    status: 200,
    body: { address: inside },
  });
});

test('a list that is longer than these clients should read at once is refused', async () => {
  const registry = await fabricWithAnna();
  const client = await servedCompat(registry);
  const token = await client.signIn();
  const list = () => client.send('GET', NETWORKS, { token });
  const add = (from: number, to: number) =>
    Promise.all(
      Array.from({ length: to - from }, (_, n) =>
        registry.addNetwork('test', parsePrefix(`fd00:8f80:8000:${(from + n + 1).toString(16)}::/64`), ''),
      ),
    );
  await add(0, 1_000);
  const whole = await list();
  expect([whole.status, (whole.body as { data: unknown[] }).data.length]).toEqual([200, 1_000]);
  await add(1_000, 1_001);
  const longer = await list();
  expect([longer.status, codeOf(longer.body)]).toEqual([422, 'compat.too-long']);
});
