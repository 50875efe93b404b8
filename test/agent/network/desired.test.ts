import { describe, expect, test } from 'vitest';
import { desiredState, removal, repairs, trustedInterfaces } from '../../../agent/network/desired.ts';
import { filterTable } from '../../../agent/network/nftables.ts';
import { LOCKDOWN_MARK, type Observed, type Policy } from '../../../agent/network/policy.ts';
import {
  changeArguments,
  type Interface,
  readInterfaces,
  readRoutes,
  readRules,
  UNREADABLE,
} from '../../../os/linux/network-config.ts';
import { same } from '../../../os/linux/nft-table.ts';
import { parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';

const OWN = parseIpv6('fd00:5::7');
const LOCKDOWN: Policy = {
  mode: 'lockdown',
  device: 'enf0',
  mtu: 1_280,
  assignAddress: true,
  prefixes: [],
  table: 2_097,
  mark: LOCKDOWN_MARK,
  allowIpv4: false,
  trusted: [],
};
const SPLIT: Policy = { ...LOCKDOWN, mode: 'split' };
const face = (name: string, more: Partial<Interface> = {}): Interface => ({
  index: 1,
  name,
  mac: '',
  group: 0,
  mtu: 1_280,
  up: true,
  addresses: [],
  ...more,
});
const ENF = face('enf0', { addresses: ['fd00:5::7/128'] });
const UP = face('up0', { mac: '02:00:00:00:00:01', addresses: ['10.0.0.2/24', 'fe80::1/64'] });
const NOTHING: Observed = { interfaces: [ENF, UP], rules: [], routes: [], forwards: false };

/** What the kernel would say after the changes. */
function after(policy: Policy, observed: Observed): Observed {
  const desired = desiredState(policy, OWN, observed);
  return { ...observed, rules: desired.rules, routes: desired.routes };
}
const words = (policy: Policy, observed: Observed): string[] =>
  repairs(policy, desiredState(policy, OWN, observed), observed).map((change) =>
    change.kind === 'filter' ? 'filter' : changeArguments(change).join(' '),
  );

test('lockdown from nothing, in the terms of ip', () => {
  expect(words(LOCKDOWN, NOTHING)).toEqual([
    '-6 route replace default dev enf0 metric 1024 table 2097',
    '-6 route replace unreachable default metric 4294967295 table 2097',
    '-4 route replace blackhole default metric 0 table 2097',
    '-4 rule add priority 8388 from all ipproto 17 sport 68 dport 67 table 254',
    '-4 rule add priority 8389 from all table 254 suppress_ifgroup 0',
    '-6 rule add priority 8389 from all table 254 suppress_ifgroup 0',
    '-4 rule add priority 8390 from 10.0.0.2 table 254',
    '-4 rule add priority 8391 not from all fwmark 363 table 2097',
    '-6 rule add priority 8391 not from all fwmark 363 table 2097',
  ]);
  expect(words(LOCKDOWN, after(LOCKDOWN, NOTHING))).toEqual([]);
});

test('before there is an interface it is closed all the same; with IPv4 allowed that goes through the tunnel, too', () => {
  const bare = { ...NOTHING, interfaces: [UP] };
  expect(words(LOCKDOWN, bare).filter((each) => each.includes('route'))).toEqual([
    '-6 route replace unreachable default metric 4294967295 table 2097',
    '-4 route replace blackhole default metric 0 table 2097',
  ]);
  expect(
    words({ ...LOCKDOWN, allowIpv4: true }, NOTHING).filter((each) => each.startsWith('-4 route')),
  ).toEqual([
    '-4 route replace default dev enf0 metric 1024 table 2097',
    '-4 route replace unreachable default metric 4294967295 table 2097',
  ]);
});

test('what is not desired in our table or among our priorities is removed; what is elsewhere stays', () => {
  const whole = after(LOCKDOWN, NOTHING);
  const observed: Observed = {
    ...whole,
    rules: [
      ...whole.rules,
      { family: 4, priority: 8_388, table: 254 },
      { family: 4, priority: 8_387, table: 254 },
      { family: 4, priority: 8_392, table: 254 },
      { family: 4, priority: 8_389, table: UNREADABLE },
    ],
    routes: [
      ...whole.routes,
      { family: 4, table: 2_097, type: 'unicast', destination: '10.1.0.0/16', device: 'up0', metric: 0 },
    ],
  };
  expect(words(LOCKDOWN, observed)).toEqual([
    '-4 rule del priority 8388 from all table 254',
    '-4 route del 10.1.0.0/16 dev up0 metric 0 table 2097',
  ]);
});

test('the removal leaves nothing of ours, and split has nothing to remove', () => {
  const trusting = { ...LOCKDOWN, trusted: ['up0'] };
  const observed = after(trusting, { ...NOTHING, interfaces: [ENF, { ...UP, group: 363 }] });
  const gone = removal(trusting, observed);
  expect(gone.filter(({ kind }) => kind === 'remove-rule')).toHaveLength(observed.rules.length);
  expect(gone.filter(({ kind }) => kind === 'remove-route')).toHaveLength(observed.routes.length);
  expect(gone.at(-1)).toEqual({ kind: 'group', name: 'up0', group: 0 });
  expect(removal(SPLIT, observed)).toEqual([]);
});

describe('split', () => {
  test('the /64 of the own address, or the prefixes; MTU and address', () => {
    const fresh = { ...NOTHING, interfaces: [face('enf0', { mtu: 1_500, up: false }), UP] };
    expect(words(SPLIT, fresh)).toEqual([
      'link set dev enf0 mtu 1280 up',
      '-6 addr replace fd00:5::7/128 dev enf0 nodad',
      '-6 route add fd00:5::/64 dev enf0 metric 1024 table 254',
    ]);
    expect(words({ ...SPLIT, assignAddress: false, prefixes: [parsePrefix('fd00::/16')] }, fresh)).toEqual([
      'link set dev enf0 mtu 1280 up',
      '-6 route add fd00::/16 dev enf0 metric 1024 table 254',
    ]);
  });
  test("others' routes through the interface are left alone", () => {
    const whole = after(SPLIT, NOTHING);
    const other = {
      family: 6,
      table: 254,
      type: 'unicast',
      destination: 'fd09::/16',
      device: 'enf0',
      metric: 5,
    } as const;
    expect(words(SPLIT, { ...whole, routes: [...whole.routes, other] })).toEqual([]);
  });
});

test('trust goes by name or hardware address, never to the tunnel itself or to loopback', () => {
  const interfaces = [face('lo'), ENF, UP, face('lan0', { mac: '02:00:00:00:00:02' })];
  const trusted = (...names: string[]) => trustedInterfaces({ ...LOCKDOWN, trusted: names }, interfaces);
  expect(trusted('lan0', '02:00:00:00:00:01', 'absent')).toEqual(['lan0', 'up0']);
  expect(trusted('02:00:00:00:00:0A', 'lo', 'enf0')).toEqual([]);
  const group = (each: Interface) =>
    words({ ...LOCKDOWN, trusted: [each.name] }, { ...NOTHING, interfaces: [ENF, each] });
  expect(group(UP)).toContain('link set dev up0 group 363');
  // A group that another program has set is kept.
  expect(group({ ...UP, group: 5 }).join()).not.toContain('group 363');
});

test('the filter drops by policy in every hook, and is wanted in split only by who forwards', () => {
  const chains = (policy: Policy, forwards: boolean): string[] =>
    filterTable(policy, ['lan0'], forwards).flatMap(({ chain }) => {
      const { name, policy: verdict } = (chain ?? {}) as { name?: string; policy?: string };
      return name ? [`${name} ${verdict}`] : [];
    });
  expect(chains(LOCKDOWN, false)).toEqual(['answers accept', 'input drop', 'output drop', 'forward drop']);
  expect(chains(LOCKDOWN, true)).toContain('clamp accept');
  expect(chains(SPLIT, true)).toEqual(['clamp accept']);
  expect(filterTable(SPLIT, [], false)).toEqual([]);
});

describe("the kernel's JSON", () => {
  test('rules, with numbers or names', () => {
    const rules = [
      { priority: 0, src: 'all', table: '255' },
      { priority: 8389, src: 'all', table: 'main', suppress_ifgroup: 'default' },
      { priority: 8391, not: null, src: 'all', fwmark: '0x16b', table: '2097' },
      { priority: 8388, src: 'all', ipproto: 'ipproto-17', sport: 68, dport: 67, table: '254' },
    ];
    expect(readRules(rules, 4)).toEqual([
      { family: 4, priority: 0, table: 255 },
      { family: 4, priority: 8389, table: 254, suppressGroup: 0 },
      { family: 4, priority: 8391, table: 2097, unmarked: 363 },
      { family: 4, priority: 8388, table: 254, udp: { sourcePort: 68, destinationPort: 67 } },
    ]);
  });
  test('a rule with further conditions is not ours', () => {
    const ours = { priority: 8391, src: 'all', fwmark: '0x16b', table: '2097' };
    for (const more of [
      { iif: 'eth0' },
      { fwmask: '0xff', not: null },
      {},
      { srclen: 24, not: null },
      { not: null, dst: '10.0.0.0', dstlen: 8 },
    ]) {
      expect(readRules([{ ...ours, ...more }], 4)[0]!.table).toBe(-1);
    }
  });
  test('routes', () => {
    expect(
      readRoutes(
        [
          { type: '6', dst: 'default', flags: [] },
          { dst: 'fd00:5::7', dev: 'enf0', metric: 1024 },
          { type: '3', dst: 'ff00::/8', dev: 'x', metric: 1 },
        ],
        6,
        2097,
      ),
    ).toEqual([
      { family: 6, table: 2097, type: 'blackhole', destination: 'default', metric: 0 },
      { family: 6, table: 2097, type: 'unicast', destination: 'fd00:5::7/128', device: 'enf0', metric: 1024 },
    ]);
  });
  test('interfaces', () => {
    const [read] = readInterfaces([
      {
        ifindex: 2,
        ifname: 'up0',
        flags: ['UP'],
        mtu: 1500,
        group: 'default',
        address: '02:AB:00:00:00:01',
        addr_info: [
          { family: 'inet', local: '10.0.0.2', prefixlen: 24 },
          { family: 'inet6', local: 'fd00:0::2', prefixlen: 64 },
        ],
      },
    ]);
    expect(read).toEqual({
      index: 2,
      name: 'up0',
      mac: '02:ab:00:00:00:01',
      group: 0,
      mtu: 1500,
      up: true,
      addresses: ['10.0.0.2/24', 'fd00::2/64'],
    });
  });
});

test('equality does not look at the order of fields', () => {
  expect(same({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1 })).toBe(true);
  for (const [a, b] of [
    [{ a: 1 }, { a: 1, b: undefined }],
    [
      [1, 2],
      [2, 1],
    ],
    [{}, null],
    [{ a: 1 }, { b: 1 }],
  ]) {
    expect(same(a, b)).toBe(false);
  }
});
