import { expect, onTestFinished, test, vi } from 'vitest';
import { issueSecret } from '../../../fabric/access/secrets.ts';
import type { ApiOptions } from '../../../fabric/api/options.ts';
import type { NewsView } from '../../../fabric/operations/news.ts';
import { invitePerson } from '../../../fabric/operations/people/people.ts';
import { createToken } from '../../../fabric/operations/people/tokens.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { opened, registryFile, seenBy } from '../place.ts';
import { browser, served } from './console.ts';

/*
 * What one caller, or the callers of one owner, may take of a console, so that others have theirs.
 */

async function place(options: Partial<ApiOptions> = {}) {
  const registry = opened(registryFile());
  const api = await served(registry, options);
  const on = {
    ...seenBy(registry),
    running: { notify: async () => 'in force', presence: async () => undefined },
    actor: 'alice',
    now: Date.now,
  };
  const leaving = new AbortController();
  onTestFinished(() => leaving.abort());
  const get = (path: string, authorization: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${api.port}/api/v1${path}`, {
      headers: { authorization },
      signal: leaving.signal,
    });
  const tokenOf = async (): Promise<string> =>
    (await createToken.run(on, { name: 'robot', role: 'auditor', days: 1 })).token;
  return { registry, api, on, get, tokenOf };
}

/** A fabric with owners, in which each token is of one of them, and whose lists never end. */
async function shared() {
  const owners = new Map<string, number | null>();
  const at = await place({
    async call(name, { token = '' }) {
      if (name === 'seen')
        return { view: { permissions: [], owner: owners.get(token) ?? null, host: false } };
      return { view: { rows: [{ prefix: 'x'.repeat(40_000) }], next: '1' } };
    },
  });
  const bearerOf = (owner: number | null): string => {
    const { text, hash } = issueSecret('token');
    owners.set(toHex(hash), owner);
    return `Bearer ${text}`;
  };
  return { ...at, bearerOf };
}

test('a token is one, however its header is written; what follows it is refused', async () => {
  const { get, tokenOf } = await place();
  const token = await tokenOf();
  expect((await get('/networks', `Bearer ${token} 1`)).status).toBe(401);
  const schemes = ['Bearer', 'bearer', 'BEARER', 'bEARER', 'beArer'];
  const all = await Promise.all(
    [...schemes, ...schemes].map((scheme) => get('/events', `${scheme} ${token}`)),
  );
  expect(all.every(({ status }) => status === 200)).toBe(true);
  expect((await get('/events', `BeArEr ${token}`)).status).toBe(503);
});

test('whoever makes tokens up has the rate of one source, and one with a token has its own beside', async () => {
  const { get, tokenOf } = await place();
  const token = await tokenOf();
  expect((await get('/networks', `Bearer ${token}`)).status).toBe(200);
  const statuses: number[] = [];
  for (let part = 0; part < 7; part++) {
    const made = Array.from({ length: 100 }, () => get('/networks', `Bearer ${issueSecret('token').text}`));
    statuses.push(...(await Promise.all(made)).map(({ status }) => status));
  }
  expect(statuses.filter((status) => status === 401).length).toBeLessThan(600);
  expect(statuses.at(-1)).toBe(429);
  expect((await get('/networks', `Bearer ${token}`)).status).toBe(200);
});

test('one of several owners has fifty streams and four exports, and leaves others theirs', async () => {
  const { get, bearerOf } = await shared();
  for (let n = 0; n < 5; n++) {
    const bearer = bearerOf(2);
    const all = await Promise.all(Array.from({ length: 10 }, () => get('/events', bearer)));
    expect(all.map(({ status }) => status)).toEqual(all.map(() => 200));
  }
  expect((await get('/events', bearerOf(2))).status).toBe(503);
  expect((await get('/events', bearerOf(3))).status).toBe(200);
  // Whoever sees everything is not counted among them.
  expect((await get('/events', bearerOf(null))).status).toBe(200);
  for (let n = 0; n < 4; n++) expect((await get('/networks?format=ndjson', bearerOf(2))).status).toBe(200);
  expect((await get('/networks?format=ndjson', bearerOf(2))).status).toBe(503);
  expect((await get('/networks?format=ndjson', bearerOf(3))).status).toBe(200);
});

test('a stream whose caller sees less by the time it is open ends at once', async () => {
  // Every 15 seconds all streams are looked at anyway.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  let asked = 0;
  const owner = () => (asked++ === 0 ? null : 2);
  const { get } = await place({
    call: async () => ({ view: { permissions: [], owner: owner(), host: false } }),
  });
  expect(await (await get('/events', `Bearer ${issueSecret('token').text}`)).text()).toMatch(/^id: /);
  expect(asked).toBe(2);
});

test('when events were left out, a stream of everything that is not the host’s begins anew', async () => {
  const position = { change: 0, handshake: 0, audit: 0, tunnel: 0 };
  let tell = (_: NewsView): void => {};
  const { get } = await place({
    news: (since) =>
      since === undefined
        ? Promise.resolve({ position, events: [], missed: [] })
        : new Promise((resolve) => {
            tell = resolve;
          }),
    call: async (_, { token }) => ({
      view: { permissions: ['devices.read'], owner: token === ofAcme ? 2 : null, host: false },
    }),
  });
  const acme = issueSecret('token');
  const ofAcme = toHex(acme.hash);
  const only = await get('/events', `Bearer ${issueSecret('token').text}`);
  const own = await get('/events', `Bearer ${acme.text}`);
  const reader = own.body!.getReader();
  const device = { name: 'device', owner: 2, data: { address: 'fd00::2' } } as const;
  tell({ position, events: [device], missed: [0, 2] });
  const text = await only.text();
  expect(text).toContain('event: reset');
  expect(text).not.toContain('fd00::2');
  let heard = '';
  while (!heard.includes('event: reset')) heard += Buffer.from((await reader.read()).value!).toString();
  expect(heard).toContain('fd00::2');
});

test('that events of one owner were left out hears nobody of another', async () => {
  const position = { change: 0, handshake: 0, audit: 0, tunnel: 0 };
  const waiting: NewsView[] = [];
  let wake = (): void => {};
  const { get } = await place({
    async news(since) {
      if (since === undefined) return { position, events: [], missed: [] };
      while (waiting.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return waiting.shift()!;
    },
    call: async (_, { token }) => ({
      view: { permissions: ['devices.read'], owner: token === ofAcme ? 2 : 3, host: false },
    }),
  });
  const acme = issueSecret('token');
  const ofAcme = toHex(acme.hash);
  const [own, other] = [
    await get('/events', `Bearer ${acme.text}`),
    await get('/events', `Bearer ${issueSecret('token').text}`),
  ];
  const tell = (missed: NewsView['missed'], ...owners: number[]): void => {
    const events = owners.map(
      (owner) => ({ name: 'device', owner, data: { address: `fd00::${owner}` } }) as const,
    );
    waiting.push({ position, events, missed });
    wake();
  };
  const heard = async (response: Response, what: string): Promise<string> => {
    const reader = response.body!.getReader();
    let text = '';
    while (!text.includes(what)) text += Buffer.from((await reader.read()).value!).toString();
    return text;
  };
  tell([2], 2, 3);
  tell([], 2, 3);
  tell([3], 2);
  expect(await heard(own, 'reset')).toContain('fd00::2');
  const text = await heard(other, 'reset');
  expect(text.match(/fd00::3/g)).toHaveLength(2);
  expect(text).not.toContain('fd00::2');
});

test('an answer is repeated to whoever still holds, and for the owner for whom it acts', async () => {
  const { registry, api, on } = await place();
  const { invite } = await invitePerson.run(on, { role: 'owner', hours: 1 });
  const bob = browser(api);
  const made = await bob.send('POST', '/setup', { invite, name: 'Bob', password: 'correct horse battery' });
  expect(made.status).toBe(200);
  await registry.addOwner('root', 'acme');
  const add = (headers: Record<string, string> = {}) =>
    bob.send(
      'POST',
      '/networks',
      { prefix: 'fd00:77::/64', name: 'plant' },
      { 'idempotency-key': 'k', ...headers },
    );
  const first = await add();
  expect(first.status).toBe(200);
  expect(await add()).toMatchObject({ status: 200, body: first.body });
  // By name it is the same owner.
  expect(await add({ 'enf-owner': 'default' })).toMatchObject({ status: 200, body: first.body });
  expect(await add({ 'enf-owner': 'acme' })).toMatchObject({
    status: 404,
    body: { code: 'fabric.unknown-owner' },
  });
  await registry.endSessions('alice', (await registry.person('bob')).id);
  expect(await add()).toMatchObject({ status: 401, body: { code: 'access.not-signed-in' } });
});
