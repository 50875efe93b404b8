import { describe, expect, test } from 'vitest';
import { openWorld, tool, type WorldOptions } from './tunnel-world.ts';

const BYTES = 100_000_000;
const traffic = (): string => tool('traffic', 'traffic.c');

/** Both ends with all kinds of offload, on all wires. */
const WIRES: readonly WorldOptions[] = [
  { wire: 'enf/2', near: 2, far: 2 },
  { wire: 'enf/1', near: 2, far: 2 },
  { wire: 'none', near: 2, far: 0 },
  { wire: 'enf/1', near: 0, far: 2 },
  { wire: 'enf/2', near: 1, far: 0 },
];

describe.each(WIRES)('wire $wire, offload $near here and $far there', (options) => {
  test('100 MB of random sizes arrive as they were sent, each way, and so do UDP bursts', async () => {
    const world = await openWorld(options);
    const addresses = [
      { from: 'near', to: 'far', six: 'fd00::2', four: '10.98.0.2' },
      { from: 'far', to: 'near', six: 'fd00::1', four: '10.98.0.1' },
    ] as const;
    for (const { from, to, six, four } of addresses) {
      for (const [address, bytes] of [
        [six, BYTES],
        [four, BYTES / 10],
      ] as const) {
        const received = await world.start(to, traffic(), 'tcp-receive', '7000');
        const sent = await world.run(from, traffic(), 'tcp-send', address, '7000', String(bytes));
        expect(sent).toMatch(new RegExp(`^${bytes} [0-9a-f]{64}\n$`));
        expect((await received.end).trim()).toBe(sent.trim());
      }
      for (const address of [six, four]) {
        const arrived = await world.start(to, traffic(), 'udp-receive', '7001');
        const sent = await world.run(from, traffic(), 'udp-send', address, '7001', '10', '40', '1200');
        const [count, twice, damaged] = (await arrived.end).trim().split(' ').map(Number);
        expect([twice, damaged]).toEqual([0, 0]);
        // Fewer than the TUN's queue holds and than the data plane's; only one that waits very long may be dropped.
        expect(count).toBeGreaterThan(Number(sent) * 0.9);
      }
    }
    expect(await world.checksumErrors()).toBe(0);
    const { near, far } = await world.stop();
    expect([near.inMalformed, near.inForeign, far.inMalformed, near.outMalformed]).toEqual([0, 0, 0, 0]);
    expect(near.sentBytes).toBeGreaterThan(BYTES);
    expect(far.receivedBytes).toBeGreaterThan(BYTES);
    // Where the kernel offloads, large packets are what makes it fast.
    expect(near.sentBursts! > 0).toBe(options.near > 0);
    expect(far.receivedBursts! > 0).toBe(options.far > 0);
  });
});

test('keys change under way, in both directions', async () => {
  const world = await openWorld({ wire: 'enf/2', near: 2, far: 2 });
  // Fewer than end the connection.
  let updates = 40;
  const changing = setInterval(() => updates-- > 0 && world.updateKeys(), 20);
  for (const [from, to, address] of [
    ['near', 'far', 'fd00::2'],
    ['far', 'near', 'fd00::1'],
  ] as const) {
    const received = await world.start(to, traffic(), 'tcp-receive', '7000');
    const sent = await world.run(from, traffic(), 'tcp-send', address, '7000', String(BYTES / 2));
    expect((await received.end).trim()).toBe(sent.trim());
  }
  clearInterval(changing);
  const { near, far } = await world.stop();
  expect(far.keyUpdates).toBeGreaterThan(0);
  expect([near.connections, near.inMalformed, far.inMalformed]).toEqual([1, 0, 0]);
});

test('the main thread may be as busy as it likes', async () => {
  const world = await openWorld({ wire: 'enf/2', near: 2, far: 2, whenUp: 'for (;;);' });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(await world.run('near', 'ping', '-6', '-c', '20', '-i', '0.01', '-W', '5', 'fd00::2')).toContain(
    '20 received',
  );
  expect(await world.run('far', 'ping', '-6', '-c', '20', '-i', '0.01', '-W', '5', 'fd00::1')).toContain(
    '20 received',
  );
});
