import type { NftObject } from '../../os/linux/network-config.ts';
import {
  ACCEPT,
  type BaseChain,
  EARLY,
  MANGLE,
  match,
  meta,
  oneOf,
  payload,
  RAW,
  tableObjects,
} from '../../os/linux/nft.ts';
import type { Policy } from './policy.ts';

/**
 * The nftables table `inet enf_<device>`, as libnftables-json(5) has it. In lockdown its three filter chains drop whatever they do not
 * name; what other programs' tables accept does not matter, since a packet has to pass them all. Besides, a gateway that forwards gets its TCP
 * connections through the tunnel clamped to what fits (C-12).
 */
export function filterTable(
  policy: Policy,
  trusted: readonly string[],
  forwards: boolean,
): readonly NftObject[] {
  const table = filterName(policy.device);
  const chains = [
    ...(policy.mode === 'lockdown' ? lockdownChains(policy, trusted) : []),
    ...(forwards ? [clampChain(policy)] : []),
  ];
  if (chains.length === 0) return [];
  return tableObjects(table, chains);
}

/** The table's name: one for each instance. */
export const filterName = (device: string): string => `enf_${device}`;

/** True if the objects of such a table are those of a lockdown. */
export const isLockdown = (objects: readonly NftObject[]): boolean =>
  objects.some(({ chain }) => (chain as NftObject | undefined)?.name === 'output');

const IPV4 = match(meta('nfproto'), 'ipv4');
const LINK_LOCAL = { prefix: { addr: 'fe80::', len: 10 } };
const udp = (sourcePort: number, destinationPort: number): readonly NftObject[] => [
  match(payload('udp', 'sport'), sourcePort),
  match(payload('udp', 'dport'), destinationPort),
];
/** Neighbour discovery never comes through a router: its hop limit proves that (RFC 4861 §6.1). */
const discovery = (types: readonly string[]): readonly NftObject[] => [
  match(payload('ip6', 'hoplimit'), 255),
  match(payload('icmpv6', 'type'), oneOf(types)),
  ACCEPT,
];
const listeners = (types: readonly string[]): readonly NftObject[] => [
  match(payload('icmpv6', 'type'), oneOf(types)),
  ACCEPT,
];

function lockdownChains({ device, mark }: Policy, trusted: readonly string[]): readonly BaseChain[] {
  const inside = oneOf([device, ...trusted]);
  const inOrLoopback = oneOf(['lo', device, ...trusted]);
  const ofOurSocket = match({ socket: { key: 'mark' } }, mark);
  return [
    {
      // For reverse path checks that look at marks, such as firewalld's: an answer takes the route of its question.
      name: 'answers',
      hook: 'prerouting',
      priority: RAW,
      drop: false,
      rules: [[ofOurSocket, { mangle: { key: meta('mark'), value: mark } }]],
    },
    {
      name: 'input',
      hook: 'input',
      priority: EARLY,
      drop: true,
      rules: [
        [match(meta('iifname'), inOrLoopback), ACCEPT],
        // Answers to the tunnel's own sockets, and ICMP errors about them.
        [ofOurSocket, ACCEPT],
        [IPV4, ...udp(67, 68), ACCEPT],
        [match(payload('ip6', 'saddr'), LINK_LOCAL), ...udp(547, 546), ACCEPT],
        discovery(['nd-router-advert', 'nd-neighbor-solicit', 'nd-neighbor-advert']),
        listeners(['mld-listener-query']),
      ],
    },
    {
      name: 'output',
      hook: 'output',
      priority: EARLY,
      drop: true,
      rules: [
        [match(meta('oifname'), inOrLoopback), ACCEPT],
        [match(meta('mark'), mark), ACCEPT],
        [IPV4, ...udp(68, 67), ACCEPT],
        [match(payload('ip6', 'saddr'), LINK_LOCAL), ...udp(546, 547), ACCEPT],
        discovery(['nd-router-solicit', 'nd-neighbor-solicit', 'nd-neighbor-advert']),
        listeners(['mld-listener-report', 'mld-listener-done', 'mld2-listener-report']),
      ],
    },
    {
      name: 'forward',
      hook: 'forward',
      priority: EARLY,
      drop: true,
      rules: [[match(meta('iifname'), inside), match(meta('oifname'), inside), ACCEPT]],
    },
  ];
}

/** IPv6 and TCP headers without options, IPv4 and TCP headers without options. */
const HEADERS = { ipv6: 60, ipv4: 40 };

/** What either end of a forwarded TCP connection announces as its largest segment is made to fit the tunnel. */
function clampChain({ device, mtu }: Policy): BaseChain {
  const size = { 'tcp option': { name: 'maxseg', field: 'size' } };
  const isSyn = match(payload('tcp', 'flags'), 'syn', 'in');
  const rules = (['iifname', 'oifname'] as const).flatMap((side) =>
    (['ipv6', 'ipv4'] as const).map((family) => {
      const most = mtu - HEADERS[family];
      return [
        match(meta(side), device),
        match(meta('nfproto'), family),
        isSyn,
        match(size, most, '>'),
        { mangle: { key: size, value: most } },
      ];
    }),
  );
  return { name: 'clamp', hook: 'forward', priority: MANGLE, drop: false, rules };
}
