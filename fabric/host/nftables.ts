import type { NftObject } from '../../os/linux/network-config.ts';
import {
  ACCEPT,
  type BaseChain,
  type Chain,
  DROP,
  EARLY,
  match,
  meta,
  oneOf,
  payload,
  RAW,
  tableObjects,
} from '../../os/linux/nft.ts';
import type { HostServices, PortRange } from './services.ts';

/** The table's name: one for each TUN device. */
export const tableName = (tun: string): string => `enf_fabric_${tun}`;

/**
 * The nftables table `inet enf_fabric_<tun>` (docs/fabric.md, "The fabric's own network"): what devices may use of this host, and whom nobody
 * may pretend to be. It tracks no connections: that would make every tunnel of the host an entry in a table of bounded size, which
 * strangers could fill (docs/adr/0014-host-filter-without-connection-tracking.md). `several`: other nodes serve the same networks, and their devices come
 * through this host.
 */
export function hostTable(tun: string, services: HostServices, several = false): readonly NftObject[] {
  const outsiders = [...forgeries(tun), ...(several ? [detours(tun)] : [])];
  return services.all
    ? tableObjects(tableName(tun), outsiders)
    : tableObjects(
        tableName(tun),
        [offered(services), ...toHost(tun), questions(tun), ...outsiders],
        [ASKED],
      );
}

/** After source NAT: what a device will see. */
const LATE = 110;

/** Whom the host has sent something that has ports and no connection: peer's address, protocol, its port, ours. */
const ASKED = {
  name: 'asked',
  type: ['ipv6_addr', 'inet_proto', 'inet_service', 'inet_service'],
  flags: ['timeout'],
  timeout: 180,
  size: 16_384,
};
const CONNECTIONLESS = ['udp', 'udplite', 'sctp', 'dccp'];
/** RFC 4890 §4.3.1: errors and echo. */
const NEEDED = [
  'destination-unreachable',
  'packet-too-big',
  'time-exceeded',
  'parameter-problem',
  'echo-request',
  'echo-reply',
];
const DISCOVERY = [
  'nd-router-solicit',
  'nd-router-advert',
  'nd-neighbor-solicit',
  'nd-neighbor-advert',
  'nd-redirect',
];

const fib = (result: 'type' | 'oifname', address: 'saddr' | 'daddr'): NftObject => ({
  fib: { result, flags: [address] },
});
const flow = (address: 'saddr' | 'daddr', port: string, ownPort: string): NftObject => ({
  concat: [payload('ip6', address), meta('l4proto'), payload('th', port), payload('th', ownPort)],
});
const ports = (ranges: readonly PortRange[]): unknown =>
  oneOf(ranges.map(({ first, last }) => (first === last ? first : { range: [first, last] })));

/** DNS at the host's address in a network, which ends with `::1`. */
const NAMES = ['tcp', 'udp'].map((protocol) => [
  match({ '&': [payload('ip6', 'daddr'), '::ffff:ffff:ffff:ffff'] }, '::1'),
  match(payload(protocol, 'dport'), 53),
  ACCEPT,
]);

/** Decides about packets of devices for this host; what is cheap to know comes first. */
function offered({ icmp, tcp, udp, names = false }: HostServices): Chain {
  const flags = { '&': [payload('tcp', 'flags'), { '|': ['syn', 'ack'] }] };
  return {
    name: 'offered',
    rules: [
      // Whatever does not ask for a connection belongs to one, or is answered with a reset.
      [match(flags, 'syn', '!='), ACCEPT],
      ...(tcp.length > 0 ? [[match(payload('tcp', 'dport'), ports(tcp)), ACCEPT]] : []),
      ...(udp.length > 0 ? [[match(payload('udp', 'dport'), ports(udp)), ACCEPT]] : []),
      ...(names ? NAMES : []),
      [match(payload('icmpv6', 'type'), oneOf(NEEDED)), ACCEPT],
      [match(flow('saddr', 'sport', 'dport'), '@asked'), ACCEPT],
      // Nothing comes of it without the first fragment.
      [match({ exthdr: { name: 'frag', field: 'frag-off' } }, 0, '!='), ACCEPT],
      ...(icmp ? [[match(payload('icmpv6', 'type'), oneOf(DISCOVERY), '!='), ACCEPT]] : []),
      [DROP],
    ],
  };
}

/** What is for an address of this host, also where another table then passes it on (DNAT), and whatever it receives. */
function toHost(tun: string): readonly BaseChain[] {
  const fromDevice = match(meta('iifname'), tun);
  const decide = { goto: { target: 'offered' } };
  return [
    {
      name: 'addressed',
      hook: 'prerouting',
      priority: RAW,
      drop: false,
      rules: [[fromDevice, match(fib('type', 'daddr'), 'unicast', '!='), decide]],
    },
    { name: 'input', hook: 'input', priority: EARLY, drop: false, rules: [[fromDevice, decide]] },
  ];
}

function questions(tun: string): BaseChain {
  const remember = { set: { op: 'update', elem: flow('daddr', 'dport', 'sport'), set: '@asked' } };
  return {
    name: 'questions',
    hook: 'postrouting',
    priority: LATE,
    drop: false,
    rules: [[match(meta('oifname'), tun), match(meta('l4proto'), oneOf(CONNECTIONLESS)), remember]],
  };
}

/** What comes from elsewhere with the address of a device, or is passed on to devices with one of this host. */
function forgeries(tun: string): readonly BaseChain[] {
  const elsewhere = match(meta('iifname'), oneOf([tun, 'lo']), '!=');
  return [
    {
      name: 'forged',
      hook: 'prerouting',
      priority: RAW,
      drop: false,
      rules: [[elsewhere, match(meta('nfproto'), 'ipv6'), match(fib('oifname', 'saddr'), tun), DROP]],
    },
    {
      name: 'forged_host',
      hook: 'forward',
      priority: EARLY,
      drop: false,
      rules: [[match(meta('oifname'), tun), match(fib('type', 'saddr'), 'local'), DROP]],
    },
  ];
}

/**
 * What is passed on to devices comes from where the way back to its sender leads (strict reverse path, RFC 3704): the address of a device of another node
 * counts only from where BIRD has learned of that device.
 */
const detours = (tun: string): BaseChain => ({
  name: 'detours',
  hook: 'forward',
  priority: EARLY,
  drop: false,
  rules: [
    [
      match(meta('iifname'), tun, '!='),
      match(meta('oifname'), tun),
      match(meta('nfproto'), 'ipv6'),
      match({ fib: { result: 'oif', flags: ['saddr', 'iif'] } }, false),
      DROP,
    ],
  ],
});
