import { type AddressInfo, connect, createServer } from 'node:net';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Router, startRouter } from '../../../fabric/router/router.ts';
import type { Lookup } from '../../../os/net/lookup.ts';
import { concat, readU32, u32 } from '../../../protocol/bytes.ts';
import { formatIpv6, parseIpv6 } from '../../../protocol/ipv6.ts';
import { encodeDrain } from '../../../protocol/tunnel/drain.ts';
import { type FakeAdmission, type FakeTun, fakeAdmission, fakeTun } from '../../fabric/router/fixture.ts';
import * as agents from '../agent.ts';
import { temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';
import { makeCertificates, packet6, startTestRouter } from '../router.ts';

const SERVICE = '_enf._tcp.example.org';
const OUTSIDE = parseIpv6('2001:db8::1');

let certificates: ReturnType<typeof makeCertificates>;
let authority: IdentityServer;
beforeAll(async () => {
  certificates = makeCertificates();
  authority = await identityServer();
});

/** A device in software mode, and the ports of the routers that it knows, in the order of its preference. */
async function home(...ports: number[]) {
  const credential = temporaryFolder();
  authority.personalise(credential, certificates.root);
  authority.devices.clear();
  const { port: identityPort } = await agents.listen(authority);
  const resolver: Lookup = async (name) =>
    name === SERVICE ? ports.map((port, i) => `${i} 0 ${port} host${i}.example.org`) : ['127.0.0.1'];
  const agent = agents.boot({
    ...{ state: temporaryFolder(), identityPort, tunnelPort: 1, hosts: JSON.stringify([SERVICE]), resolver },
    identity: `mode = "software"\ncredential-dir = "${credential}"`,
  });
  const port = (): number => Number(agent.driver.peer()?.router.split(' ').at(-1));
  return { ...agent, port };
}

const leave = (within: number, after = 0) => encodeDrain({ kind: 'leave', within, after, spread: 0 });

/** A relay to this port that holds what comes first for a while: a handshake through it takes as long as one over a slow path. Its own port. */
async function slowly(port: number): Promise<number> {
  const relay = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) socket.on('error', () => {});
    far.pipe(near);
    setTimeout(() => near.pipe(far), HELD_MS);
    near.on('close', () => far.destroy());
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void relay.close());
  return (relay.address() as AddressInfo).port;
}
const HELD_MS = 300;

describe('with routers of a test', () => {
  const routers = async () =>
    [await startTestRouter(certificates), await startTestRouter(certificates)] as const;

  test('a device goes to the other host, and ends the tunnel to the first one only then', async () => {
    const [first, second] = await routers();
    const agent = await home(first.port, second.port);
    await agent.online();
    const ended = vi.fn();
    first.sockets[0]!.on('end', () => ended(second.sockets.length));
    first.send(leave(1));
    await agent.until(() => expect(agent.port()).toBe(second.port));
    await agent.until(() => expect(ended).toHaveBeenCalledWith(1));
    expect(agent.driver.situation()).toMatchObject({ kind: 'online' });
    expect(agent.log.join('\n')).toContain('moved to another host');
    expect(agent.log.join('\n')).not.toContain('tunnel.');
    // What is sent now comes over the second one.
    const own = authority.devices.values().next().value!.address;
    agent.tuns[0]!.host(packet6(own, OUTSIDE));
    await agent.until(() => expect(second.packets.some((packet) => packet[6] === 17)).toBe(true));
    second.reset();
    await agent.until(() => expect(agent.log.join('\n')).toContain('tunnel.broken'));
  });

  test('one whose other hosts are none of the fabric stays, and asks them again', async () => {
    const [first] = await routers();
    const stranger = await startTestRouter(makeCertificates());
    const agent = await home(first.port, 1, stranger.port);
    await agent.online();
    first.send(leave(1));
    await agent.until(() => expect(agent.log.join('\n')).toMatch(/tls\.untrusted-server: .*next try in/));
    expect(agent.driver.situation()).toMatchObject({ kind: 'online', drain: { elsewhere: true } });
    expect(agent.port()).toBe(first.port);
    expect(stranger.packets).toHaveLength(0);
    first.send(encodeDrain({ kind: 'stay' }));
    await agent.until(() => expect(agent.driver.situation()).not.toHaveProperty('drain'));
    expect(first.sockets).toHaveLength(1);
  });

  test('one that knows no other stays until the end, and comes back after the time that it was told', async () => {
    const [first] = await routers();
    const agent = await home(first.port);
    await agent.online();
    first.send(leave(60, 0));
    await agent.until(() => expect(agent.driver.situation()).toHaveProperty('drain'));
    expect(first.sockets).toHaveLength(1);
    first.sockets[0]!.end();
    await agent.until(() => expect(first.sockets).toHaveLength(2));
    await agent.online();
    expect(agent.log.join('\n')).toContain('fabric.drained');
  });

  test('a tunnel that ends while the next one is made is no failure: the next one takes its place', async () => {
    const [first, second] = await routers();
    const agent = await home(first.port, second.port);
    await agent.online();
    // The end comes with the word, so that the move finds the tunnel ending.
    first.send(leave(0));
    first.sockets[0]!.end();
    await agent.until(() => expect(agent.port()).toBe(second.port));
    await agent.online();
  });

  test('what is no order changes nothing', async () => {
    const [first, second] = await routers();
    const agent = await home(first.port, second.port);
    await agent.online();
    first.send(leave(3_601), Uint8Array.of(0xf8), Uint8Array.of(0xf8, 3), Uint8Array.of(0xf8, 2, 0));
    first.send(leave(60));
    await agent.until(() =>
      expect(agent.log.filter((line) => line.includes('leaves service'))).toHaveLength(1),
    );
    expect(second.sockets).toHaveLength(0);
  });
});

describe('with two routers of a fabric that serve one registry', () => {
  let admission: FakeAdmission;
  const router = async (tun: FakeTun): Promise<Router> => {
    const started = await startRouter({
      listen: { host: '127.0.0.1', port: 0 },
      ...{ certificate: certificates.certificate, key: certificates.key },
      ...{ admission, tun, threads: 2, log: () => {}, limits: { lingerMs: 1_000 } },
    });
    onTestFinished(() => started.close());
    return started;
  };

  test('no packet of a device is lost while one is drained, and those for it come by the other one', async () => {
    admission = fakeAdmission();
    const tuns = [fakeTun(), fakeTun()] as const;
    const routers = [await router(tuns[0]), await router(tuns[1])] as const;
    const agent = await home(routers[0].port, await slowly(routers[1].port));
    await agent.until(() => expect(authority.devices.size).toBe(1));
    const { address, longtermKey } = [...authority.devices.values()][0]!;
    const device = { address, publicKey: longtermKey, name: formatIpv6(address) } as never;
    admission.set(device, 'active');
    await agent.online();
    expect(agent.port()).toBe(routers[0].port);

    // Packets go both ways all the time, each with its number; those for the device by the router that has its tunnel.
    const [tun] = agent.tuns;
    let sent = 0;
    const flow = setInterval(() => {
      tun!.host(packet6(address, OUTSIDE, concat(u32(sent), new Uint8Array(4))));
      const way = routers[1].sessions().length > 0 ? 1 : 0;
      tuns[way].deliver(packet6(OUTSIDE, address, concat(u32(sent), new Uint8Array(4))));
      sent++;
    }, 1);
    onTestFinished(() => clearInterval(flow));
    const numbers = (packets: readonly Uint8Array[]): number[] =>
      packets.filter((packet) => packet[6] === 17).map((packet) => readU32(packet, 40));
    await agent.until(() => expect(numbers(tuns[0].written).length).toBeGreaterThan(50));
    await routers[0].drain({ within: 1, retryAfter: 10 });
    expect(routers[0].draining).toMatchObject({ within: 1, retryAfter: 10 });
    await agent.until(() => expect(numbers(tuns[1].written).length).toBeGreaterThan(50));
    clearInterval(flow);
    await agent.until(() => {
      const arrived = new Set([...numbers(tuns[0].written), ...numbers(tuns[1].written)]);
      expect(Array.from({ length: sent }, (_, i) => i).filter((i) => !arrived.has(i))).toEqual([]);
    });
    await agent.until(() => expect(numbers(tun!.received).at(-1)).toBe(sent - 1));
    await agent.until(() => expect(routers[0].sizes).toEqual({ agent: 0, c: 0 }));
    expect(agent.driver.situation()).toMatchObject({ kind: 'online' });
    expect(agent.log.filter((line) => line.includes('tunnel.'))).toEqual([]);
  });
});
