import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { bgpSessions } from '../../../fabric/bgp/birdc.ts';
import { addressOf, createNodes, type Nodes, numberOf } from './nodes.ts';

/** Three nodes whose links are WireGuard, set up as docs/scale.md says, by the kernel's or, where it has none, by wireguard-go. */

const DEVICE = 'fd00:1::d';
const outer = (node: string): string => `fd97::${numberOf(node)}`;
const portTo = (node: string): number => 51_800 + numberOf(node);
const manual = readFileSync(new URL('../../../docs/scale.md', import.meta.url), 'utf8');
let nodes: Nodes;
let folder: string;

/** The file of docs/scale.md that gives node a its tunnel to b, for any two nodes. */
function tunnelFile(node: string, peer: string, publicKey: string): string {
  const documented = /```ini\n# \/etc\/wireguard\/wg-b\.conf\n(.*?)```/s.exec(manual)![1]!;
  const words: Record<string, string> = {
    '51802': String(portTo(peer)),
    '51801': String(portTo(node)),
    'fd99::1': addressOf(node),
    'fd99::2': addressOf(peer),
    'fe80::1': `fe80::${numberOf(node)}`,
    '2001:db8::2': outer(peer),
    'PUBLIC-KEY-OF-B': publicKey,
  };
  const text = documented.replace(new RegExp(Object.keys(words).join('|'), 'g'), (word) => words[word]!);
  for (const word of Object.values(words)) expect(text).toContain(word);
  return text;
}

/** Runs a script in a node that has an /etc/wireguard of its own. */
const script = (node: string, text: string): string =>
  nodes.must(
    node,
    ...['unshare', '--mount', 'bash', '-ec'],
    // Interfaces of several nodes have the same names, and so have the sockets of wireguard-go.
    `mkdir -p /run/wireguard && mount --bind ${folder}/${node}/run /run/wireguard && mount --bind ${folder}/${node} /etc/wireguard\n${text}`,
  );

/** What has passed the link, by what it was: counted where the nodes' cables end. */
function passed(): { readonly sealed: number; readonly clear: number } {
  const of = (name: string): number =>
    Number(/packets (\d+)/.exec(nodes.onLink('nft', 'list', 'counter', 'netdev', 'seen', name))![1]);
  return { sealed: of('sealed'), clear: of('clear') };
}

const reaches = (from: string, address: string, ...options: readonly string[]): boolean =>
  nodes.try(from, 'ping', '-6', '-c', '1', '-W', '2', ...options, address);
const others = (node: string): readonly string[] => nodes.names.filter((each) => each !== node);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'enf-wireguard-'));
  nodes = await createNodes('wg', ['a', 'b', 'c'], 'node-child.ts', outer);
  const keys = new Map<string, string>();
  for (const node of nodes.names) {
    mkdirSync(join(folder, node, 'run'), { recursive: true });
    keys.set(
      node,
      script(
        node,
        '(umask 077 && wg genkey > /etc/wireguard/node.key)\nwg pubkey < /etc/wireguard/node.key',
      ).trim(),
    );
  }
  for (const node of nodes.names) {
    for (const peer of others(node))
      writeFileSync(join(folder, node, `wg-${peer}.conf`), tunnelFile(node, peer, keys.get(peer)!), {
        mode: 0o600,
      });
    script(
      node,
      others(node)
        .map(
          (peer) => `wg-quick up wg-${peer} >/etc/wireguard/log 2>&1 || { cat /etc/wireguard/log; false; }`,
        )
        .join('\n'),
    );
  }
  const ports = nodes.names.map((node) => `"port-${node}"`).join(', ');
  const discovery = '{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report }';
  nodes.onLink(
    'nft',
    `table netdev seen {
      counter sealed { }
      counter clear { }
      chain ingress {
        type filter hook ingress devices = { ${ports} } priority 0;
        icmpv6 type ${discovery} accept
        udp dport 51801-51803 counter name sealed accept
        counter name clear
      }
    }`,
  );
  for (const node of nodes.names) {
    await nodes.start(node);
    await nodes.startBird(node);
  }
}, 120_000);
afterAll(() => {
  for (const node of nodes?.names ?? [])
    for (const peer of others(node)) nodes.try(node, 'ip', 'link', 'del', `wg-${peer}`);
  nodes?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('BGP and BFD are there through the tunnels, and nothing else is on the link', async () => {
  for (const node of nodes.names)
    await vi.waitFor(
      async () => {
        const sessions = await bgpSessions(nodes.socket(node));
        expect(sessions?.map(({ state }) => state)).toEqual(['Established', 'Established']);
      },
      { timeout: 30_000, interval: 100 },
    );
  await vi.waitFor(() => {
    const listed = nodes.birdc('a', 'show', 'bfd', 'sessions');
    for (const peer of ['b', 'c'])
      expect(listed).toMatch(new RegExp(`^${addressOf(peer)}\\s+wg-${peer}\\s+Up`, 'm'));
  }, 20_000);
  expect(passed().clear).toBe(0);
  expect(passed().sealed).toBeGreaterThan(0);
});

test('a device is reached from every node, by whichever tunnel it has, and answers', async () => {
  const leads = (from: string, to: string): Promise<void> =>
    vi.waitFor(() => expect(nodes.way(from, DEVICE)).toContain(`via ${addressOf(to)} dev wg-${to}`), 20_000);
  nodes.answers('a', DEVICE, true);
  await nodes.order('a', { kind: 'add', address: DEVICE, metric: 1_000 });
  for (const node of ['b', 'c']) {
    await leads(node, 'a');
    expect(nodes.way(node, DEVICE)).toContain(`src ${addressOf(node)}`);
    await vi.waitFor(() => expect(reaches(node, DEVICE)).toBe(true), 20_000);
  }
  // It moves, and no tunnel has to be told.
  nodes.answers('a', DEVICE, false);
  nodes.answers('b', DEVICE, true);
  await nodes.order('b', { kind: 'add', address: DEVICE, metric: 1_001 });
  for (const node of ['a', 'c']) {
    await leads(node, 'b');
    await vi.waitFor(() => expect(reaches(node, DEVICE)).toBe(true), 20_000);
  }
  expect(passed().clear).toBe(0);
});

test('what a tunnel takes passes whole, and for what is longer its sender is told', async () => {
  // 40 bytes of IPv6 and 8 of ICMPv6 come on top.
  const whole = (bytes: number): readonly string[] => ['-M', 'do', '-s', String(bytes - 48)];
  nodes.must('b', 'ip', 'link', 'set', 'tun0', 'mtu', '1280');
  nodes.behind('b', 'ip', 'link', 'set', 'd0', 'mtu', '1280');
  await expect.poll(() => reaches('c', DEVICE, ...whole(1_280))).toBe(true);
  const told = (address: string, bytes: number): string =>
    script('c', `ping -6 -c 1 -W 2 ${whole(bytes).join(' ')} ${address} 2>&1 || true`);
  expect(told(DEVICE, 1_420)).toMatch(new RegExp(`From ${addressOf('b')}.*Packet too big: mtu=1280`));
  await expect.poll(() => told(addressOf('a'), 1_420)).toContain(' 1 received');
  expect(told(addressOf('a'), 1_421)).toMatch(/mtu[:=] ?1420/);
  // Told so, the host divides what it sends.
  await expect.poll(() => reaches('c', DEVICE, '-s', '3000')).toBe(true);
  expect(passed().clear).toBe(0);
});

test('one that is not among the nodes gets nothing into a tunnel, and BGP answers inside alone', () => {
  const documented = /^nft add [^\n]*$(?:\n^nft add [^\n]*$)+/m.exec(manual)![0];
  const listens = (from: string, address: string): boolean =>
    nodes.try(from, 'bash', '-c', `exec 3<>/dev/tcp/${address}/179`);
  expect(listens('b', outer('a'))).toBe(true);
  script('a', documented);
  expect(nodes.try('b', 'timeout', '2', 'bash', '-c', `exec 3<>/dev/tcp/${outer('a')}/179`)).toBe(false);
  expect(listens('b', addressOf('a'))).toBe(true);
  // What was asked in clear was seen.
  expect(passed().clear).toBeGreaterThan(0);
});

test('a tunnel with a key that the other node does not know carries nothing', async () => {
  await vi.waitFor(() => expect(nodes.way('c', DEVICE)).toContain('dev wg-b'), 20_000);
  script('c', 'wg genkey > /etc/wireguard/other.key\nwg set wg-b private-key /etc/wireguard/other.key');
  await vi.waitFor(() => expect(nodes.try('c', 'ip', '-6', 'route', 'get', DEVICE)).toBe(false), {
    timeout: 30_000,
    interval: 100,
  });
  expect(reaches('c', addressOf('b'))).toBe(false);
  await expect.poll(() => reaches('c', addressOf('a'))).toBe(true);
  script('c', 'wg set wg-b private-key /etc/wireguard/node.key');
  await vi.waitFor(() => expect(nodes.way('c', DEVICE)).toContain('dev wg-b'), {
    timeout: 60_000,
    interval: 100,
  });
  await vi.waitFor(() => expect(reaches('c', DEVICE)).toBe(true), 20_000);
});
