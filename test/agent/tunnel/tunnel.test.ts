import { describe, expect, test, vi } from 'vitest';
import { concat } from '../../../protocol/bytes.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { encodeFrame } from '../../../protocol/tunnel/frame.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { encodeReport, REPORT_REQUEST } from '../../../protocol/tunnel/report.ts';
import { ALPN_CONTROL } from '../../../protocol/tunnel/wire.ts';
import { makeCertificates, packet6, type TestRouter } from '../router.ts';
import { IPV4, identity, OTHER, OWN, openedTunnel, PEER, settled, US } from './opened-tunnel.ts';

describe('coming up', () => {
  test('with the identity as client certificate and the verdict protocol offered; up once the router answers', async () => {
    const { router, connect, happens, events } = await openedTunnel();
    connect();
    expect(await happens('up')).toMatchObject({ router: `127.0.0.1 port ${router.port}` });
    expect(router.clientKeys).toEqual([identity.publicKey]);
    expect(router.sockets[0]!.alpnProtocol).toBe(ALPN_CONTROL);
    expect(router.packets[0]).toEqual(heartbeat(OWN));
    expect(events).toHaveLength(1);
  });

  test('[C-9] a router of another root is not talked to', async () => {
    const { router, connect, failure } = await openedTunnel();
    connect({ ca: makeCertificates().root });
    expect(await failure()).toMatchObject({ code: 'tls.untrusted-server', remedy: 'retry' });
    expect(router.packets).toEqual([]);
  });

  test('no server', async () => {
    const { connect, failure } = await openedTunnel();
    connect({ port: 1 });
    expect(await failure()).toMatchObject({ code: 'net.unreachable', remedy: 'retry' });
  });

  test('a router that closes before it answers has not accepted us', async () => {
    const { connect, failure, events } = await openedTunnel({
      silent: true,
      onConnection: (socket) => void socket.end(),
    });
    connect();
    expect(await failure()).toMatchObject({ code: 'tunnel.refused', remedy: 'retry' });
    expect(events).toHaveLength(1);
  });

  test('[C-13] a router that takes the connection and is silent is given up', async () => {
    const { connect, failure, events } = await openedTunnel({ silent: true }, { heartbeatTimeoutMs: 50 });
    connect();
    expect(await failure()).toMatchObject({
      code: 'tunnel.silent',
      message: expect.stringContaining('does not answer'),
    });
    expect(events).toHaveLength(1);
  });
});

describe('packets', () => {
  test('pass both ways, batches in one piece, and are counted', async () => {
    const { router, tun, tunnel, connect, happens } = await openedTunnel();
    connect();
    await happens('up');
    const out = [packet6(OWN, PEER), packet6(OWN, OTHER, new Uint8Array(1_400))];
    tun.host(...out);
    await vi.waitFor(() => expect(router.packets.slice(1)).toEqual(out), 10_000);
    const back = [packet6(PEER, OWN), packet6(OTHER, OWN, new Uint8Array(1_400))];
    router.send(...back);
    await vi.waitFor(() => expect(tun.received).toEqual(back), 10_000);
    const bytes = 48 + 1_440;
    expect(tunnel.traffic()).toEqual({
      sentPackets: 2,
      sentBytes: bytes,
      receivedPackets: 2,
      receivedBytes: bytes,
      droppedSending: 0,
      droppedReceiving: 0,
    });
  });

  test('of another source do not leave', async () => {
    const { router, tun, tunnel, connect, happens } = await openedTunnel();
    connect();
    await happens('up');
    const linkLocal = packet6(parseIpv6('fe80::1'), parseIpv6('ff02::16'));
    tun.host(packet6(PEER, OTHER), packet6(OWN, PEER), linkLocal, IPV4, Uint8Array.of(0xf1, 1, 0, 0, 0, 0));
    tun.host(packet6(PEER, OTHER));
    await settled(router, tun);
    expect(router.packets).toHaveLength(3);
    expect(router.packets[1]).toEqual(packet6(OWN, PEER));
    expect(tunnel.traffic()).toMatchObject({ sentPackets: 2, droppedSending: 5 });
  });

  test('of another destination do not arrive, nor do heartbeat replies', async () => {
    const { router, tun, tunnel, connect, happens } = await openedTunnel();
    connect();
    await happens('up');
    router.send(packet6(PEER, OTHER), IPV4, Uint8Array.of(0x61), packet6(PEER, OWN));
    await vi.waitFor(() => expect(tun.received).toEqual([packet6(PEER, OWN)]), 10_000);
    expect(tunnel.traffic()).toMatchObject({ receivedPackets: 1, droppedReceiving: 3 });
  });

  test('IPv4 passes only if allowed', async () => {
    const { router, tun, connect, happens } = await openedTunnel({}, { allowIpv4: true });
    connect();
    await happens('up');
    tun.host(IPV4);
    await vi.waitFor(() => expect(router.packets).toContainEqual(IPV4), 10_000);
    router.send(IPV4);
    await vi.waitFor(() => expect(tun.received).toEqual([IPV4]), 10_000);
  });

  test('may arrive in any pieces; empty frames mean nothing', async () => {
    const { router, tun, connect, happens } = await openedTunnel();
    connect();
    await happens('up');
    router.sockets[0]!.setNoDelay(true);
    const packets = [packet6(PEER, OWN, new Uint8Array(100)), packet6(OTHER, OWN)];
    const stream = concat(
      Uint8Array.of(0, 0),
      encodeFrame(packets[0]!),
      Uint8Array.of(0, 0),
      encodeFrame(packets[1]!),
    );
    for (let i = 0; i < stream.length; i += 11) {
      router.raw(stream.subarray(i, i + 11));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await vi.waitFor(() => expect(tun.received).toEqual(packets), 10_000);
  });

  test('while there is no connection they are dropped, and the TUN is read on', async () => {
    const { router, tun, tunnel, connect, happens } = await openedTunnel();
    tun.host(packet6(OWN, PEER));
    await vi.waitFor(() => expect(tunnel.counters().outOffline).toBe(1), 10_000);
    connect();
    await happens('up');
    expect(router.packets).toEqual([heartbeat(OWN)]);
  });
});

describe('[C-40] what it tells of itself', () => {
  const reports = (router: TestRouter) => router.packets.filter((packet) => packet[0] === 0xf3);

  test('it tells a router that asks: once, and again when it has news', async () => {
    const { router, tun, tunnel, connect, happens, events } = await openedTunnel();
    connect();
    await happens('up');
    tunnel.sendReport();
    await settled(router, tun);
    expect(reports(router)).toEqual([]);
    router.send(REPORT_REQUEST, REPORT_REQUEST, REPORT_REQUEST);
    await vi.waitFor(() => expect(reports(router)).toEqual([encodeReport(US)]), 10_000);
    tunnel.sendReport();
    await vi.waitFor(() => expect(reports(router)).toHaveLength(2), 10_000);
    await settled(router, tun);
    expect(reports(router)).toHaveLength(2);
    expect(events.map((event) => event.kind)).toEqual(['up']);
  });

  test('each router that asks receives a report, and no other', async () => {
    const { router, tun, tunnel, connect, events } = await openedTunnel();
    connect();
    await vi.waitFor(() => expect(events).toHaveLength(1), 10_000);
    router.send(REPORT_REQUEST);
    await vi.waitFor(() => expect(reports(router)).toHaveLength(1), 10_000);
    connect();
    await vi.waitFor(() => expect(events).toHaveLength(2), 10_000);
    tunnel.sendReport();
    await settled(router, tun);
    expect(reports(router)).toHaveLength(1);
    router.send(REPORT_REQUEST);
    await vi.waitFor(() => expect(reports(router)).toHaveLength(2), 10_000);
  });

  test('it tells nothing to who asks something else, or has no word for asking', async () => {
    const { router, tun, connect, happens } = await openedTunnel();
    connect();
    await happens('up');
    router.send(
      Uint8Array.of(0xf2),
      Uint8Array.of(0xf2, 2),
      Uint8Array.of(0xf2, 1, 0),
      Uint8Array.of(0xf4, 1),
    );
    await settled(router, tun);
    expect(reports(router)).toEqual([]);
    // A router of enftun's kind, which selects no protocol.
    const c = await openedTunnel({ alpn: [] });
    c.connect();
    await c.happens('up');
    c.router.send(REPORT_REQUEST);
    await settled(c.router, c.tun);
    expect(c.router.sockets[0]!.alpnProtocol).toBe(false);
    expect(reports(c.router)).toEqual([]);
  });
});
