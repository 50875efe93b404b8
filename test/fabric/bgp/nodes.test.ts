import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { bgpSessions } from '../../../fabric/bgp/birdc.ts';
import { addressOf, createNodes, type Nodes, PROTOCOL, TABLE } from './nodes.ts';

/** Three nodes with real BIRD, as "enf-fabric bgp config" configures it. */

const DEVICE = 'fd00:1::d';
let nodes: Nodes;

const established = async (): Promise<void> => {
  for (const node of nodes.names)
    await vi.waitFor(
      async () => {
        const sessions = await bgpSessions(nodes.socket(node));
        expect(sessions?.map(({ state }) => state)).toEqual(nodes.names.slice(1).map(() => 'Established'));
      },
      { timeout: 30_000, interval: 100 },
    );
};
/** Waits until a node sends packets for the address that way. */
const leads = (from: string, address: string, way: string): Promise<void> =>
  vi.waitFor(() => expect(nodes.way(from, address)).toContain(way), { timeout: 20_000, interval: 20 });
const via = (node: string): string => `via ${addressOf(node)}`;
const reaches = (from: string, address: string): boolean =>
  nodes.try(from, 'ping', '-6', '-c', '1', '-W', '2', address);
const routesOf = (node: string, protocol: number): number =>
  nodes
    .must(node, 'ip', '-6', 'route', 'show', 'table', String(TABLE), 'proto', String(protocol))
    .trim()
    .split('\n')
    .filter(Boolean).length;

beforeAll(async () => {
  nodes = await createNodes('bgp');
  for (const node of nodes.names) {
    await nodes.start(node);
    await nodes.startBird(node);
  }
  await established();
}, 120_000);
afterAll(() => nodes?.close());

test('a route that is added at one node carries packets of the others, and is gone when it is removed', async () => {
  nodes.answers('a', DEVICE, true);
  expect(reaches('c', DEVICE)).toBe(false);
  await nodes.order('a', { kind: 'add', address: DEVICE, metric: 1_000 });
  await leads('c', DEVICE, via('a'));
  for (const node of ['a', 'b', 'c'])
    await vi.waitFor(() => expect(reaches(node, DEVICE)).toBe(true), 20_000);
  await nodes.order('a', { kind: 'remove', address: DEVICE, metric: 1_000 });
  for (const node of ['b', 'c'])
    await vi.waitFor(() => expect(nodes.try(node, 'ip', '-6', 'route', 'get', DEVICE)).toBe(false), 20_000);
  nodes.answers('a', DEVICE, false);
});

test('a /64 behind a device is carried, too', async () => {
  nodes.answers('b', 'fd00:8:1::5', true);
  await nodes.order('b', { kind: 'add', address: 'fd00:8:1::', length: 64, metric: 500 });
  await leads('c', 'fd00:8:1::5', via('b'));
  await expect.poll(() => reaches('c', 'fd00:8:1::5')).toBe(true);
  await nodes.order('b', { kind: 'remove', address: 'fd00:8:1::', length: 64, metric: 500 });
  nodes.answers('b', 'fd00:8:1::5', false);
});

test('a node that announces what is no device takes nothing along, and its devices stay reached', async () => {
  /** How many routes of b were not taken at a since their session began. */
  const filtered = (): number =>
    Number(
      /Import updates:(?:\s+\d+){2}\s+(\d+)/.exec(
        nodes.birdc('a', 'show', 'protocols', 'all', '"enf-b"'),
      )![1],
    );
  const before = filtered();
  const wrong = [
    { address: '4000::', length: 2 },
    { address: '2000::', length: 16 },
    { address: 'fd00:7::', length: 48 },
    { address: 'fd00:7::', length: 63 },
    { address: 'fd00:7::1:0', length: 112 },
    { address: '4000::1', length: 128 },
    // That is node c.
    { address: addressOf('c'), length: 128 },
  ];
  for (const route of wrong) await nodes.order('b', { kind: 'add', ...route, metric: 500 });
  await nodes.order('b', { kind: 'add', address: DEVICE, metric: 500 });
  await leads('a', DEVICE, via('b'));
  await vi.waitFor(() => expect(filtered() - before).toBeGreaterThanOrEqual(wrong.length), 20_000);
  expect(nodes.must('a', 'ip', '-6', 'route', 'show', 'table', String(TABLE)).trim().split('\n')).toEqual([
    expect.stringMatching(`^${DEVICE} via ${addressOf('b')} `),
  ]);
  expect(nodes.way('a', addressOf('c'))).toContain('dev eth0');
  for (const route of [...wrong, { address: DEVICE, length: 128 }])
    await nodes.order('b', { kind: 'remove', ...route, metric: 500 });
  await established();
});

test('of two tunnels of a device the newer one wins everywhere, also at the node that still has the older', async () => {
  await nodes.order('a', { kind: 'add', address: DEVICE, metric: 1_000 });
  await leads('c', DEVICE, via('a'));
  // It has moved to b, and a does not know yet: there nobody answers.
  nodes.answers('b', DEVICE, true);
  await nodes.order('b', { kind: 'add', address: DEVICE, metric: 1_001 });
  await leads('c', DEVICE, via('b'));
  await leads('a', DEVICE, via('b'));
  for (const node of ['a', 'c']) await expect.poll(() => reaches(node, DEVICE)).toBe(true);
  // And back: what is newer is not a question of where.
  nodes.answers('b', DEVICE, false);
  nodes.answers('a', DEVICE, true);
  await nodes.order('a', { kind: 'add', address: DEVICE, metric: 1_002 });
  await nodes.order('a', { kind: 'remove', address: DEVICE, metric: 1_000 });
  await leads('b', DEVICE, via('a'));
  await leads('c', DEVICE, via('a'));
  await leads('a', DEVICE, 'dev tun0');
  for (const node of ['a', 'b', 'c']) await expect.poll(() => reaches(node, DEVICE)).toBe(true);
  await nodes.order('b', { kind: 'remove', address: DEVICE, metric: 1_001 });
});

test('a device of another node comes the way that BIRD has learned, and nobody comes in its name another way', async () => {
  await leads('c', DEVICE, via('a'));
  // A second link of a, on which somebody has the address of a device of b.
  const far = 'fd00:1::b0';
  nodes.answers('b', far, true);
  await nodes.order('b', { kind: 'add', address: far, metric: 700 });
  await leads('a', far, via('b'));
  nodes.attach('a', 'wan0', far);
  const asked = (): number =>
    Number(/Icmp6InEchos\s+(\d+)/.exec(nodes.behind('a', 'nstat', '-asz', 'Icmp6InEchos'))?.[1]);
  const before = asked();
  expect(nodes.outside('ping', '-6', '-c', '2', '-i', '0.2', '-W', '1', '-I', far, DEVICE)).toBe(false);
  expect(asked()).toBe(before);
  // From where it is it comes in, with an address that no route at all leads to it does not.
  expect(nodes.tryBehind('b', 'ping', '-6', '-c', '1', '-W', '2', '-I', far, DEVICE)).toBe(true);
  expect(asked()).toBe(before + 1);
  await nodes.order('b', { kind: 'remove', address: far, metric: 700 });
  nodes.answers('b', far, false);
});

test('a node whose link is cut is given up by the others, and found again', async () => {
  await leads('c', DEVICE, via('a'));
  nodes.cut('a', true);
  await vi.waitFor(() => expect(nodes.try('c', 'ip', '-6', 'route', 'get', DEVICE)).toBe(false), 20_000);
  // Others stay with each other.
  await nodes.order('b', { kind: 'add', address: 'fd00:1::b', metric: 100 });
  await leads('c', 'fd00:1::b', via('b'));
  nodes.cut('a', false);
  await established();
  await leads('c', DEVICE, via('a'));
  await vi.waitFor(() => expect(reaches('c', DEVICE)).toBe(true), 20_000);
});

test('a BIRD that is killed takes no tunnel along, and its routes are back once it is', async () => {
  await nodes.killBird('a');
  await vi.waitFor(() => expect(nodes.try('c', 'ip', '-6', 'route', 'get', DEVICE)).toBe(false), 20_000);
  // The node's own devices are where they were, and the routes to those of others stay in its kernel.
  await leads('a', DEVICE, 'dev tun0');
  await expect.poll(() => reaches('a', DEVICE)).toBe(true);
  await leads('a', 'fd00:1::b', via('b'));
  await nodes.startBird('a');
  await established();
  await leads('c', DEVICE, via('a'));
  await leads('a', 'fd00:1::b', via('b'));
  await vi.waitFor(() => expect(reaches('c', DEVICE)).toBe(true), 20_000);
});

test('what another program takes away comes back, and what it adds under our number goes', async () => {
  const table = ['table', String(TABLE)];
  nodes.must('a', 'ip', '-6', 'route', 'del', `${DEVICE}/128`, ...table, 'proto', String(PROTOCOL));
  nodes.must(
    'a',
    'ip',
    '-6',
    'route',
    'add',
    'fd00:1::e/128',
    'dev',
    'tun0',
    ...table,
    'proto',
    String(PROTOCOL),
    'metric',
    '9',
  );
  nodes.must('a', 'ip', '-6', 'rule', 'del', 'priority', '8380');
  await vi.waitFor(
    () => {
      expect(nodes.way('a', DEVICE)).toContain('dev tun0');
      expect(routesOf('a', PROTOCOL)).toBe(1);
    },
    { timeout: 20_000 },
  );
  await expect
    .poll(() => nodes.log('a').join('\n'))
    .toMatch(/warning: table 100 was changed by another program/);
  expect(await nodes.order('a', { kind: 'serving' })).toEqual({
    table: TABLE,
    protocol: PROTOCOL,
    routes: 1,
    failing: null,
  });
});

test('a process that was killed leaves routes, which the next one removes; one that stops leaves nothing', async () => {
  await nodes.kill('a');
  expect(routesOf('a', PROTOCOL)).toBe(1);
  await nodes.start('a');
  expect(routesOf('a', PROTOCOL)).toBe(0);
  expect(nodes.log('a').at(-1)).toBe('notice: removed 1 route that an earlier process left in table 100');
  await nodes.order('a', { kind: 'add', address: DEVICE, metric: 2_000 });
  expect(nodes.must('a', 'ip', '-6', 'rule')).toContain('8380:\tfrom all lookup 100');
  await nodes.order('a', { kind: 'close' });
  expect(routesOf('a', PROTOCOL)).toBe(0);
  expect(nodes.must('a', 'ip', '-6', 'rule')).not.toContain('8380:');
  await nodes.start('a');
});

test('10,000 routes come to the others, and go', async () => {
  const count = 10_000;
  const learned = (node: string): number => routesOf(node, 12);
  // What the test before has ended is known everywhere.
  await expect.poll(() => nodes.try('c', 'ip', '-6', 'route', 'get', DEVICE)).toBe(false);
  const before = learned('c');
  await nodes.order('a', { kind: 'many', count, metric: 3_000 });
  expect(routesOf('a', PROTOCOL)).toBe(count);
  await vi.waitFor(() => expect(learned('c')).toBe(before + count), { timeout: 60_000, interval: 250 });
  expect(nodes.way('c', 'fd00:99::1234')).toContain(via('a'));
  await nodes.order('a', { kind: 'none', count, metric: 3_000 });
  await vi.waitFor(() => expect(learned('c')).toBe(before), { timeout: 60_000, interval: 250 });
});

test('a route that the kernel does not take is refused, and the next one is not', async () => {
  nodes.must('b', 'ip', 'link', 'set', 'tun0', 'down');
  expect(await nodes.order('b', { kind: 'add', address: 'fd00:1::f', metric: 100 })).toEqual({
    refused: 'os.routes-failed',
  });
  await vi.waitFor(
    async () =>
      expect(await nodes.order('b', { kind: 'serving' })).toMatchObject({
        failing: expect.stringContaining('Network is down'),
      }),
    20_000,
  );
  nodes.must('b', 'ip', 'link', 'set', 'tun0', 'up');
  expect(await nodes.order('b', { kind: 'add', address: 'fd00:1::f', metric: 100 })).toEqual({});
  await leads('c', 'fd00:1::f', via('b'));
  await vi.waitFor(
    async () => expect(await nodes.order('b', { kind: 'serving' })).toMatchObject({ failing: null }),
    20_000,
  );
});
