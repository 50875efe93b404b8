import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startControl } from '../../../fabric/control.ts';
import { addNetwork } from '../../../fabric/operations/networks.ts';
import { askRunning, besideFabric, fabricBehind } from '../../../fabric/operations/running.ts';
import type { Router, SessionView } from '../../../fabric/router/router.ts';
import { askControl } from '../../../os/net/control-socket.ts';
import { equal } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6, parseIpv6 } from '../../../protocol/ipv6.ts';
import '../checked.ts';
import { allOf, opened, registryFile, replaceDevices, scratch } from '../place.ts';
import { somebody } from '../registry/contract/people.ts';

async function serving(router?: Router) {
  const registry = opened(registryFile());
  const socket = join(scratch(), 'control.sock');
  const parts = { registry, log: () => {}, ...(router === undefined ? {} : { router }) };
  const control = await startControl(socket, parts);
  onTestFinished(() => control.close());
  return { registry, socket };
}

const NETWORK = { prefix: 'fd00:1:2:3::/64', name: 'plant' };

test('an operation runs in the serving process, for the actor that is named', async () => {
  const { registry, socket } = await serving();
  const reply = await askRunning(socket, addNetwork.name, { actor: 'alice', input: NETWORK });
  expect(reply).toMatchObject({ view: { effect: 'in force', view: NETWORK } });
  expect((await registry.audit({ limit: 1 })).rows).toMatchObject([
    { actor: 'alice', action: 'network.add' },
  ]);
  await expect(askRunning(socket, addNetwork.name, { actor: 'alice', input: NETWORK })).rejects.toMatchObject(
    {
      code: 'fabric.network-exists',
      remedy: 'operator',
      action: 'See "enf-fabric network list".',
    },
  );
});

test('who asks wrongly is refused by name, and nothing is changed', async () => {
  const { registry, socket } = await serving();
  const post = (body: unknown): Promise<unknown> =>
    askControl(socket, { method: 'POST', path: '/operations/network-add', body });
  for (const body of [
    [],
    'text',
    {},
    { input: NETWORK },
    { actor: 7, input: NETWORK },
    { actor: 'a'.repeat(201), input: NETWORK },
    { actor: 'alice' },
    { actor: 'alice', input: NETWORK, role: 'root' },
    { actor: 'alice', input: { ...NETWORK, key: 'x' } },
  ]) {
    expect(await post(body), JSON.stringify(body)).toMatchObject({ failure: { code: 'fabric.bad-input' } });
  }
  expect(await post('x'.repeat(1_100_000))).toMatchObject({ failure: { code: 'control.bad-question' } });
  expect(await allOf((page) => registry.networks(page))).toEqual([]);
});

test('an operation that it does not know, and a socket without a fabric, are no answer', async () => {
  const { socket } = await serving();
  const call = { actor: 'alice', input: {} };
  expect(await askRunning(socket, 'network-burn', call)).toBeUndefined();
  expect(await askRunning(`${socket}.none`, 'network-list', call)).toBeUndefined();
  const get = { method: 'GET', path: '/operations/network-list' };
  await expect(askControl(socket, get)).rejects.toThrow('404');
});

test('who has changed the registry itself tells the fabric, and learns whether there is one', async () => {
  const { socket } = await serving();
  expect(await fabricBehind(socket).notify()).toBe('in force');
  expect((await fabricBehind(socket).presence([]))?.(new Uint8Array(16))).toEqual({ online: false });
  expect(await fabricBehind(`${socket}.none`).notify()).toBe('no fabric is serving');
  expect(await fabricBehind(`${socket}.none`).presence([])).toBeUndefined();
});

/** A fabric with so many tunnels, and how many of them were read at once. */
async function withTunnels(count: number) {
  const registry = opened(registryFile());
  const addresses = Array.from({ length: count }, (_, n) => parseIpv6(`fd00::${(n + 1).toString(16)}`));
  const views = addresses.map((address) => ({ address: formatIpv6(address), from: 'x'.repeat(400) }));
  const reads: number[] = [];
  const sessions = (after?: Uint8Array, limit?: number): SessionView[] => {
    const first = after === undefined ? 0 : addresses.findIndex((each) => equal(each, after)) + 1;
    const part = views.slice(first, first + (limit ?? count));
    reads.push(part.length);
    return part as unknown as SessionView[];
  };
  const socket = join(scratch(), 'control.sock');
  const control = await startControl(socket, {
    registry,
    log: () => {},
    router: { sessions, silentSince: () => undefined } as unknown as Router,
  });
  onTestFinished(() => control.close());
  const get = (query: string): Promise<unknown> =>
    askControl(socket, { method: 'GET', path: `/sessions${query}` });
  return { registry, socket, addresses, views, reads, get };
}

describe('[H-E] the tunnels of a fabric', () => {
  test('are listed whatever their number, some at a time', async () => {
    const { socket, views, reads } = await withTunnels(12_000);
    // Beyond what a command takes as one answer.
    const text = await new Promise<string>((resolve) => {
      request({ socketPath: socket, path: '/sessions' }, (response) => {
        let all = '';
        response.on('data', (chunk) => {
          all += chunk;
        });
        response.on('end', () => resolve(all));
      }).end();
    });
    expect(text.length).toBeGreaterThan(4_194_304);
    expect(JSON.parse(text)).toEqual(views);
    expect(text.split('\n')).toHaveLength(views.length + 3);
    expect(Math.max(...reads)).toBeLessThanOrEqual(200);
  });

  test('wait in the fabric for a reader that does not read', async () => {
    const { socket, reads } = await withTunnels(12_000);
    const slow = connect(socket);
    slow.pause();
    slow.write('GET /sessions HTTP/1.1\r\nhost: x\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(reads.length).toBeGreaterThan(0);
    expect(reads.reduce((sum, each) => sum + each, 0)).toBeLessThan(6_000);
    slow.destroy();
  });

  test('are listed in pages by address, and a wrong page is refused by name', async () => {
    const { get, views } = await withTunnels(450);
    expect(await get('?limit=300')).toEqual(views.slice(0, 300));
    expect(await get(`?limit=300&after=${views[299]!.address}`)).toEqual(views.slice(300));
    expect(await get(`?after=${views[447]!.address}`)).toEqual(views.slice(448));
    expect(await get(`?limit=9&after=${views.at(-1)!.address}`)).toEqual([]);
    for (const query of ['?limit=0', '?limit=1001', '?limit=x', '?limit=', '?after=x', '?after=']) {
      await expect(get(query), query).rejects.toThrow('fabric.bad-input');
    }
  });

  test('are known to a command that reads all of them, and to one that asks for some', async () => {
    const { registry, socket, addresses } = await withTunnels(2_345);
    const all = await fabricBehind(socket).presence([]);
    expect(addresses.every((address) => all?.(address).online)).toBe(true);
    expect(all?.(new Uint8Array(16))).toEqual({ online: false });

    registry.connected(addresses[1]!, '192.0.2.1:5000');
    const some = await besideFabric(socket).presence(addresses.slice(0, 3));
    expect(addresses.slice(0, 3).map((address) => some?.(address).online)).toEqual([false, true, false]);
    expect(await besideFabric(`${socket}.none`).presence(addresses)).toBeUndefined();
    const post = (body: unknown): Promise<unknown> =>
      askControl(socket, { method: 'POST', path: '/sessions', body });
    for (const body of [{}, { addresses: 'x' }, { addresses: Array(1_001).fill('') }, { addresses: [7] }]) {
      await expect(post(body)).rejects.toThrow('fabric.bad-input');
    }
  });
});

test('[H-E] operations that come together have turns of their own, and read at most 200 rows in one', async () => {
  const { registry, socket } = await serving();
  const limits: number[] = [];
  const turns: number[] = [];
  let turn = 0;
  let asking = true;
  const count = (): void => {
    turn++;
    if (asking) setImmediate(count);
  };
  count();
  replaceDevices(registry, () => async ({ limit }) => {
    limits.push(limit);
    turns.push(turn);
    return { rows: [], next: undefined };
  });
  const call = { actor: 'alice', input: { limit: 1_000 } };
  await Promise.all(Array.from({ length: 20 }, () => askRunning(socket, 'device-list', call)));
  asking = false;
  expect(limits).toEqual(Array(20).fill(200));
  expect(new Set(turns).size).toBe(20);
});

/** A router whose threads are as slow as the test wants them. */
function routerWith(settled: () => Promise<void>): Router {
  return { settled } as Partial<Router> as Router;
}

test('[H-A1] a change is in force when the router has acted on it, and not before', async () => {
  let settle = (): void => {};
  let asked = (): void => {};
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const { socket } = await serving(
    routerWith(() => {
      asked();
      return new Promise((resolve) => {
        settle = resolve;
      });
    }),
  );
  const order: string[] = [];
  const reply = askRunning(socket, addNetwork.name, { actor: 'alice', input: NETWORK }).then((answer) => {
    order.push('answered');
    return answer;
  });
  await isAsked;
  // Another question is answered meanwhile.
  expect(await askRunning(socket, 'network-list', { actor: 'alice', input: { limit: 1 } })).toBeDefined();
  order.push('settled');
  settle();
  expect(await reply).toMatchObject({ view: { effect: 'in force' } });
  expect(order).toEqual(['settled', 'answered']);
});

test('[H-A1] a change that the router does not confirm is recorded, and the command says so', async () => {
  const { registry, socket } = await serving(
    routerWith(() =>
      Promise.reject(
        new Failure('router.not-confirmed', 'retry', 'a thread is silent', { action: 'Repeat it.' }),
      ),
    ),
  );
  const reply = await askRunning(socket, addNetwork.name, { actor: 'alice', input: NETWORK });
  expect(reply).toMatchObject({ view: { effect: 'the fabric did not confirm it: a thread is silent' } });
  expect(await allOf((page) => registry.networks(page))).toHaveLength(1);
  expect(await fabricBehind(socket).notify()).toMatch(/^the fabric did not confirm it: /);
});

test('a person does what is dangerous if its session says that it was just there', async () => {
  const { registry, socket } = await serving();
  const { id, generation } = await somebody(registry, 'Anna');
  const invite = (proved?: number) =>
    askRunning(socket, 'person-invite', {
      actor: 'console',
      person: { id, generation, ...(proved !== undefined && { proved }) },
      input: { role: 'auditor', hours: 1 },
    });
  for (const long of [undefined, 0, 1, Date.now() - 300_000])
    await expect(invite(long)).rejects.toMatchObject({ code: 'access.fresh-sign-in' });
  await expect(invite(Date.now())).resolves.toMatchObject({ view: { role: 'auditor' } });
  for (const none of [-1, 0.5])
    await expect(invite(none)).rejects.toMatchObject({ code: 'fabric.bad-input' });
});

test('a person is who its session says, as long as that holds', async () => {
  const { registry, socket } = await serving();
  const { id, generation } = await somebody(registry, 'Anna', 'auditor');
  const as = (person: { id: number; generation: number }, name: string, input: object) =>
    askRunning(socket, name, { actor: 'console', person, input });
  expect(await as({ id, generation }, 'me', {})).toMatchObject({ view: { name: 'Anna', via: 'session' } });
  expect(await as({ id, generation }, 'network-list', { limit: 1 })).toMatchObject({ view: { rows: [] } });
  await expect(as({ id, generation }, addNetwork.name, NETWORK)).rejects.toMatchObject({
    code: 'access.forbidden',
  });
  const over = { code: 'access.not-signed-in' };
  await expect(as({ id, generation: generation + 1 }, 'me', {})).rejects.toMatchObject(over);
  await expect(as({ id: id + 1, generation }, 'me', {})).rejects.toMatchObject(over);
  await registry.setRole('alice', id, 'operator');
  await expect(as({ id, generation }, 'network-list', { limit: 1 })).rejects.toMatchObject(over);
});
