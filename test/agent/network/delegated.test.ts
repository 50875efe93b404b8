import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openAdvertiser } from '../../../agent/network/advertiser.ts';
import {
  type DelegationPolicy,
  delegationFilter,
  delegationRepairs,
  type LanObserved,
} from '../../../agent/network/delegated.ts';
import { openDelegatedLan } from '../../../agent/network/delegated-lan.ts';
import { keptLanKey, keptPrefix, withLanKey, withPrefix } from '../../../agent/state/delegation.ts';
import type { KernelChange } from '../../../os/linux/netlink.ts';
import {
  type Change,
  changeArguments,
  type Interface,
  type Kernel,
  readRules,
} from '../../../os/linux/network-config.ts';
import { concat } from '../../../protocol/bytes.ts';
import { encodeOption } from '../../../protocol/dhcpv6.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatPrefix, parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';

const POLICY: DelegationPolicy = {
  ...{ lan: 'eth1', device: 'enf0', mtu: 1_280, table: 2_096, open: [] },
  ...{ dhcp: 'off', dns: [] },
};
const PREFIX = parsePrefix('fd00:9:0:7::/64');
const OTHER = parsePrefix('fd00:9:0:8::/64');
const face = (name: string, more: Partial<Interface> = {}): Interface => ({
  ...{ index: 1, name, mac: '', group: 0, mtu: 1_500, up: true, addresses: [] },
  ...more,
});
const NOTHING: LanObserved = {
  interfaces: [face('enf0'), face('eth1', { index: 7 })],
  rules: [],
  routes: [],
};
const words = (changes: readonly Change[]): string[] =>
  changes.map((change) => (change.kind === 'filter' ? 'filter' : changeArguments(change).join(' ')));

const TO_NOWHERE = [
  '-6 route replace unreachable fd00:9:0:7::/64 metric 4294967295 table 2096',
  '-6 route replace unreachable default metric 4294967295 table 2096',
];
const RULES = [
  '-6 rule add priority 8384 from all to fd00:9:0:7::/64 table 2096',
  '-6 rule add priority 8385 from fd00:9:0:7::/64 table 2096',
];

describe('what a gateway has in the kernel', () => {
  test('from nothing: the ways first, then the address', () => {
    expect(words(delegationRepairs(POLICY, PREFIX, [], NOTHING))).toEqual([
      '-6 route replace fd00:9:0:7::/64 dev eth1 metric 1024 table 2096',
      TO_NOWHERE[0],
      '-6 route replace default dev enf0 metric 1024 table 2096',
      TO_NOWHERE[1],
      ...RULES,
      '-6 addr replace fd00:9:0:7::1/64 dev eth1 nodad',
    ]);
  });

  test('without tunnel and LAN nothing leads anywhere', () => {
    const lonely = { ...NOTHING, interfaces: [face('eth0')] };
    expect(words(delegationRepairs(POLICY, PREFIX, [], lonely))).toEqual([...TO_NOWHERE, ...RULES]);
  });

  test('what is there stays, another prefix takes its place, and all of it goes', () => {
    const made = delegationRepairs(POLICY, PREFIX, [], NOTHING);
    const there: LanObserved = {
      interfaces: [face('enf0'), face('eth1', { index: 7, addresses: ['fd00:9:0:7::1/64', 'fd79::2/64'] })],
      rules: made.flatMap((change) => (change.kind === 'add-rule' ? [change.rule] : [])),
      routes: made.flatMap((change) => (change.kind === 'add-route' ? [change.route] : [])),
    };
    expect(delegationRepairs(POLICY, PREFIX, [OTHER], there)).toEqual([]);
    const replaced = words(delegationRepairs(POLICY, OTHER, [PREFIX], there));
    expect(replaced).toContain('-6 addr replace fd00:9:0:8::1/64 dev eth1 nodad');
    expect(replaced).toContain('-6 addr del fd00:9:0:7::1/64 dev eth1');
    expect(replaced).toContain('-6 rule del priority 8385 from fd00:9:0:7::/64 table 2096');
    const gone = words(delegationRepairs(POLICY, undefined, [PREFIX], there));
    expect(gone).toHaveLength(7);
    expect(gone.every((change) => change.includes(' del '))).toBe(true);
    expect(gone.join()).not.toContain('fd79::2');
  });

  test('rules of others are left alone, and ours are read as they are written', () => {
    const rules = readRules(
      [
        { priority: 8384, src: 'all', dst: 'fd00:9:0:7::', dstlen: 64, table: '2096' },
        { priority: 8385, src: 'fd00:9:0:7::', srclen: 64, table: '2096' },
        { priority: 8386, src: 'all', table: '77' },
        { priority: 100, src: 'all', table: '2096' },
      ],
      6,
    );
    expect(rules.slice(0, 2)).toEqual([
      { family: 6, priority: 8_384, table: 2_096, to: 'fd00:9:0:7::/64' },
      { family: 6, priority: 8_385, table: 2_096, from: 'fd00:9:0:7::/64' },
    ]);
    expect(words(delegationRepairs(POLICY, undefined, [], { ...NOTHING, rules }))).toEqual([
      '-6 rule del priority 8384 from all to fd00:9:0:7::/64 table 2096',
      '-6 rule del priority 8385 from fd00:9:0:7::/64 table 2096',
    ]);
  });

  test('the filter drops what is begun from outside, but for what is open', () => {
    const rulesOf = (open: DelegationPolicy['open'], withdrawn = false): string[] =>
      delegationFilter({ ...POLICY, open }, PREFIX, withdrawn)
        .flatMap(({ rule }) => (rule === undefined ? [] : [(rule as { expr: object[] }).expr]))
        .map((expr) => JSON.stringify(expr));
    expect(rulesOf([])).toHaveLength(5);
    expect(rulesOf([]).at(-1)).toMatch(/daddr.*"drop"/);
    const opened = rulesOf([
      { protocol: 'tcp', first: 22, last: 22 },
      { protocol: 'udp', first: 5_000, last: 5_010 },
      { protocol: 'icmp' },
    ]);
    expect(opened).toHaveLength(8);
    expect(opened[4]).toMatch(/"tcp","field":"dport".*22/);
    expect(opened[5]).toMatch(/"udp","field":"dport".*\[5000,5010\]/);
    expect(opened[6]).toContain('echo-request');
    expect(rulesOf([{ protocol: 'icmp' }], true)).toHaveLength(2);
    expect(rulesOf([{ protocol: 'icmp' }], true).join()).not.toContain('accept');
  });
});

/** Sockets that were opened, and what was sent. */
function sockets(accepts = (): boolean => true) {
  const sent: string[] = [];
  let solicit: (source: Uint8Array, message: Uint8Array) => void = () => {};
  return {
    sent,
    solicit: () => solicit(parseIpv6('fe80::9'), Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0)),
    open: (name: string, listener: typeof solicit) => {
      solicit = listener;
      return {
        advertise(message: Uint8Array) {
          if (!accepts()) return false;
          const view = new DataView(message.buffer);
          sent.push(`${name} ${view.getUint16(6)} ${view.getUint32(32)} ${view.getUint32(28)}`);
          return true;
        },
        close: () => void sent.push('closed'),
      };
    },
  };
}

describe('an advertiser', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const announced = { prefix: PREFIX, mtu: 1_280, routes: [], managed: false, other: false, dns: [] };
  const FULL = 'eth1 1800 2700 5400';

  test('begins three times within half a minute, and goes on each few minutes', () => {
    const { sent, open } = sockets();
    const advertiser = openAdvertiser('eth1', announced, { open, random: () => 0 });
    vi.advanceTimersByTime(33_000);
    expect(sent).toEqual([FULL, FULL, FULL]);
    vi.advanceTimersByTime(199_000);
    expect(sent).toHaveLength(4);
    advertiser.close(false);
    expect(sent.slice(4)).toEqual(['eth1 0 2700 5400', 'eth1 0 2700 5400', 'eth1 0 2700 5400', 'closed']);
    vi.advanceTimersByTime(1_000_000);
    expect(sent).toHaveLength(8);
  });

  test('answers, but not more often than every three seconds, however often it is asked', () => {
    const { sent, open, solicit } = sockets();
    const advertiser = openAdvertiser('eth1', announced, { open, random: () => 1 });
    vi.advanceTimersByTime(10_000);
    expect(sent).toHaveLength(1);
    for (let i = 0; i < 100; i++) solicit();
    vi.advanceTimersByTime(500);
    expect(sent).toHaveLength(2);
    for (let ms = 0; ms < 30_000; ms += 100) {
      solicit();
      vi.advanceTimersByTime(100);
    }
    expect(sent.length).toBeGreaterThan(8);
    expect(sent.length).toBeLessThanOrEqual(12);
    advertiser.close(true);
    expect(sent.slice(-2)).toEqual(['eth1 0 0 0', 'closed']);
  });

  test('tries again where the interface has no address yet', () => {
    let ready = false;
    const { sent, open } = sockets(() => ready);
    const advertiser = openAdvertiser('eth1', announced, { open, random: () => 0 });
    vi.advanceTimersByTime(7_000);
    expect(sent).toEqual([]);
    ready = true;
    vi.advanceTimersByTime(3_000);
    expect(sent).toEqual([FULL]);
    advertiser.close(false);
  });
});

/** A kernel in memory. */
function fakeKernel() {
  const state = {
    interfaces: [...NOTHING.interfaces] as Interface[],
    forwards: true,
    nft: true,
    changes: [] as string[],
  };
  let table: readonly object[] | undefined;
  let routes: LanObserved['routes'] = [];
  let rules: LanObserved['rules'] = [];
  let tell: (change: KernelChange) => void = () => {};
  const same = (one: unknown) => (other: unknown) => JSON.stringify(one) !== JSON.stringify(other);
  const kernel: Kernel = {
    interfaces: async () => state.interfaces,
    rules: async () => rules,
    routes: async () => routes,
    filter: async () => table as never,
    forwards: async () => state.forwards,
    forwardsIpv6: async () => state.forwards,
    async change(change) {
      if (change.kind === 'filter') {
        if (!state.nft) throw new Failure('os.nft-failed', 'operator', 'no nft');
        table = change.objects.length === 0 ? undefined : change.objects;
      }
      if (change.kind === 'add-route') routes = [...routes, change.route];
      if (change.kind === 'remove-route') routes = routes.filter(same(change.route));
      if (change.kind === 'add-rule') rules = [...rules, change.rule];
      if (change.kind === 'remove-rule') rules = rules.filter(same(change.rule));
      if (change.kind === 'address' || change.kind === 'remove-address')
        state.interfaces = state.interfaces.map((each) =>
          each.name !== change.name
            ? each
            : {
                ...each,
                addresses: [
                  ...each.addresses.filter((address) => address !== change.address),
                  ...(change.kind === 'address' ? [change.address] : []),
                ],
              },
        );
      state.changes.push(...words([change]));
    },
  };
  return {
    kernel,
    state,
    watch: (_: boolean, listener: typeof tell) => {
      tell = listener;
      return { close: () => {} };
    },
    tell: (change: KernelChange) => tell(change),
    addresses: () => state.interfaces.find(({ name }) => name === 'eth1')?.addresses,
    left: () => ({ table, routes, rules }),
  };
}

/** Sockets of a DHCPv6 server. */
function dhcpSockets() {
  const state = { allowed: true, opened: [] as string[], sent: [] as string[] };
  let hear: (from: string, message: Uint8Array) => void = () => {};
  return {
    state,
    ask: (message: Uint8Array) => hear('fe80::9%eth1', message),
    open: async (name: string, listener: typeof hear) => {
      if (!state.allowed) throw new Failure('os.no-dhcp-socket', 'operator', 'not permitted');
      state.opened.push(name);
      hear = listener;
      return {
        send: (message: Uint8Array, to: string) => void state.sent.push(`${message[0]} ${to}`),
        close: () => {
          hear = () => {};
          state.opened.push('closed');
        },
      };
    },
  };
}

describe('the LAN', () => {
  const open = (
    fake: ReturnType<typeof fakeKernel>,
    socket = sockets(),
    more: Partial<DelegationPolicy> = {},
    openDhcpSocket = dhcpSockets().open,
  ) => {
    const notes: string[] = [];
    const lan = openDelegatedLan(
      { ...POLICY, ...more },
      () => {},
      (failure) => void notes.push((failure as Failure).code),
      { kernel: fake.kernel, watch: fake.watch, open: socket.open, openDhcpSocket, random: () => 0 },
    );
    return { lan, notes, socket };
  };

  test('gets its filter before its address, and loses both', async () => {
    const fake = fakeKernel();
    const { lan, socket } = open(fake);
    await lan.set(undefined, []);
    expect(fake.state.changes).toEqual([]);
    await lan.set(PREFIX, []);
    expect(fake.state.changes[0]).toBe('filter');
    expect(fake.addresses()).toEqual(['fd00:9:0:7::1/64']);
    expect(lan.trouble()).toBeUndefined();
    await expect.poll(() => socket.sent).toHaveLength(1);
    await lan.set(undefined, []);
    expect(fake.addresses()).toEqual([]);
    expect(socket.sent.slice(1)).toEqual(['eth1 0 0 0', 'eth1 0 0 0', 'eth1 0 0 0', 'closed']);
    // Machines have addresses for a while yet, from which nothing gets out.
    expect(fake.left()).toMatchObject({ table: expect.any(Array), routes: [], rules: [] });
    await lan.close();
    expect(fake.left()).toEqual({ table: undefined, routes: [], rules: [] });
  });

  test('that cannot be closed gets no address', async () => {
    const fake = fakeKernel();
    fake.state.nft = false;
    const { lan, notes, socket } = open(fake);
    await lan.set(PREFIX, []);
    expect(lan.trouble()?.code).toBe('os.nft-failed');
    expect([fake.addresses(), socket.sent, notes]).toEqual([[], [], ['os.nft-failed']]);
    fake.state.nft = true;
    fake.tell({ kind: 'forwarding' });
    await vi.waitFor(() => expect(fake.addresses()).toEqual(['fd00:9:0:7::1/64']), { timeout: 10_000 });
    await expect.poll(() => lan.trouble()).toBeUndefined();
    await lan.close();
  });

  test('is not announced while the host does not forward, or has no such interface', async () => {
    const fake = fakeKernel();
    fake.state.forwards = false;
    const { lan, socket } = open(fake);
    await lan.set(PREFIX, []);
    expect(lan.trouble()?.code).toBe('delegation.no-forwarding');
    expect(socket.sent).toEqual([]);
    fake.state.forwards = true;
    fake.tell({ kind: 'forwarding' });
    await vi.waitFor(() => expect(socket.sent).toHaveLength(1), { timeout: 10_000 });
    fake.state.interfaces = [face('enf0')];
    fake.tell({ kind: 'link', index: 7, running: false });
    await vi.waitFor(() => expect(lan.trouble()?.code).toBe('delegation.no-interface'), { timeout: 10_000 });
    expect(socket.sent.at(-1)).toBe('closed');
    // It is there again, as another one.
    fake.state.interfaces = [face('enf0'), face('eth1', { index: 9 })];
    fake.tell({ kind: 'link', index: 9, running: true });
    await vi.waitFor(() => expect(fake.addresses()).toEqual(['fd00:9:0:7::1/64']), { timeout: 10_000 });
    await expect.poll(() => lan.trouble()).toBeUndefined();
    await lan.close();
    expect(fake.addresses()).toEqual([]);
  });

  test('is answered by DHCPv6 while it has a prefix, and is announced if that cannot be', async () => {
    const fake = fakeKernel();
    const dhcp = dhcpSockets();
    const { lan, socket } = open(fake, sockets(), { dhcp: 'stateful' }, dhcp.open);
    const solicit = concat(Uint8Array.of(1, 0, 0, 7), encodeOption(1, new Uint8Array(10)));
    dhcp.state.allowed = false;
    await lan.set(PREFIX, [], new Uint8Array(32));
    expect(lan.trouble()?.code).toBe('os.no-dhcp-socket');
    await expect.poll(() => socket.sent).toHaveLength(1);
    dhcp.ask(solicit);
    expect(dhcp.state.sent).toEqual([]);
    dhcp.state.allowed = true;
    fake.tell({ kind: 'forwarding' });
    await vi.waitFor(() => expect(lan.trouble()).toBeUndefined(), { timeout: 10_000 });
    dhcp.ask(solicit);
    dhcp.ask(solicit.subarray(1));
    expect(dhcp.state).toMatchObject({ opened: ['eth1'], sent: ['2 fe80::9%eth1'] });
    await lan.set(undefined, []);
    expect(dhcp.state.opened).toEqual(['eth1', 'closed']);
    dhcp.ask(solicit);
    expect(dhcp.state.sent).toHaveLength(1);
    await lan.close();
  });

  test('is not answered by DHCPv6 unless that is configured', async () => {
    const dhcp = dhcpSockets();
    const { lan } = open(fakeKernel(), sockets(), {}, dhcp.open);
    await lan.set(PREFIX, [], new Uint8Array(32));
    expect(dhcp.state.opened).toEqual([]);
    await lan.close();
  });

  test('keeps what its machines have when the agent stops', async () => {
    const fake = fakeKernel();
    const { lan, socket } = open(fake);
    await lan.set(PREFIX, []);
    await lan.close();
    await lan.close();
    expect(socket.sent.slice(-2)).toEqual(['eth1 0 2700 5400', 'closed']);
    expect(fake.left()).toEqual({ table: undefined, routes: [], rules: [] });
  });
});

test('what is kept belongs to an address, and is nothing if it is none', () => {
  const record = withPrefix({ leaving: 'x' }, 'fd00::1', PREFIX);
  expect(formatPrefix(keptPrefix(record, 'fd00::1')!)).toBe('fd00:9:0:7::/64');
  expect(keptPrefix(record, 'fd00::2')).toBeUndefined();
  expect(withPrefix(record, 'fd00::1', undefined)).toEqual({ leaving: 'x' });
  for (const prefix of ['fd00::/48', 'fe80::/64', 'nonsense', 7, undefined])
    expect(keptPrefix({ delegation: { address: 'fd00::1', prefix } }, 'fd00::1')).toBeUndefined();
  for (const delegation of [undefined, null, 7, 'x', []])
    expect(keptPrefix({ delegation }, 'fd00::1')).toBeUndefined();
});

test('the key of addresses by DHCPv6 is kept beside it', () => {
  const key = new Uint8Array(32).fill(0xa5);
  const record = withLanKey({ leaving: 'x' }, key);
  expect(record).toEqual({ leaving: 'x', lanKey: 'a5'.repeat(32) });
  expect(keptLanKey(record)).toEqual(key);
  for (const lanKey of [undefined, null, 7, '', 'a5', 'x'.repeat(64), 'a5'.repeat(33), [key]])
    expect(keptLanKey({ lanKey })).toBeUndefined();
});
