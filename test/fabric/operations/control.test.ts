import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startControl } from '../../../fabric/control.ts';
import { addNetwork } from '../../../fabric/operations/networks.ts';
import { askRunning, fabricBehind } from '../../../fabric/operations/running.ts';
import { askControl } from '../../../os/net/control-socket.ts';
import { allOf, opened, registryFile, scratch } from '../place.ts';
import { somebody } from '../registry/contract/people.ts';

async function serving() {
  const registry = opened(registryFile());
  const socket = join(scratch(), 'control.sock');
  const control = await startControl(socket, { registry, log: () => {} });
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
