import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { consoleAddress } from '../../../fabric/console-address.ts';
import { startControl } from '../../../fabric/control.ts';
import { askConsole, askNews } from '../../../fabric/operations/news.ts';
import { askControl } from '../../../os/net/control-socket.ts';
import { NETWORK, opened, registryFile, scratch } from '../place.ts';

async function serving() {
  const registry = opened(registryFile());
  const socket = join(scratch(), 'control.sock');
  const control = await startControl(socket, { registry, log: () => {} });
  onTestFinished(() => control.close());
  return { registry, socket, control };
}

test('whoever asks what is new is answered when something is', async () => {
  const { registry, socket } = await serving();
  const { position } = (await askNews(socket, undefined))!;
  const waiting = askNews(socket, position);
  await registry.addNetwork('alice', NETWORK, 'plant');
  expect(await waiting).toMatchObject({
    events: [
      { name: 'network', data: { prefix: 'fd00:1:2:3::/64' } },
      { name: 'audit', data: { action: 'network.add' } },
    ],
    missed: [],
  });
});

test('nothing new is an answer, too', async () => {
  const { socket } = await serving();
  const { position } = (await askNews(socket, undefined))!;
  expect(await askNews(socket, position)).toEqual({ position, events: [], missed: [] });
});

test('a fabric that stops answers at once, however long it would have waited', async () => {
  const { socket, control } = await serving();
  const { position } = (await askNews(socket, undefined))!;
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const waiting = askNews(socket, position);
  // The request has arrived when a later one is answered.
  await askControl(socket, { method: 'GET', path: '/sessions' });
  await control.close(60_000);
  expect(await waiting).toEqual({ position, events: [], missed: [] });
  expect(await askNews(socket, position)).toBeUndefined();
});

test('the fabric knows where its console is', async () => {
  const { socket } = await serving();
  expect(await askConsole(socket)).toBeUndefined();
  await askNews(socket, undefined, 'http://localhost:35759');
  expect(await askConsole(socket)).toBe('http://localhost:35759');
  await askNews(socket, undefined, 'http://elsewhere.example');
  expect(await askConsole(socket)).toBe('http://localhost:35759');
});

test('a console that asks no more is forgotten', () => {
  let now = 0;
  const address = consoleAddress(() => now);
  address.heard(new URLSearchParams({ console: 'https://console.example' }));
  expect(address.url).toBe('https://console.example');
  now = 60_000;
  expect(address.url).toBeNull();
});

test('a position that is none is refused', async () => {
  const { socket } = await serving();
  for (const query of [
    'change=1',
    'change=1&handshake=1&audit=1&tunnel=x',
    'change=1&handshake=1&audit=-1&tunnel=1',
  ])
    await expect(askControl(socket, { method: 'GET', path: `/news?${query}` })).rejects.toThrow(
      'fabric.bad-input',
    );
});
