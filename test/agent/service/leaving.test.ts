import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { leavingSince } from '../../../agent/state/decommission.ts';
import { openStore } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { encodeDecommission } from '../../../protocol/tunnel/decommission.ts';
import { REPORT_REQUEST } from '../../../protocol/tunnel/report.ts';
import { encodeVerdict } from '../../../protocol/tunnel/verdict.ts';
import type { TestRouter } from '../router.ts';
import { type SoftwareDevice, softwareDevices } from '../software-device.ts';

const devices = softwareDevices();
const { boot, row } = devices;

const REQUEST = toHex(encodeDecommission({ kind: 'request' }));
const requests = ({ packets }: TestRouter): number =>
  packets.filter((packet) => toHex(packet) === REQUEST).length;
const record = async ({ state }: SoftwareDevice) => (await openStore(await openFolder(state))).record;
/** The bytes of every key that the state has. */
const keysIn = (state: string): string[] =>
  readdirSync(state).flatMap((name) =>
    [...readFileSync(join(state, name), 'utf8').matchAll(/"der": "([0-9a-f]+)"/g)].map((match) => match[1]!),
  );

/** Its router asks for a report first. */
const home = () =>
  devices.device({
    router: { onConnection: (socket) => socket.write(Buffer.from([0, 2, ...REPORT_REQUEST])) },
  });

async function online(place: SoftwareDevice) {
  const agent = boot(place);
  await agent.online();
  await agent.until(() => expect(place.router.packets.some((packet) => packet[0] === 0xf3)).toBe(true));
  // The key, the identity, and the time and place of the tunnel: nothing more is written by itself.
  await agent.until(() => expect(agent.effects.facts().stateGeneration).toBe(3));
  return agent;
}

test('the fabric is asked, and when it has retired the device nothing is left of it but the word', async () => {
  const place = await home();
  const agent = await online(place);
  const address = formatIpv6(row().address);
  const end = agent.driver.departureEnd();
  expect(agent.driver.decommission(false)).toBe(true);
  await agent.until(() => expect(requests(place.router)).toBe(1));
  expect(agent.driver.situation().kind).toBe('online');
  place.router.raw(encodeVerdict({ kind: 'retired' }));
  expect(await end).toEqual({ told: true, credential: 'removed' });
  expect(agent.driver.situation().kind).toBe('decommissioned');
  expect([keysIn(place.state), readdirSync(place.credential)]).toEqual([[], []]);
  expect(agent.tuns.map((tun) => tun.closed)).toEqual([true]);
  expect(agent.effects.facts()).toMatchObject({
    decommissioned: { address, told: true, credential: 'removed' },
  });
  await agent.driver.stop();

  const next = boot(place);
  await next.until(() => expect(next.driver.situation().kind).toBe('decommissioned'));
  expect([place.router.sockets.length, row().handshakes]).toEqual([1, 1]);
});

test('retired without having asked, a device keeps what it has', async () => {
  const place = await home();
  const agent = await online(place);
  place.router.raw(encodeVerdict({ kind: 'retired' }));
  await agent.trouble('fabric.retired');
  expect((await record(place)).identity?.address).toBe(formatIpv6(row().address));
  expect(existsSync(join(place.credential, 'daa_secretkey.bin'))).toBe(true);
});

for (const [reason, code] of [
  ['forbidden', 'fabric.decommission-forbidden'],
  ['too-many', 'fabric.decommission-later'],
] as const) {
  test(`refused (${reason}): the device stays online, and does not ask again`, async () => {
    const place = await home();
    const agent = await online(place);
    const end = agent.driver.departureEnd();
    agent.driver.decommission(false);
    await agent.until(() => expect(requests(place.router)).toBe(1));
    place.router.send(encodeDecommission({ kind: 'refused', reason }));
    expect(await end).toMatchObject({ failure: { code } });
    expect(agent.driver.situation().kind).toBe('online');
    expect(leavingSince(await record(place))).toBeUndefined();
    place.router.reset();
    await agent.until(() => expect(place.router.sockets).toHaveLength(2));
    await agent.online();
    expect(requests(place.router)).toBe(1);
  });
}

test('a refusal that was not asked for changes nothing', async () => {
  const place = await home();
  const agent = await online(place);
  const { generation } = await openStore(await openFolder(place.state));
  place.router.send(encodeDecommission({ kind: 'refused', reason: 'forbidden' }));
  place.router.send(REPORT_REQUEST);
  await agent.until(() => expect(agent.driver.situation().kind).toBe('online'));
  expect((await openStore(await openFolder(place.state))).generation).toBe(generation);
});

describe('cut short', () => {
  test('after the question: the next start asks again, and ends it', async () => {
    const place = await home();
    const first = await online(place);
    first.driver.decommission(false);
    await first.until(() => expect(requests(place.router)).toBe(1));
    await first.driver.stop();
    expect((await record(place)).identity).toBeDefined();
    const second = boot(place);
    await second.online();
    await second.until(() => expect(requests(place.router)).toBe(2));
    place.router.raw(encodeVerdict({ kind: 'retired' }));
    await second.until(() => expect(second.driver.situation().kind).toBe('decommissioned'));
  });

  test('after the fabric has retired it: the refusal of the next connection is the answer', async () => {
    const place = await home();
    const first = await online(place);
    first.driver.decommission(false);
    await first.until(() => expect(requests(place.router)).toBe(1));
    await first.driver.stop();
    const refusing = await devices.router({
      silent: true,
      onConnection: (socket) => socket.end(encodeVerdict({ kind: 'retired' })),
    });
    const second = boot({ ...place, router: refusing });
    await second.until(() => expect(second.driver.situation().kind).toBe('decommissioned'));
    expect(keysIn(place.state)).toEqual([]);
  });

  test('after the identity was removed: the next start removes the credential', async () => {
    const place = await home();
    const first = await online(place);
    await first.driver.stop();
    const store = await openStore(await openFolder(place.state));
    await store.save({ decommissioned: { at: '2026-03-01T12:00:00.000Z', told: true } });
    const second = boot(place);
    await second.until(() => expect(second.driver.situation().kind).toBe('decommissioned'));
    expect([readdirSync(place.credential), keysIn(place.state)]).toEqual([[], []]);
  });
});

test('banned meanwhile, it is not retired, and goes on asking', async () => {
  const place = await home();
  const agent = await online(place);
  agent.driver.decommission(false);
  await agent.until(() => expect(requests(place.router)).toBe(1));
  place.router.raw(encodeVerdict({ kind: 'banned', seconds: 40 }));
  await agent.trouble('fabric.banned');
  expect((await record(place)).identity).toBeDefined();
  expect(leavingSince(await record(place))).toBeDefined();
});

describe('without the fabric', () => {
  test('online: the tunnel ends, all is removed', async () => {
    const place = await home();
    const agent = await online(place);
    const end = agent.driver.departureEnd();
    expect(agent.driver.decommission(true)).toBe(true);
    expect(await end).toEqual({ told: false, credential: 'removed' });
    expect(requests(place.router)).toBe(0);
    expect([keysIn(place.state), readdirSync(place.credential)]).toEqual([[], []]);
    await agent.until(() => expect(place.router.sockets[0]!.destroyed).toBe(true));
  });

  test('in the middle of its first handshake: what comes of it is not kept', async () => {
    const place = await home();
    const { port, sockets } = await devices.listen({ mute: true });
    const agent = boot({ ...place, identityPort: port });
    await agent.until(() => expect(sockets).toHaveLength(1));
    expect(agent.driver.decommission(false)).toBe(false);
    expect(agent.driver.decommission(true)).toBe(true);
    await agent.until(() => expect(agent.driver.situation().kind).toBe('decommissioned'));
    expect(keysIn(place.state)).toEqual([]);
    expect(Object.keys(await record(place))).toEqual(['decommissioned']);
  });

  test('offline: the fabric cannot be asked, and nothing changes; without it, it goes', async () => {
    const place = await home();
    const agent = await online(place);
    await agent.driver.stop();
    const deaf = boot({ ...place, router: { ...place.router, port: 1 } });
    await deaf.trouble('net.unreachable');
    expect(deaf.driver.decommission(false)).toBe(false);
    expect((await record(place)).identity).toBeDefined();
    expect(deaf.driver.decommission(true)).toBe(true);
    await deaf.until(() => expect(deaf.driver.situation().kind).toBe('decommissioned'));
    expect(readdirSync(place.credential)).toEqual([]);
  });
});

test('other files in the credential’s folder stay', async () => {
  const place = await home();
  writeFileSync(join(place.credential, 'mine.txt'), 'x');
  const agent = await online(place);
  agent.driver.decommission(true);
  await agent.until(() => expect(agent.driver.situation().kind).toBe('decommissioned'));
  expect(readdirSync(place.credential)).toEqual(['mine.txt']);
});

test('a state that cannot be written: the fabric is not asked, the device is as before', async () => {
  const place = await home();
  const agent = await online(place);
  const end = agent.driver.departureEnd();
  rmSync(place.state, { recursive: true });
  expect(agent.driver.decommission(false)).toBe(true);
  expect(await end).toMatchObject({ failure: { code: 'os.write-failed' } });
  expect([requests(place.router), agent.driver.situation().kind]).toEqual([0, 'online']);
});
