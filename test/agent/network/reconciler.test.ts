import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Policy } from '../../../agent/network/policy.ts';
import { parsePrefix } from '../../../protocol/ipv6.ts';
import { createHost, type Host, type Program } from '../netns.ts';

const OWN = 'fd00:5::7';
const MARK = 363;
const LOCKDOWN: Policy = {
  mode: 'lockdown',
  device: 'enf0',
  mtu: 1280,
  assignAddress: true,
  prefixes: [],
  table: 2097,
  mark: MARK,
  allowIpv4: false,
  trusted: ['lan0'],
};
const SPLIT: Policy = { ...LOCKDOWN, mode: 'split', mark: 0, trusted: [] };

let host: Host;
let untouched: string;
beforeAll(async () => {
  host = createHost('reconciler');
  // The strictest a host can be: answers that come another way than their question went are dropped.
  for (const each of ['all', 'up0']) inHost('sysctl', '-qw', `net.ipv4.conf.${each}.rp_filter=1`);
  // What reaches `world`, except for neighbour discovery and multicast listeners, which belong to the link.
  host.must(
    host.world,
    'nft',
    `add table inet count; add counter inet count seen;
     add chain inet count input { type filter hook input priority 0; };
     add rule inet count input icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert,
       mld2-listener-report, mld-listener-report, mld-listener-done } accept;
     add rule inet count input iifname peer0 counter name seen`,
  );
  await host.serve(host.world);
  await host.serve(host.inner);
  host.resolver('10.78.0.1');
  untouched = state();
});
afterAll(() => host?.close());

const inHost = (...command: string[]): string => host.must(host.host, ...command);
const pings = (namespace: string, target: string, ...options: string[]): boolean =>
  host.run(namespace, 'ping', '-n', '-c', '1', '-W', '0.4', ...options, target).code === 0;
const seenByWorld = (): number =>
  JSON.parse(host.must(host.world, 'nft', '-j', 'list', 'counter', 'inet', 'count', 'seen')).nftables[1]
    .counter.packets;
/** Everything of the host that a reconciler may touch. */
const state = (): string =>
  [
    inHost('ip', '-4', 'rule'),
    inHost('ip', '-6', 'rule'),
    host.run(host.host, 'ip', '-4', 'route', 'show', 'table', '2097').stdout,
    host.run(host.host, 'ip', '-6', 'route', 'show', 'table', '2097').stdout,
    inHost('ip', '-6', 'route'),
    inHost('nft', '-s', 'list', 'ruleset'),
    ...['lan0', 'up0'].map((name) => inHost('ip', '-j', 'link', 'show', name)),
  ].join('\n');
const until = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 50 });

describe('lockdown', () => {
  let program: Program;
  let locked: string;
  beforeAll(async () => {
    expect([pings(host.host, '198.51.100.1'), pings(host.host, '2001:db8:1::1')]).toEqual([true, true]);
    program = await host.reconcile(LOCKDOWN, OWN);
    locked = state();
  });
  afterAll(() => program.stop());

  test('nothing is sent: IPv4, IPv6, neighbours, names, by interface, by source', async () => {
    const before = seenByWorld();
    for (const target of ['198.51.100.1', '10.78.0.1', '2001:db8:1::1', 'fd78::1']) {
      expect([target, pings(host.host, target)]).toEqual([target, false]);
      expect([target, pings(host.host, target, '-I', 'up0')]).toEqual([target, false]);
      const own = target.includes(':') ? 'fd78::2' : '10.78.0.2';
      expect([target, pings(host.host, target, '-I', own)]).toEqual([target, false]);
    }
    expect(host.run(host.host, 'getent', 'ahosts', 'enf.example').code).not.toBe(0);
    expect(await host.dial(0, '198.51.100.1', 443)).toMatch(/^net\./);
    expect(await host.dial(0, 'enf.example', 443)).toBe('net.no-such-host');
    expect(seenByWorld()).toBe(before);
  });

  test("the tunnel's own sockets get out and are answered, by address and by name", async () => {
    expect(await host.dial(MARK, '198.51.100.1', 443)).toBe('198.51.100.1');
    expect(await host.dial(MARK, '2001:db8:1::1', 443)).toBe('2001:db8:1::1');
    expect(await host.dial(MARK, 'enf.example', 443)).toBe('198.51.100.1');
    expect(await host.dial(MARK, 'long.example', 443)).toBe('198.51.100.1');
    expect(await host.dial(MARK, '_enf._tcp.enf.example', 1)).toBe('198.51.100.1');
    expect(await host.dial(MARK, 'other.example', 443)).toBe('net.no-such-host');
  });

  test('everything else goes into the tunnel', () => {
    const sent = (): number =>
      JSON.parse(inHost('ip', '-j', '-s', 'link', 'show', 'enf0'))[0].stats64.tx.packets;
    const before = sent();
    pings(host.host, '2001:db8:1::1');
    expect(sent()).toBeGreaterThan(before);
    expect(host.run(host.host, 'ip', '-4', 'route', 'get', '198.51.100.1').code).not.toBe(0);
  });

  test('nothing gets in, but from the trusted network', async () => {
    for (const target of ['10.78.0.2', 'fd78::2']) expect(pings(host.world, target)).toBe(false);
    for (const target of ['10.79.0.2', 'fd79::2']) expect(pings(host.inner, target)).toBe(true);
    for (const target of ['10.79.0.1', 'fd79::1']) expect(pings(host.host, target)).toBe(true);
    expect(await host.dial(0, '10.79.0.1', 443)).toBe('10.79.0.1');
  });

  test('nothing is forwarded to an interface that is not trusted', () => {
    inHost('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    const before = seenByWorld();
    for (const target of ['198.51.100.1', '2001:db8:1::1']) expect(pings(host.inner, target)).toBe(false);
    expect(seenByWorld()).toBe(before);
    inHost('sysctl', '-qw', 'net.ipv4.ip_forward=0', 'net.ipv6.conf.all.forwarding=0');
  });

  const attacks: [string, string[][]][] = [
    [
      'all IPv4 rules',
      [
        ['ip', '-4', 'rule', 'del', 'priority', '8391'],
        ['ip', '-4', 'rule', 'del', 'priority', '8389'],
      ],
    ],
    [
      'the IPv6 rules, flushed',
      [
        ['ip', '-6', 'rule', 'flush'],
        ['ip', '-6', 'rule', 'add', 'priority', '32766', 'table', 'main'],
      ],
    ],
    [
      'the routes',
      [
        ['ip', '-4', 'route', 'flush', 'table', '2097'],
        ['ip', '-6', 'route', 'flush', 'table', '2097'],
      ],
    ],
    ['the whole ruleset', [['nft', 'flush', 'ruleset']]],
    ['a chain', [['nft', 'flush', 'chain', 'inet', 'enf_enf0', 'output']]],
    ['the policy of a chain', [['nft', 'chain', 'inet', 'enf_enf0', 'output', '{ policy accept; }']]],
    ['a rule that lets everything out', [['nft', 'insert', 'rule', 'inet', 'enf_enf0', 'output', 'accept']]],
    ['a way out in our table', [['ip', 'route', 'replace', 'default', 'via', '10.78.0.1', 'table', '2097']]],
    [
      'a rule of the same priority',
      [['ip', 'rule', 'add', 'priority', '8390', 'from', '10.9.9.9', 'table', 'main']],
    ],
    ['the group of the trusted interface', [['ip', 'link', 'set', 'lan0', 'group', '0']]],
    [
      'MTU and address',
      [
        ['ip', 'link', 'set', 'enf0', 'mtu', '1400'],
        ['ip', '-6', 'addr', 'flush', 'dev', 'enf0', 'scope', 'global'],
      ],
    ],
    ['the interface, taken down', [['ip', 'link', 'set', 'enf0', 'down']]],
  ];
  for (const [what, commands] of attacks) {
    test(`[C-11] restored: ${what}`, async () => {
      for (const command of commands) inHost(...command);
      await until(() => {
        expect(state()).toBe(locked);
        const [link] = JSON.parse(inHost('ip', '-j', 'addr', 'show', 'dev', 'enf0'));
        expect([link.mtu, link.flags.includes('UP')]).toEqual([1280, true]);
        expect(link.addr_info.map((each: { local: string }) => each.local)).toContain(OWN);
      });
    });
  }

  test('a new address of the host is taken in: the tunnel may use it', async () => {
    inHost('ip', 'addr', 'add', '10.78.0.3/24', 'dev', 'up0');
    await until(() => expect(inHost('ip', '-4', 'rule')).toContain('from 10.78.0.3'));
    inHost('ip', 'addr', 'del', '10.78.0.3/24', 'dev', 'up0');
    await until(() => expect(state()).toBe(locked));
  });
});

test('stopped, nothing of the agent is left; what other programs made is still there', async () => {
  inHost('ip', 'rule', 'add', 'priority', '100', 'to', '10.99.0.0/16', 'table', 'main');
  inHost('nft', 'add table inet others { chain c { type filter hook output priority 0; }; }');
  const before = state();
  const program = await host.reconcile(LOCKDOWN, OWN);
  expect(state()).not.toBe(before);
  await program.stop();
  expect(state()).toBe(before);
  inHost('ip', 'rule', 'del', 'priority', '100');
  inHost('nft', 'delete', 'table', 'inet', 'others');
  expect(state()).toBe(untouched);
});

test('a trusted interface by its hardware address, renamed and plugged in later', async () => {
  const [{ address }] = JSON.parse(inHost('ip', '-j', 'link', 'show', 'lan0'));
  const program = await host.reconcile({ ...LOCKDOWN, trusted: [address.toUpperCase()] }, OWN);
  expect(pings(host.host, '10.79.0.1')).toBe(true);
  inHost('ip', 'link', 'set', 'lan0', 'down');
  inHost('ip', 'link', 'set', 'lan0', 'name', 'other0');
  inHost('ip', 'link', 'set', 'other0', 'up');
  await until(() => expect(pings(host.host, '10.79.0.1')).toBe(true));
  expect(pings(host.host, '10.78.0.1')).toBe(false);
  inHost('ip', 'link', 'set', 'other0', 'down');
  inHost('ip', 'link', 'set', 'other0', 'name', 'lan0');
  inHost('ip', 'link', 'set', 'lan0', 'up');
  inHost('ip', '-6', 'addr', 'add', 'fd79::2/64', 'dev', 'lan0', 'nodad');
  await program.stop();
});

test('after a kill, or with persist, the lockdown stays; the next start in split mode removes it', async () => {
  const killed = await host.reconcile(LOCKDOWN, OWN);
  killed.kill();
  await until(() => expect(host.run(host.host, 'ip', 'link', 'show', 'enf0').code).not.toBe(0));
  expect([pings(host.host, '198.51.100.1'), pings(host.host, '2001:db8:1::1')]).toEqual([false, false]);

  const persisting = await host.reconcile(LOCKDOWN, OWN, true);
  await persisting.stop();
  expect([pings(host.host, '198.51.100.1'), pings(host.host, '2001:db8:1::1')]).toEqual([false, false]);
  expect(pings(host.host, '10.79.0.1')).toBe(true);

  const split = await host.reconcile(SPLIT, '-');
  expect(split.output()).toContain('lifted');
  expect([pings(host.host, '198.51.100.1'), pings(host.host, '2001:db8:1::1')]).toEqual([true, true]);
  await split.stop();
});

test('two instances side by side: each with its own interface, table and routes', async () => {
  const first = await host.reconcile({ ...LOCKDOWN, trusted: ['enf1'] }, OWN);
  const other: Policy = { ...SPLIT, device: 'enf1', prefixes: [parsePrefix('fd00:6::/32')] };
  const second = await host.reconcile(other, 'fd00:6::9');
  const sent = (name: string): number =>
    JSON.parse(inHost('ip', '-j', '-s', 'link', 'show', name))[0].stats64.tx.packets;
  const count = (): [number, number] => [sent('enf0'), sent('enf1')];
  await until(() => {
    const [before0, before1] = count();
    pings(host.host, 'fd00:6::77');
    const [after0, after1] = count();
    expect([after0 - before0, after1 - before1 > 0]).toEqual([0, true]);
  });
  const [before0] = count();
  pings(host.host, '2001:db8:1::1');
  expect(count()[0]).toBeGreaterThan(before0);
  await second.stop();
  expect(pings(host.host, '198.51.100.1')).toBe(false);
  await first.stop();
  expect(pings(host.host, '198.51.100.1')).toBe(true);
});

describe('split', () => {
  test('only the prefixes lead through the tunnel; restored when deleted; no rule, no table', async () => {
    const program = await host.reconcile({ ...SPLIT, prefixes: [parsePrefix('fd00:5::/32')] }, OWN);
    const route = (): string => inHost('ip', '-6', 'route', 'show', 'fd00:5::/32');
    expect(route()).toContain('dev enf0');
    expect([pings(host.host, '198.51.100.1'), pings(host.host, '2001:db8:1::1')]).toEqual([true, true]);
    expect([inHost('ip', '-6', 'rule'), inHost('nft', 'list', 'ruleset')].join('')).not.toMatch(/2097|enf/);
    inHost('ip', '-6', 'route', 'del', 'fd00:5::/32');
    inHost('ip', '-6', 'addr', 'del', `${OWN}/128`, 'dev', 'enf0');
    await until(() => {
      expect(route()).toContain('dev enf0');
      expect(inHost('ip', '-6', 'addr', 'show', 'dev', 'enf0')).toContain(OWN);
    });
    await program.stop();
  });

  test('[C-12] a forwarding gateway clamps TCP to what fits through the tunnel', async () => {
    inHost('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
    inHost('ip', '-6', 'route', 'replace', 'default', 'via', 'fd78::1');
    host.must(host.world, 'ip', '-6', 'route', 'replace', 'fd79::/64', 'via', 'fd78::2');
    host.must(host.world, 'ip', 'route', 'replace', '10.79.0.0/24', 'via', '10.78.0.2');
    // Any interface can be the one that has to be clamped to; this one has a host behind it.
    const program = await host.reconcile({ ...SPLIT, device: 'up0', assignAddress: false }, OWN);
    const segment = (target: string): number => {
      const talk = `const s = require('node:net').connect(443, '${target}', () => {
        const said = require('node:child_process').execFileSync('ss', ['-tinH', 'dst', '${target.includes(':') ? `[${target}]` : target}']);
        console.log(/advmss:\\d+/.exec(said)[0], / mss:(\\d+)/.exec(said)[1]); process.exit(); }); s.on('error', () => {});
        setTimeout(() => process.exit(1), 3000);`;
      return Number(host.must(host.inner, process.execPath, '-e', talk).trim().split(' ')[1]);
    };
    // Timestamps take twelve bytes of each segment.
    await until(() => expect([segment('2001:db8:1::1'), segment('198.51.100.1')]).toEqual([1208, 1228]));
    inHost('sysctl', '-qw', 'net.ipv4.ip_forward=0', 'net.ipv6.conf.all.forwarding=0');
    await until(() => expect(inHost('nft', 'list', 'ruleset')).not.toContain('enf_up0'));
    await program.stop();
  });
});
