import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { addon } from '../../../native/index.ts';
import { frame, ip, OWN, out, pattern, UDP, udp, world } from '../client/client-world.ts';
import { packetPair } from '../packetpair.ts';

describe('connections', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${version}: a session is resumed, also after a reset`, async () => {
      const { connect, server, events, counters, send } = await world({ version });
      for (let i = 1; i <= 2; i++) {
        await connect();
        expect(server.sockets.at(-1)!.getProtocol()).toBe(version);
        send(frame(ip(UDP, udp(pattern(5)))));
        await vi.waitFor(() => expect(events.filter(([kind]) => kind === 'up')).toHaveLength(i), 10_000);
        server.sockets.at(-1)!.destroy();
        await vi.waitFor(() => expect(events.filter(([kind]) => kind !== 'up')).toHaveLength(i), 10_000);
      }
      expect(counters()).toMatchObject({ connections: 2, resumptions: 1 });
    });
  }

  test('a thousand of them leave no descriptor, no thread and no memory', async () => {
    const { connect, server, native, dataplane, counters } = await world();
    const threads = (): number => readdirSync('/proc/self/task').length;
    const mine = (): number => readdirSync('/proc/self/fd').length;
    const resident = (): number =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
    const cycle = async (): Promise<void> => {
      await connect();
      native.dataplaneDisconnect(dataplane);
      await vi.waitFor(() => expect(server.sockets.at(-1)!.destroyed).toBe(true), {
        timeout: 10_000,
        interval: 1,
      });
    };
    for (let i = 0; i < 100; i++) await cycle();
    globalThis.gc?.();
    const before = { threads: threads(), descriptors: mine(), resident: resident() };
    for (let i = 0; i < 900; i++) await cycle();
    globalThis.gc?.();
    expect(counters().connections).toBe(1_000);
    expect(threads()).toBeLessThanOrEqual(before.threads);
    expect(mine()).toBeLessThanOrEqual(before.descriptors + 3);
    // Node keeps a thousand TLS sockets for this test; a leaked connection of ours would be 200 KB each.
    expect(resident() - before.resident).toBeLessThan(100_000);
  });

  test('a thousand data dataplanes leave no descriptor and no thread', async () => {
    const native = addon();
    const threads = (): number => readdirSync('/proc/self/task').length;
    const mine = (): number => readdirSync('/proc/self/fd').length;
    const before = { threads: threads(), descriptors: mine() };
    for (let i = 0; i < 1_000; i++) {
      const [device, host] = packetPair();
      const dataplane = native.dataplaneStart(device, 0, OWN, false, 60_000, 30_000, () => {});
      native.dataplaneClose(dataplane);
      closeSync(host);
      if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await vi.waitFor(() => {
      expect(threads()).toBeLessThanOrEqual(before.threads);
      expect(mine()).toBeLessThanOrEqual(before.descriptors);
    }, 10_000);
  });

  test('cut under load, again and again: the connection is lost, the process is not', async () => {
    const { connect, server, events, host, send, counters } = await world();
    for (let i = 0; i < 30; i++) {
      await connect();
      for (let k = 0; k < 40; k++) {
        try {
          host(out(UDP, udp(pattern(1_200, k))));
        } catch {
          break; // the TUN is full
        }
        send(frame(ip(UDP, udp(pattern(1_200, k)))));
      }
      server.sockets.at(-1)!.destroy();
      await vi.waitFor(() => expect(events.filter(([kind]) => kind !== 'up')).toHaveLength(i + 1), 10_000);
    }
    expect(counters().connections).toBe(30);
    expect(events.filter(([kind]) => kind !== 'up' && kind !== 'closed' && kind !== 'broken')).toEqual([]);
  });

  test('a peer that reads nothing does not keep us from reading, and what waits is bounded', async () => {
    const { connect, server, host, send, arrives, counters } = await world({ alpn: [] });
    await connect();
    server.sockets[0]!.pause();
    for (let k = 0; k < 20_000 && counters().outOverflow < 100; k++) {
      try {
        host(out(UDP, udp(pattern(1_200, k), k % 5)));
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    expect(counters().outOverflow).toBeGreaterThanOrEqual(100);
    expect(counters().queueBytes).toBeLessThanOrEqual(1 << 20);
    send(frame(ip(UDP, udp(pattern(77)))));
    expect((await arrives(1))[0]!.packet).toEqual(ip(UDP, udp(pattern(77))));
    server.sockets[0]!.resume();
    await vi.waitFor(() => expect(counters().queueBytes).toBe(0), 10_000);
    expect(counters().queueDelayMaxMicroseconds).toBeGreaterThan(0);
  });
});
