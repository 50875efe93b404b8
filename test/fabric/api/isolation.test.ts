import { expect, onTestFinished, test } from 'vitest';
import { EVERYTHING, scopeOf } from '../../../fabric/access/scope.ts';
import { ROUTES } from '../../../fabric/api/routes.ts';
import { startApi } from '../../../fabric/api/server.ts';
import type { Actor } from '../../../fabric/operations/contract/operation.ts';
import { requestFor } from '../../../fabric/operations/contract/request.ts';
import { perform } from '../../../fabric/operations/perform.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { NAMING } from '../operations/naming.ts';
import { type Named, type Planted, plantedFabric } from '../operations/owners.ts';
import { opened, registryFile } from '../place.ts';
import { fabricOf, served } from './console.ts';

/*
 * Two owners of one fabric: whatever one of them asks for, by its own names or by the other's, no answer, header, problem or event has anything
 * in it that is the other's.
 */

/** Routes that change nothing; and those that change, sent with the other's names, have to change nothing. */
const READS = ROUTES.filter(({ method, name }) => method === 'GET' || name === 'label-read');

async function servedOwners() {
  const planted = await plantedFabric();
  const { on } = planted;
  const api = await startApi({
    listen: { host: '127.0.0.1', port: 0 },
    ...fabricOf(on.registry, on.now),
    version: '1.2.3',
    log: () => {},
  });
  onTestFinished(() => api.close());
  const tokenFor = async (owner: Planted): Promise<string> => {
    const scope = scopeOf(owner.id, false);
    const actor: Actor = { name: owner.person, role: 'owner', scope, owner: owner.name, via: 'operator' };
    const made = await perform('token-create', actor, on, { name: 'api', role: 'owner', days: 1 });
    return (made!.view as { token: string }).token;
  };
  const ask = async (token: string, method: string, path: string, body?: object): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${api.port}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return `${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`;
  };
  return { ...planted, api, ask, tokenFor };
}

/** Every text of an owner's that is not in the question itself, where a label says what it says. */
function leaks(answer: string, { secrets, label, ...owner }: Planted, question: string): string[] {
  const said = question.includes(JSON.stringify(label).slice(1, -1)) ? JSON.stringify(owner) : '';
  return secrets.filter((secret) => answer.includes(secret) && !`${question} ${said}`.includes(secret));
}

/** Inputs of an operation that names nothing, or itself. */
const plain = (name: string, own: Named): Record<string, unknown>[] => {
  const { fields } = ROUTES.find((route) => route.name === name)!;
  const paged = Object.hasOwn(fields, 'limit') ? { limit: 200 } : {};
  const named = (NAMING[name] ?? []).map((change) => change(own));
  const states = name === 'alarm-list' ? [{ ...paged, state: 'ended' }] : [];
  return named.length > 0 ? [...named, paged] : [paged, ...states];
};

test('no answer to one owner has anything of another in it', async () => {
  const { first, one, other, ask, tokenFor } = await servedOwners();
  for (const [mine, foreign] of [
    [one, other],
    [other, one],
    [first, one],
    [one, first],
  ] as const) {
    const token = await tokenFor(mine);
    let seen = '';
    for (const route of READS) {
      const inputs = [
        ...plain(route.name, mine),
        ...(NAMING[route.name] ?? []).map((change) => change(foreign)),
      ];
      for (const input of inputs) {
        const { path, body } = requestFor(route, input);
        const answer = await ask(token, route.method, path, body);
        expect(
          leaks(answer, foreign, JSON.stringify(input)),
          `${route.name} ${JSON.stringify(input)}`,
        ).toEqual([]);
        seen += answer;
      }
    }
    // The same texts of the own would have been found.
    const found = mine.secrets.filter((secret) => seen.includes(secret));
    expect(found.length).toBeGreaterThan(10);
  }
}, 60_000);

test('numbers of one owner are its own', async () => {
  const { one, ask, tokenFor } = await servedOwners();
  const answer = await ask(await tokenFor(one), 'GET', '/overview');
  expect(answer).toContain('"networks":1,"groups":2,"devices":{"total":3');
  expect(answer).toContain('"audit":null');
  expect(await ask(await tokenFor(one), 'GET', '/me')).toContain(
    '"owner":"acme","owners":[],"severalOwners":false,"whole":false',
  );
});

test('changes by the names of another owner are refused, and say nothing', async () => {
  const { one, other, ask, tokenFor } = await servedOwners();
  const token = await tokenFor(one);
  const before = await ask(await tokenFor(other), 'GET', '/devices?limit=200');
  for (const route of ROUTES.filter(({ method }) => method !== 'GET')) {
    for (const change of NAMING[route.name] ?? []) {
      const input = change(other);
      const { path, body } = requestFor(route, input);
      const answer = await ask(token, route.method, path, body);
      expect(leaks(answer, other, JSON.stringify(input)), route.name).toEqual([]);
      if (!['label-read', 'device-bulk'].includes(route.name))
        expect(answer, route.name).toMatch(/^(?:404|403|422)/);
    }
  }
  expect(await ask(await tokenFor(other), 'GET', '/devices?limit=200')).toContain(
    before.split(' ').at(-1)!.slice(-200),
  );
}, 60_000);

test('a token of one owner does not act for another, whether that is there or not', async () => {
  const { one, other, api, tokenFor } = await servedOwners();
  const token = await tokenFor(one);
  const send = async (owner: string): Promise<[number, string]> => {
    const headers = { authorization: `Bearer ${token}`, 'enf-owner': owner };
    const response = await fetch(`http://127.0.0.1:${api.port}/api/v1/networks`, { headers });
    return [response.status, (await response.text()).replaceAll(owner, 'NAME')];
  };
  expect((await send(one.name))[0]).toBe(200);
  expect(await send(other.name)).toEqual(await send('nobody'));
  expect((await send(other.name))[0]).toBe(404);
});

test('a label of a group that another owner has is refused, and the refusal says no more', async () => {
  const { one, other, ask, tokenFor } = await servedOwners();
  const token = await tokenFor(one);
  const body = { label: other.label, network: one.prefix };
  const refused = await ask(token, 'POST', '/groups', body);
  expect(refused).toMatch(/^409.*fabric\.group-claimed/);
  expect(leaks(refused, other, JSON.stringify(body))).toEqual([]);
  expect(await ask(token, 'POST', '/labels/read', { label: other.label })).toContain(
    '"group":null,"knocking":null',
  );
  const again = await ask(token, 'POST', '/groups', { label: one.label, network: one.prefix });
  expect(again).toContain('fabric.group-exists');
});

test('events of one owner reach nobody else', async () => {
  const { on, one, other, api, ask, tokenFor } = await servedOwners();
  const { registry } = on;
  const [token, theirs] = [await tokenFor(one), await tokenFor(other)];
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const response = await fetch(`http://127.0.0.1:${api.port}/api/v1/events`, {
    headers: { authorization: `Bearer ${token}` },
    signal: stop.signal,
  });
  let text = '';
  const reading = (async () => {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>)
      text += new TextDecoder().decode(chunk);
  })().catch(() => {});
  const touch = async (by: string, of: Planted): Promise<void> => {
    const { path, body } = requestFor(
      { method: 'POST', path: '/devices/{address}/standing' },
      { address: of.address, change: 'ban' },
    );
    await ask(by, 'POST', path, body);
    await ask(by, 'POST', `/groups/${of.gid}`, { name: `${of.name} again` });
    await ask(by, 'POST', `/networks/${encodeURIComponent(of.prefix)}/name`, { name: `${of.name} again` });
    registry.connected(parseIpv6(of.second), '192.0.2.1:1');
    await registry.refused({
      source: '192.0.2.99',
      gid: Uint8Array.from(Buffer.from(of.gid, 'hex')),
      proven: false,
      result: 'xtt.bad-signature',
    });
  };
  await touch(theirs, other);
  await touch(token, one);
  for (const kind of ['device', 'group', 'network', 'handshake', 'audit'])
    await expect.poll(() => text, { timeout: 10_000 }).toContain(`event: ${kind}\n`);
  expect(text).toContain(one.address);
  expect(leaks(text, other, '')).toEqual([]);
  expect(text).not.toMatch(/"skipped"|"hash":"/);
  stop.abort();
  await reading;
}, 30_000);

test('who was the only owner sees less once there is another one, at once', async () => {
  const registry = opened(registryFile());
  const api = await served(registry);
  const on = {
    registry,
    running: { notify: async () => '', presence: async () => undefined },
    now: Date.now,
  };
  const root: Actor = { name: 'root', role: 'host', scope: EVERYTHING, via: 'operator' };
  const made = await perform('token-create', root, on, { name: 'api', role: 'owner', days: 1 });
  const { token } = made!.view as { token: string };
  const headers = { authorization: `Bearer ${token}` };
  const ask = async (path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${api.port}/api/v1${path}`, { headers })).text();
  await registry.refused({ source: '192.0.2.7', proven: false, result: 'xtt.bad-message' });
  expect(await ask('/handshakes')).toContain('192.0.2.7');
  expect(await ask('/certificates')).not.toContain('access.');
  expect(await ask('/audit')).toMatch(/fabric\.init.*"hash":"/);

  const stream = await fetch(`http://127.0.0.1:${api.port}/api/v1/events`, { headers });
  const ended = stream.text();
  await perform('owner-add', root, on, { name: 'acme' });
  await perform('owner-lend', root, on, { owner: 'acme', prefix: 'fd00:8::/48' });
  // The stream that showed everything has ended, and told nothing of that.
  expect(await ended).not.toContain('acme');
  expect(await ask('/handshakes')).not.toContain('198.51.100.7');
  await registry.refused({ source: '198.51.100.7', proven: false, result: 'xtt.bad-message' });
  expect(await ask('/handshakes')).not.toContain('198.51.100.7');
  expect(await ask('/certificates')).toContain('access.not-whole');
  expect(await ask('/audit')).not.toMatch(/acme|"hash":"/);
  expect(await ask('/networks')).toBe('{"rows":[]}');
}, 30_000);
