import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readMessage, writeAll } from '../../../os/net/message-stream.ts';
import { concat } from '../../../protocol/bytes.ts';
import { ERROR_MESSAGE, MESSAGE_LENGTH } from '../../../protocol/xtt/message.ts';

let client: Socket;
let server: Socket;

beforeEach(async () => {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  client = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  [server] = (await once(listener, 'connection')) as [Socket];
  for (const socket of [client, server]) socket.on('error', () => {});
  if (client.connecting) await once(client, 'connect');
  listener.close();
});
afterEach(() => {
  client.destroy();
  server.destroy();
});

const clientInit = message(0x01, MESSAGE_LENGTH.clientInit);
const serverInit = message(0x02, MESSAGE_LENGTH.serverInitAndAttest);
const DEADLINE_MS = 20_000;

function message(type: number, length: number): Uint8Array {
  const bytes = Uint8Array.from({ length }, (_, i) => i);
  bytes.set([type, length >> 8, length & 0xff, 1]);
  return bytes;
}

function failing(code: string) {
  return expect.objectContaining({ name: 'Failure', code, remedy: 'retry' });
}

test('a message is read whole, on either side', async () => {
  await writeAll(client, clientInit, DEADLINE_MS);
  expect(await readMessage(server, DEADLINE_MS)).toEqual(clientInit);
  await writeAll(server, serverInit, DEADLINE_MS);
  expect(await readMessage(client, DEADLINE_MS)).toEqual(serverInit);
});

test('a message that arrives byte by byte is read whole', async () => {
  const reading = readMessage(server, DEADLINE_MS);
  client.setNoDelay(true);
  for (const byte of clientInit) {
    await writeAll(client, Uint8Array.of(byte), DEADLINE_MS);
    await pause(0);
  }
  expect(await reading).toEqual(clientInit);
});

test('what follows a message stays for the next reader', async () => {
  const tail = Uint8Array.of(7, 7, 7);
  client.write(concat(clientInit, serverInit, ERROR_MESSAGE, tail));
  expect(await readMessage(server, DEADLINE_MS)).toEqual(clientInit);
  await pause(20);
  expect(await readMessage(server, DEADLINE_MS)).toEqual(serverInit);
  expect(await readMessage(server, DEADLINE_MS)).toEqual(ERROR_MESSAGE);
  expect(Uint8Array.from(server.read(3) as Buffer)).toEqual(tail);
});

test('the last message is read although the peer has closed', async () => {
  client.end(concat(clientInit, ERROR_MESSAGE));
  await once(client, 'finish');
  await pause(20);
  expect(await readMessage(server, DEADLINE_MS)).toEqual(clientInit);
  expect(await readMessage(server, DEADLINE_MS)).toEqual(ERROR_MESSAGE);
  await expect(readMessage(server, DEADLINE_MS)).rejects.toEqual(failing('net.closed'));
  await expect(readMessage(server, DEADLINE_MS)).rejects.toEqual(failing('net.closed'));
});

test.each([0, 1, 3, 4, 5, 69])('a peer that closes after %i bytes', async (count) => {
  const reading = readMessage(server, DEADLINE_MS);
  client.end(clientInit.subarray(0, count));
  await expect(reading).rejects.toEqual(failing('net.closed'));
});

test('a peer that resets, before and while we read', async () => {
  const reading = readMessage(server, DEADLINE_MS);
  client.resetAndDestroy();
  await expect(reading).rejects.toMatchObject({
    code: 'net.closed',
    message: expect.stringContaining('ECONNRESET'),
  });
  await expect(readMessage(server, DEADLINE_MS)).rejects.toEqual(failing('net.closed'));
  await expect(writeAll(server, clientInit, DEADLINE_MS)).rejects.toEqual(failing('net.closed'));
});

test('a header with an impossible length is refused at once, and the rest is not read', async () => {
  client.write(Uint8Array.of(0x01, 0xff, 0xff, 1, 9));
  await expect(readMessage(server, DEADLINE_MS)).rejects.toMatchObject({ code: 'xtt.bad-header' });
  expect(Uint8Array.from(server.read(1) as Buffer)).toEqual(Uint8Array.of(9));
});

test('a peer that sends slowly exceeds the deadline of the whole message', async () => {
  const reading = readMessage(server, 150);
  const drip = setInterval(() => client.write(Uint8Array.of(1)), 30);
  client.write(clientInit.subarray(0, 4));
  await expect(reading).rejects.toEqual(failing('net.timeout'));
  clearInterval(drip);
});

test('a peer that does not read makes writing exceed its deadline', async () => {
  client.pause();
  await expect(writeAll(server, new Uint8Array(64 << 20), 150)).rejects.toEqual(failing('net.timeout'));
});

test('leaves no listener behind', async () => {
  const counts = () =>
    ['readable', 'end', 'error', 'close', 'data'].map((name) => server.listenerCount(name));
  const before = counts();
  client.write(clientInit);
  await readMessage(server, DEADLINE_MS);
  await writeAll(server, serverInit, DEADLINE_MS);
  await readMessage(server, 1).catch(() => {});
  expect(counts()).toEqual(before);
});
