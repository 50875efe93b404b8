import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { openEffects } from '../../../agent/service/effects.ts';
import { openStore } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { VERSION } from '../../../os/service/process.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { parseReport, REPORT_REQUEST } from '../../../protocol/tunnel/report.ts';
import { encodeVerdict } from '../../../protocol/tunnel/verdict.ts';
import { fakeTun } from '../router.ts';
import { softwareDevices } from '../software-device.ts';

const devices = softwareDevices();
const { boot, listen, row } = devices;

test('first boot: provisioned, interface raised, online; later boot: no handshake', async () => {
  const place = await devices.device();
  const first = boot(place);
  await first.online();
  const address = formatIpv6(row().address);
  expect(first.raised).toEqual([
    `enf0 1280 ${address} ${formatIpv6(Uint8Array.from([...row().address.slice(0, 8), 0, 0, 0, 0, 0, 0, 0, 0]))}/64`,
  ]);
  expect(place.router.clientKeys).toEqual([row().longtermKey]);
  // The key, the identity, and the time and place of the first tunnel.
  await first.until(() => expect(first.effects.facts()).toMatchObject({ handshakes: 1, stateGeneration: 3 }));
  await first.driver.stop();
  expect(first.tuns.map((tun) => tun.closed)).toEqual([true]);

  const second = boot(place);
  await second.online();
  expect(row().handshakes).toBe(1);
  expect(second.effects.facts()).toMatchObject({ handshakes: 0, stateGeneration: 3 });
  expect(place.router.clientKeys[1]).toEqual(row().longtermKey);
});

test('[C-40] a fabric that asks receives the version, and on each connection the last failure', async () => {
  const place = await devices.device();
  const agent = boot(place);
  await agent.online();
  const told = () =>
    place.router.packets.filter((packet) => packet[0] === 0xf3).map((packet) => parseReport(packet));
  place.router.send(REPORT_REQUEST);
  await agent.until(() => expect(told()).toEqual([{ version: VERSION }]));
  place.router.reset();
  await agent.until(() => expect(place.router.sockets).toHaveLength(2));
  await agent.online();
  place.router.send(REPORT_REQUEST);
  await agent.until(() => expect(told()).toHaveLength(2));
  expect(told()[1]).toMatchObject({
    version: VERSION,
    failure: { code: expect.stringMatching(/^tunnel\.(broken|closed)$/) },
  });
});

test('the configured routes instead of the own /64', async () => {
  const agent = boot(await devices.device(), {
    rest: '[route]\nprefixes = ["fd00:1::/32"]\n[tunnel]\nmtu = 1400',
  });
  await agent.online();
  expect(agent.raised[0]).toMatch(/^enf0 1400 fd\S+ fd00:1::\/32$/);
});

test('the resolver is told who answers for names of the network if that is wanted, and as long as the agent runs', async () => {
  const place = await devices.device();
  const agent = boot(place, { rest: '[dns]\nzone = "plant.internal"' });
  await agent.online();
  const host = Uint8Array.from([...row().address.slice(0, 8), 0, 0, 0, 0, 0, 0, 0, 1]);
  await agent.until(() =>
    expect(agent.told).toEqual([
      expect.stringMatching(`^enf0 ${formatIpv6(host)} ~plant\\.internal ~\\S+\\.ip6\\.arpa$`),
    ]),
  );
  await agent.driver.stop();
  expect(agent.told.slice(1)).toEqual(['enf0 as before']);
  const silent = boot(place);
  await silent.online();
  await silent.driver.stop();
  expect(silent.told).toEqual([]);
});

test('a reconnect keeps the interface; a TUN that was taken away is opened anew', async () => {
  const place = await devices.device();
  const agent = boot(place);
  await agent.online();
  place.router.reset();
  await agent.until(() => expect(place.router.sockets).toHaveLength(2));
  await agent.online();
  expect(agent.tuns).toHaveLength(1);
  agent.tuns[0]!.lose();
  await agent.until(() => expect(agent.tuns).toHaveLength(2));
  await agent.online();
  expect([agent.tuns[0]!.closed, agent.raised.length, row().handshakes]).toEqual([true, 2, 1]);
});

test('[C-10] the same way after a change of the network: the tunnel stays; another source address: it is made anew', async () => {
  const place = await devices.device();
  const agent = boot(place);
  await agent.online();
  const before = place.router.packets.length;
  agent.driver.networkChanged();
  await agent.until(() => expect(place.router.packets.length).toBeGreaterThan(before));
  agent.way.source = undefined;
  agent.driver.networkChanged();
  expect([agent.driver.situation().kind, place.router.sockets.length]).toEqual(['online', 1]);
  agent.way.source = '127.0.0.9';
  agent.driver.networkChanged();
  await agent.until(() => expect(place.router.sockets).toHaveLength(2));
  await agent.online();
  expect([agent.tuns.length, agent.raised.length]).toEqual([1, 1]);
});

test('[C-36] evicted: a new key, the same address, the same interface', async () => {
  const place = await devices.device();
  const agent = boot(place);
  await agent.online();
  const former = row().longtermKey;
  place.router.raw(encodeVerdict({ kind: 'evicted' }));
  await agent.until(() => expect(place.router.clientKeys).toHaveLength(2));
  await agent.online();
  expect(row().handshakes).toBe(2);
  expect(place.router.clientKeys).toEqual([former, row().longtermKey]);
  expect(row().longtermKey).not.toEqual(former);
  expect([agent.tuns.length, devices.known()]).toEqual([1, 1]);
});

test('[H-C1] unregistered: a new key, the same address, the same interface', async () => {
  const place = await devices.device();
  const agent = boot(place);
  await agent.online();
  const former = row().longtermKey;
  place.router.raw(encodeVerdict({ kind: 'unregistered' }));
  await agent.until(() => expect(place.router.clientKeys).toHaveLength(2));
  await agent.online();
  expect(place.router.clientKeys).toEqual([former, row().longtermKey]);
  expect(row().longtermKey).not.toEqual(former);
  expect([agent.tuns.length, devices.known(), row().handshakes]).toEqual([1, 1, 2]);
});

test('[H-C1] [C-36] unregistered, and the fabric has another address for the device: the identity stays', async () => {
  const place = await devices.device();
  const agent = boot(place);
  await agent.online();
  const former = row();
  devices.forget();
  place.router.raw(encodeVerdict({ kind: 'unregistered' }));
  await agent.until(() => expect(place.router.clientKeys).toHaveLength(2));
  await agent.online();
  expect(agent.log.at(-1)).toMatch(/^online as .* after 2 failed attempts$/);
  expect(row().address).not.toEqual(former.address);
  expect(place.router.clientKeys).toEqual([former.longtermKey, former.longtermKey]);
  const { record } = await openStore(await openFolder(place.state));
  expect(record.identity?.address).toBe(formatIpv6(former.address));
});

for (const verdict of [{ kind: 'banned', seconds: 40 }, { kind: 'unknown' }] as const) {
  test(`${verdict.kind}: no new handshake`, async () => {
    const place = await devices.device();
    const agent = boot(place);
    await agent.online();
    place.router.raw(encodeVerdict(verdict));
    await agent.trouble(verdict.kind === 'banned' ? 'fabric.banned' : 'fabric.unknown-key');
    expect(row().handshakes).toBe(1);
  });
}

test('a provisioning that was interrupted goes on before anything else', async () => {
  const place = await devices.device();
  const first = boot(place);
  await first.online();
  await first.driver.stop();
  const store = await openStore(await openFolder(place.state));
  await store.save({ ...store.record, pending: store.record.identity!.key });
  const second = boot(place);
  await second.online();
  expect([row().handshakes, devices.known()]).toEqual([2, 1]);
  expect((await openStore(await openFolder(place.state))).record).not.toHaveProperty('pending');
});

test('another key beside the tunnel: it stays until the new one connects, at the same address and interface', async () => {
  const place = await devices.device();
  const agent = boot(place);
  await agent.online();
  const { address, longtermKey: former } = row();
  const ends: number[] = [];
  place.router.sockets[0]!.once('close', () => ends.push(row().handshakes));
  const end = agent.driver.handshakeEnd();
  expect(agent.driver.renew()).toBe(true);
  expect(agent.driver.situation().kind).toBe('online');
  expect(await end).toEqual({ address: formatIpv6(address) });
  await agent.until(() => expect(place.router.clientKeys).toHaveLength(2));
  await agent.online();
  expect(place.router.clientKeys).toEqual([former, row().longtermKey]);
  expect(row().longtermKey).not.toEqual(former);
  expect([agent.tuns.length, agent.raised.length]).toEqual([1, 1]);
  await agent.until(() => expect(ends).toEqual([2]));
  const { record } = await openStore(await openFolder(place.state));
  expect(record).not.toHaveProperty('pending');
});

test('the fabric cuts the tunnel as soon as it has the new key: the device is back with that', async () => {
  const place = await devices.device();
  const agent = boot(place);
  await agent.online();
  const end = agent.driver.handshakeEnd();
  agent.driver.renew();
  await agent.until(() => expect(row().handshakes).toBe(2));
  place.router.raw(encodeVerdict({ kind: 'unknown' }));
  expect(await end).toHaveProperty('address');
  await agent.until(() => expect(place.router.clientKeys).toHaveLength(2));
  await agent.online();
  expect([place.router.clientKeys[1], row().handshakes]).toEqual([row().longtermKey, 2]);
  expect(agent.log.join('\n')).not.toContain('fabric.unknown-key');
});

describe('what is in the way', () => {
  test('an identity server that says nothing', async () => {
    const server = await listen({ mute: true });
    const agent = boot(await devices.device({ identityPort: server.port }));
    await agent.trouble('net.timeout');
    await agent.until(() => expect(server.sockets[0]!.destroyed).toBe(true));
  });

  test('[C-1] no identity server at all: tried again until there is one', async () => {
    const place = await devices.device({ identityPort: 1 });
    const agent = boot(place);
    await agent.trouble('net.unreachable');
    expect(agent.driver.situation()).toMatchObject({ goal: { kind: 'provision' } });
    expect(agent.log.filter((line) => line.includes('net.unreachable'))).toHaveLength(1);
  });

  test('no credential: blocked, and what to do is logged', async () => {
    const place = await devices.device();
    const agent = boot({ ...place, credential: '/nowhere' });
    await agent.trouble('os.no-file');
    expect(agent.log.join('\n')).toContain('/nowhere');
  });

  test('a credential without a usable TLS root: blocked after provisioning', async () => {
    const place = await devices.device();
    devices.personalise(place.credential, 'not a certificate');
    const agent = boot(place);
    await agent.trouble('tls.bad-root');
    expect(row().handshakes).toBe(1);
    await agent.driver.stop();
    const path = `${place.credential}/another.pem`;
    writeFileSync(path, devices.root());
    await boot(place, { remote: `tls-root = "${path}"\ntls-name = "*"` }).online();
    expect(row().handshakes).toBe(1);
  });

  test('[C-17] unreadable state: renamed, logged, and the same address comes back', async () => {
    const place = await devices.device();
    const first = boot(place);
    await first.online();
    const address = formatIpv6(row().address);
    await first.driver.stop();
    for (const name of ['state-0', 'state-1']) writeFileSync(`${place.state}/${name}`, 'garbage');
    const second = boot(place);
    await second.online();
    expect(second.driver.situation()).toMatchObject({ goal: { address } });
    expect([devices.known(), row().handshakes]).toEqual([1, 2]);
    expect(second.effects.facts().quarantined).toEqual(['state-0.bad-1', 'state-1.bad-1']);
    expect(second.log.filter((line) => line.startsWith('state.unreadable'))).toHaveLength(2);
  });

  test('[C-15] an interface that cannot be made: blocked, nothing left open', async () => {
    const place = await devices.device();
    const first = boot(place);
    await first.online();
    await first.driver.stop();
    const config = parseConfig(
      `[remote]\nhosts = ["127.0.0.1"]\n[identity]\nmode = "software"\ncredential-dir = "${place.credential}"\n[state]\ndirectory = "${place.state}"\n`,
      'test',
    );
    const tun = fakeTun();
    const effects = openEffects(config, () => {}, {
      openTun: () => tun,
      openReconciler: () => ({
        start: async () => {},
        attach: async () => {
          throw new Failure('os.not-permitted', 'operator', 'ip: not permitted');
        },
        stop: async () => {},
      }),
      openDelegatedLan: () => {
        throw new Error('no LAN is configured');
      },
      sourceTowards: () => undefined,
    });
    await effects.prepare();
    await expect(effects.connect(() => {})).rejects.toMatchObject({ code: 'os.not-permitted' });
    expect(tun.closed).toBe(true);
    await effects.release();
  });
});

test('stop in the middle of a handshake cuts it and leaves no connection', async () => {
  const server = await listen({ mute: true });
  const agent = boot(await devices.device({ identityPort: server.port }));
  await agent.until(() => expect(server.sockets).toHaveLength(1));
  await agent.driver.stop();
  await agent.until(() => expect(server.sockets[0]!.destroyed).toBe(true));
  expect(agent.driver.situation().kind).toBe('stopped');
});
