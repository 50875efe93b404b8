import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startControl } from '../../../fabric/control.ts';
import { addNetwork } from '../../../fabric/operations/networks.ts';
import { askRunning, fabricBehind } from '../../../fabric/operations/running.ts';
import type { Router } from '../../../fabric/router/router.ts';
import { askControl } from '../../../os/net/control-socket.ts';
import { Failure } from '../../../protocol/failure.ts';
import { allOf, opened, registryFile, scratch } from '../place.ts';

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
  expect(await post('x'.repeat(70_000))).toMatchObject({ failure: { code: 'control.bad-question' } });
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
  expect((await fabricBehind(socket).presence())?.(new Uint8Array(16))).toBe(false);
  expect(await fabricBehind(`${socket}.none`).notify()).toBe('no fabric is serving');
  expect(await fabricBehind(`${socket}.none`).presence()).toBeUndefined();
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
