import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { toHex } from '../../../protocol/bytes.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { addressOf, createNodes, type Nodes } from './nodes.ts';

/** Devices at nodes whose routers, TUN devices, filters, kernels and BIRDs are real. */

const [PUMP, CAMERA, CLERK, GATEWAY] = ['fd00:1::a', 'fd00:1::b', 'fd00:2::c', 'fd00:1::d'];
const [PLANT, OFFICE] = ['fd00:1::/64', 'fd00:2::/64'];
let nodes: Nodes;
let mark = 1;

const drops = async (node: string): Promise<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(await nodes.order(node, { kind: 'drops' })).filter(([, times]) => (times as number) > 0),
  ) as never;
const sends = (node: string, address: string, to: string, marked: number): Promise<unknown> =>
  nodes.order(node, { kind: 'send', address, to, mark: marked });
/** Sends until it has arrived: whoever asks first finds nobody at some node yet. */
const arrives = async (
  from: string,
  address: string,
  at: string,
  to: string,
  { sender = address, receiver = to } = {},
): Promise<void> => {
  const marked = mark++;
  const packet = `${toHex(parseIpv6(address))} ${marked}`;
  await vi.waitFor(
    async () => {
      await nodes.order(from, { kind: 'send', address: sender, from: address, to, mark: marked });
      expect((await nodes.order(at, { kind: 'received', address: receiver })).packets).toContain(packet);
    },
    { timeout: 30_000, interval: 100 },
  );
};
const leads = (from: string, address: string, way: string): Promise<void> =>
  vi.waitFor(() => expect(nodes.way(from, address)).toContain(way), { timeout: 30_000, interval: 50 });

beforeAll(async () => {
  nodes = await createNodes('packets', ['a', 'b'], 'router-child.ts');
  for (const node of nodes.names) {
    await nodes.start(node);
    await nodes.startBird(node);
    for (const address of [PUMP, CAMERA, CLERK]) await nodes.order(node, { kind: 'know', address });
    await nodes.order(node, { kind: 'know', address: GATEWAY, to: 'fd00:9:0:5::/64' });
  }
}, 120_000);
afterAll(() => nodes?.close());

test('devices of one network reach each other on different nodes, both ways', async () => {
  await nodes.order('a', { kind: 'connect', address: PUMP });
  await nodes.order('b', { kind: 'connect', address: CAMERA });
  await leads('b', PUMP, `via ${addressOf('a')}`);
  await leads('a', CAMERA, `via ${addressOf('b')}`);
  await arrives('a', PUMP, 'b', CAMERA);
  await arrives('b', CAMERA, 'a', PUMP);
});

test('one that moves is reached where it is, and sends from there', async () => {
  await nodes.order('a', { kind: 'connect', address: CAMERA });
  // The fake registries of the nodes do not know of each other; what decides at a real one is in nodes.test.ts.
  await nodes.order('b', { kind: 'leave', address: CAMERA });
  await leads('b', CAMERA, `via ${addressOf('a')}`);
  await nodes.order('b', { kind: 'connect', address: PUMP });
  await nodes.order('a', { kind: 'leave', address: PUMP });
  await leads('a', PUMP, `via ${addressOf('b')}`);
  await arrives('b', PUMP, 'a', CAMERA);
  await arrives('a', CAMERA, 'b', PUMP);
});

test('between networks nothing passes from node to node without a rule', async () => {
  await nodes.order('b', { kind: 'connect', address: CLERK });
  await leads('a', CLERK, `via ${addressOf('b')}`);
  const before = await drops('a');
  await sends('a', CAMERA, CLERK, 200);
  await vi.waitFor(
    async () =>
      expect(await drops('a')).toEqual({
        ...before,
        'foreign-network': (before['foreign-network'] ?? 0) + 1,
      }),
    10_000,
  );
});

test('and what a rule lets pass does, with its answers, from where the device is alone', async () => {
  for (const node of nodes.names) await nodes.order(node, { kind: 'open', address: OFFICE, to: PLANT });
  await arrives('a', CAMERA, 'b', CLERK);
  await arrives('b', CLERK, 'a', CAMERA);
  // Somebody on another link of b has the address of a device of a, and gets nothing in with it.
  nodes.attach('b', 'wan0', CAMERA);
  nodes.onLink('ip', '-6', 'route', 'add', OFFICE, 'via', 'fd98::1');
  const came = async (): Promise<number> =>
    ((await nodes.order('b', { kind: 'received', address: CLERK })).packets as string[]).length;
  const [before, lost] = [await came(), await drops('b')];
  expect(nodes.outside('ping', '-6', '-c', '2', '-i', '0.2', '-W', '1', '-I', CAMERA, CLERK)).toBe(false);
  expect([await came(), await drops('b')]).toEqual([before, lost]);
});

test('a machine behind a device of one node and a device of another reach each other, also by rules', async () => {
  const machine = 'fd00:9:0:5::17';
  await nodes.order('a', { kind: 'connect', address: GATEWAY });
  await leads('b', machine, `via ${addressOf('a')}`);
  const both = async (peer: string): Promise<void> => {
    await arrives('a', machine, 'b', peer, { sender: GATEWAY });
    // From the clerk it is an answer: the rule lets nothing else pass there.
    await arrives('b', peer, 'a', machine, { receiver: GATEWAY });
  };
  await both(CLERK);
  for (const node of nodes.names) await nodes.order(node, { kind: 'open', address: PLANT, to: PLANT });
  await nodes.order('b', { kind: 'connect', address: PUMP });
  await leads('a', PUMP, `via ${addressOf('b')}`);
  await both(PUMP);
  await nodes.order('b', { kind: 'leave', address: PUMP });
});

test('the host of a node reaches no device with an address of a network that is no device’s', async () => {
  await leads('b', CAMERA, `via ${addressOf('a')}`);
  // No device has it: at a the way back leads into the TUN device, and what comes from elsewhere is dropped.
  const before = await drops('a');
  nodes.must('b', 'ip', '-6', 'addr', 'add', 'fd00:1::77/128', 'dev', 'lo');
  expect(nodes.try('b', 'ping', '-6', '-c', '1', '-W', '1', '-I', 'fd00:1::77', CAMERA)).toBe(false);
  expect(await drops('a')).toEqual(before);
});

test('what is for a device that no node has comes back from the kernel, and ends there', async () => {
  await nodes.order('b', { kind: 'leave', address: PUMP });
  await vi.waitFor(() => expect(nodes.way('a', PUMP)).not.toContain('via'), 20_000);
  const before = (await drops('a')).offline ?? 0;
  await sends('a', CAMERA, PUMP, 201);
  await vi.waitFor(async () => expect((await drops('a')).offline).toBe(before + 1), 10_000);
});
