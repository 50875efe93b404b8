import { describe, expect, test, vi } from 'vitest';
import { concat } from '../../../protocol/bytes.ts';
import { encodeFrame } from '../../../protocol/tunnel/frame.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import { encodeVerdict, type Verdict } from '../../../protocol/tunnel/verdict.ts';
import { packet6, type TestRouter } from '../router.ts';
import { OTHER, OWN, openedTunnel, PEER } from './opened-tunnel.ts';

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
    const { router, settings, events, connect } = await openedTunnel(
      {},
      { heartbeatPeriodMs: 30, heartbeatTimeoutMs: 2_000 },
    );
    connect();
    await vi.waitFor(() => expect(router.packets.length).toBeGreaterThan(3), 10_000);
    expect(events).toHaveLength(1);
    expect(router.packets).toEqual(router.packets.map(() => heartbeat(OWN)));
    settings.silent = true;
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
    { kind: 'banned', seconds: 40 },
    { kind: 'suspended', seconds: 40 },
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
    await expect.poll(() => router.packets).toHaveLength(2);
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
