import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { TunnelEvent } from '../../../agent/tunnel/session.ts';
import { type ConnectOptions, openTunnel, type Rules } from '../../../agent/tunnel/tunnel.ts';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import { concat } from '../../../protocol/bytes.ts';
import type { Failure } from '../../../protocol/failure.ts';
import { identityCertificate } from '../../../protocol/identity/certificate.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { encodeFrame } from '../../../protocol/tunnel/frame.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { encodeReport, REPORT_REQUEST, type Report } from '../../../protocol/tunnel/report.ts';
import { encodeVerdict, type Verdict } from '../../../protocol/tunnel/verdict.ts';
import { ALPN_CONTROL } from '../../../protocol/tunnel/wire.ts';
import { fakeTun, makeCertificates, packet6, startTestRouter, type TestRouter } from '../router.ts';

const OWN = parseIpv6('fd00::7');
const PEER = parseIpv6('fd00::8');
const OTHER = parseIpv6('fd00::9');
const RULES: Rules = { own: OWN, allowIpv4: false, heartbeatPeriodMs: 60_000, heartbeatTimeoutMs: 30_000 };
const US: Report = { version: '0.9', failure: { code: 'net.unreachable', seconds: 7 } };
const IPV4 = Uint8Array.from([0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);

let certificates: ReturnType<typeof makeCertificates>;
let identity: { certificate: Uint8Array; key: string; publicKey: Uint8Array };
beforeAll(async () => {
  certificates = makeCertificates();
  const { secret, publicKey } = generateP256();
  const certificate = await identityCertificate(
    primitives,
    OWN,
    publicKey,
    ecdsaSigner(secret),
    primitives.random(19),
  );
  const { openSoftwareKeys } = await import('../../../agent/identity/software-keys.ts');
  const { encodeEcPrivateKey } = await import('../../../protocol/identity/key-file.ts');
  const { toHex } = await import('../../../protocol/bytes.ts');
  const der = toHex(encodeEcPrivateKey(secret, publicKey));
  const key = (await openSoftwareKeys('').load({ kind: 'software', der })).tlsKey();
  identity = { certificate, key, publicKey };
});

/** A tunnel to a test router; `events` is everything it reported. */
async function openedTunnel(
  options: Partial<Parameters<typeof startTestRouter>[0]> = {},
  rules: Partial<Rules> = {},
) {
  const router = await startTestRouter({ ...certificates, ...options });
  const tun = fakeTun();
  const tunnel = openTunnel(tun, { ...RULES, ...rules }, () => US);
  onTestFinished(() => tunnel.close());
  const events: TunnelEvent[] = [];
  const connect = (change: Partial<ConnectOptions> = {}): void =>
    tunnel.start(
      {
        hosts: ['127.0.0.1'],
        port: router.port,
        mark: 0,
        timeoutMs: 10_000,
        ca: certificates.root,
        ...identity,
        wire: 'auto',
        ...change,
      },
      (event) => events.push(event),
    );
  const happens = (kind: TunnelEvent['kind']): Promise<TunnelEvent> =>
    vi.waitFor(() => {
      const event = events.find((each) => each.kind === kind);
      if (!event) throw new Error(`no ${kind} among ${events.map((each) => each.kind)}`);
      return event;
    }, 10_000);
  const failure = async (): Promise<Failure> => ((await happens('down')) as { failure: Failure }).failure;
  return { router, tun, tunnel, events, connect, happens, failure };
}

/** Everything sent before has arrived: a marker packet came back from the router's list. */
async function settled(router: TestRouter, tun: ReturnType<typeof fakeTun>, rules = RULES): Promise<void> {
  const marker = packet6(rules.own, PEER, primitives.random(8));
  tun.host(marker);
  await vi.waitFor(() => expect(router.packets.map(String)).toContain(String(marker)), 10_000);
}

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

describe('going down', () => {
  test('a frame longer than any packet ends the connection', async () => {
    const { router, connect, happens, failure, events } = await openedTunnel();
    connect();
    await happens('up');
    router.raw(Uint8Array.of(0x05, 0xd9)); // 1497
    expect(await failure()).toMatchObject({ code: 'tunnel.oversized-frame', remedy: 'retry' });
    await vi.waitFor(() => expect(router.sockets[0]!.destroyed).toBe(true), 10_000);
    expect(events.map((event) => event.kind)).toEqual(['up', 'down']);
  });

  test('[C-13] a router that falls silent is given up after a heartbeat without answer', async () => {
    const options = { ...certificates, silent: false };
    const router = await startTestRouter(options);
    const tun = fakeTun();
    const tunnel = openTunnel(tun, { ...RULES, heartbeatPeriodMs: 30, heartbeatTimeoutMs: 2_000 }, () => US);
    onTestFinished(() => tunnel.close());
    const events: TunnelEvent[] = [];
    tunnel.start(
      {
        hosts: ['127.0.0.1'],
        port: router.port,
        mark: 0,
        timeoutMs: 10_000,
        ca: certificates.root,
        ...identity,
        wire: 'auto',
      },
      (event) => events.push(event),
    );
    await vi.waitFor(() => expect(router.packets.length).toBeGreaterThan(3), 10_000);
    expect(events).toHaveLength(1);
    expect(router.packets).toEqual(router.packets.map(() => heartbeat(OWN)));
    options.silent = true;
    await vi.waitFor(
      () => expect(events.at(-1)).toMatchObject({ failure: { code: 'tunnel.silent' }, silent: true }),
      10_000,
    );
    expect(events).toHaveLength(2);
  });

  for (const [name, how, code] of [
    ['an orderly close', (router: TestRouter) => void router.sockets[0]!.end(), 'tunnel.closed'],
    ['a reset', (router: TestRouter) => router.reset(), /^tunnel\.(broken|closed)$/],
  ] as const) {
    test(`${name} is a reason to come back, no more`, async () => {
      const { router, connect, happens, failure, events } = await openedTunnel();
      connect();
      await happens('up');
      how(router);
      expect(await failure()).toMatchObject({ code: expect.stringMatching(code), remedy: 'retry' });
      expect(events).toHaveLength(2);
      connect();
      await vi.waitFor(() => expect(router.sockets).toHaveLength(2), 10_000);
      await vi.waitFor(() => expect(events.at(-1)!.kind).toBe('up'), 10_000);
    });
  }

  test('stop is silent, and the host may go on sending', async () => {
    const { router, tun, tunnel, connect, happens, events } = await openedTunnel();
    connect();
    await happens('up');
    tunnel.stop();
    tun.host(packet6(OWN, PEER));
    await vi.waitFor(() => expect(tunnel.counters().outOffline).toBe(1), 10_000);
    await vi.waitFor(() => expect(router.sockets[0]!.destroyed).toBe(true), 10_000);
    expect([events.length, tun.closed]).toEqual([1, false]);
    tunnel.close();
    await vi.waitFor(() => expect(tun.closed).toBe(true), 10_000);
  });

  test('stop while connecting leaves no connection', async () => {
    const { tunnel, connect, events, router } = await openedTunnel();
    connect();
    tunnel.stop();
    connect();
    tunnel.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(events).toEqual([]);
    expect(router.sockets.every((socket) => socket.destroyed || socket.readableEnded)).toBe(true);
  });

  test('a TUN that was taken away is lost, connected or not', async () => {
    const { tun, tunnel, connect, happens, failure, events } = await openedTunnel();
    connect();
    await happens('up');
    expect(tunnel.usable).toBe(true);
    tun.lose();
    expect(await failure()).toMatchObject({ code: 'os.tun-lost' });
    expect(tunnel.usable).toBe(false);
    connect();
    expect(events.map((event) => event.kind)).toEqual(['up', 'down', 'down']);
  });
});

describe('verdicts', () => {
  const verdicts: Verdict[] = [
    { kind: 'evicted' },
    { kind: 'banned' },
    { kind: 'unknown' },
    { kind: 'unregistered' },
    { kind: 'retry-after', seconds: 90 },
  ];
  for (const verdict of verdicts) {
    test(`${verdict.kind} instead of an answer`, async () => {
      const { connect, happens, events } = await openedTunnel({
        silent: true,
        onConnection: (socket) => void socket.end(encodeVerdict(verdict)),
      });
      connect();
      expect(await happens('verdict')).toEqual({ kind: 'verdict', verdict });
      expect(events).toHaveLength(1);
    });

    test(`${verdict.kind} later`, async () => {
      const { router, tun, connect, happens, events } = await openedTunnel();
      connect();
      await happens('up');
      router.raw(concat(encodeFrame(packet6(PEER, OTHER)), encodeVerdict(verdict)));
      expect(await happens('verdict')).toEqual({ kind: 'verdict', verdict });
      expect([events.length, tun.received]).toEqual([2, []]);
      await vi.waitFor(() => expect(router.sockets[0]!.destroyed).toBe(true), 10_000);
    });
  }

  test('a control message of a later version is no packet and no verdict', async () => {
    const { router, tun, connect, happens, events } = await openedTunnel();
    connect();
    await happens('up');
    router.send(Uint8Array.of(0xf1, 99, 0, 0, 0, 0), Uint8Array.of(0xf2), packet6(PEER, OWN));
    await vi.waitFor(() => expect(tun.received).toEqual([packet6(PEER, OWN)]), 10_000);
    expect(events).toHaveLength(1);
  });
});

describe('[H-C13] a router that does not answer', () => {
  test('is silent before it is given up, and no longer once it is heard', async () => {
    let deaf = false;
    const { router, tunnel, connect, happens, failure, events } = await openedTunnel({
      silent: true,
      onConnection: (socket) =>
        socket.on('data', () => {
          if (!deaf) socket.write(encodeFrame(packet6(PEER, OWN)));
        }),
    });
    expect(tunnel.silentMs()).toBeUndefined();
    connect();
    await happens('up');
    const silent = () => vi.waitFor(() => expect(tunnel.silentMs()).toBeGreaterThan(0), 10_000);
    deaf = true;
    tunnel.probe();
    await silent();
    router.send(packet6(PEER, OWN));
    await vi.waitFor(() => expect(tunnel.silentMs()).toBeUndefined(), 10_000);
    tunnel.probe();
    await silent();
    expect(events.map((event) => event.kind)).toEqual(['up']);
    expect((await failure()).code).toBe('tunnel.silent');
    expect(tunnel.silentMs()).toBeUndefined();
  });
});

describe('a probe', () => {
  test('[C-6] is a heartbeat at once, and its answer changes nothing', async () => {
    const { router, tunnel, connect, happens, events } = await openedTunnel();
    tunnel.probe();
    connect();
    await happens('up');
    expect(router.packets).toHaveLength(1);
    tunnel.probe();
    await vi.waitFor(() => expect(router.packets).toHaveLength(2));
    expect(router.packets[1]).toEqual(heartbeat(OWN));
    expect(events.map((event) => event.kind)).toEqual(['up']);
    tunnel.close();
    tunnel.probe();
  });

  test('[C-6] without an answer ends the connection in five seconds, whatever a heartbeat may take', async () => {
    let deaf = false;
    const { tunnel, connect, happens, failure } = await openedTunnel({
      onConnection: (socket) => {
        const answer = socket.write.bind(socket);
        socket.write = ((...given: Parameters<typeof answer>) => deaf || answer(...given)) as typeof answer;
      },
    });
    connect();
    await happens('up');
    deaf = true;
    tunnel.probe();
    expect(await failure()).toMatchObject({ code: 'tunnel.silent' });
  });
});
