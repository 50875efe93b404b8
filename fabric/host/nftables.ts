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
  const passedOn = [forgedHost(tun), ...(several ? [detours(tun)] : [])];
  return services.all
    ? tableObjects(tableName(tun), [arriving(tun, ACCEPT), ...passedOn])
    : tableObjects(
        tableName(tun),
        [offered(services), others(services), ...toHost(tun), questions(tun), ...passedOn],
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

/** Accepts what is known to pass by the packet alone, whoever it is for: almost everything. */
function offered({ tcp, udp, names = false }: HostServices): Chain {
  const flags = { '&': [payload('tcp', 'flags'), { '|': ['syn', 'ack'] }] };
  return {
    name: 'offered',
    rules: [
      // Whatever does not ask for a connection belongs to one, or is answered with a reset.
      [match(flags, 'syn', '!='), ACCEPT],
      ...(tcp.length > 0 ? [[match(payload('tcp', 'dport'), ports(tcp)), ACCEPT]] : []),
      ...(udp.length > 0 ? [[match(payload('udp', 'dport'), ports(udp)), ACCEPT]] : []),
      ...(names ? NAMES : []),
    ],
  };
}

/** Decides about all other packets of devices for this host. */
function others({ icmp }: HostServices): Chain {
  return {
    name: 'others',
    rules: [
      [match(payload('icmpv6', 'type'), oneOf(NEEDED)), ACCEPT],
      [match(flow('saddr', 'sport', 'dport'), '@asked'), ACCEPT],
      // Nothing comes of it without the first fragment.
      [match({ exthdr: { name: 'frag', field: 'frag-off' } }, 0, '!='), ACCEPT],
      ...(icmp ? [[match(payload('icmpv6', 'type'), oneOf(DISCOVERY), '!='), ACCEPT]] : []),
      [DROP],
    ],
  };
}

const jump = (target: string): NftObject => ({ jump: { target } });
const goto = (target: string): NftObject => ({ goto: { target } });

/**
 * What is for an address of this host, also where another table then passes it on (DNAT), and whatever it receives. Whose an address is takes
 * a look at the routes, which costs more than everything else here: it comes last.
 */
function toHost(tun: string): readonly (Chain | BaseChain)[] {
  return [
    {
      name: 'addressed',
      rules: [[jump('offered')], [match(fib('type', 'daddr'), 'unicast', '!='), goto('others')]],
    },
    { name: 'delivered', rules: [[jump('offered')], [goto('others')]] },
    arriving(tun, goto('addressed')),
    {
      name: 'input',
      hook: 'input',
      priority: EARLY,
      drop: false,
      rules: [[match(meta('iifname'), tun), goto('delivered')]],
    },
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

/** What comes from a device, and what comes from elsewhere with the address of one. */
function arriving(tun: string, fromDevice: NftObject): BaseChain {
  const elsewhere = [match(meta('nfproto'), 'ipv6'), match(meta('iifname'), 'lo', '!=')];
  return {
    name: 'arriving',
    hook: 'prerouting',
    priority: RAW,
    drop: false,
    rules: [
      [match(meta('iifname'), tun), fromDevice],
      [...elsewhere, match(fib('oifname', 'saddr'), tun), DROP],
    ],
  };
}

/** What is passed on to devices with an address of this host. */
function forgedHost(tun: string): BaseChain {
  return {
    name: 'forged_host',
    hook: 'forward',
    priority: EARLY,
    drop: false,
    rules: [[match(meta('oifname'), tun), match(fib('type', 'saddr'), 'local'), DROP]],
  };
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
