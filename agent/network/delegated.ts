import type { Change, Interface, NftObject, Route, Rule } from '../../os/linux/network-config.ts';
import { ACCEPT, DROP, EARLY, match, meta, oneOf, payload, tableObjects } from '../../os/linux/nft.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import type { Service } from '../config/service.ts';
import { missing, surplus } from './desired.ts';

/*
 * What a gateway has in the kernel for the /64 that is delegated to it, as data (docs/prefix.md). Pure: the caller reads and changes the kernel
 * (delegated-lan.ts).
 */

/** As configured. */
export interface DelegationPolicy {
  /** The LAN interface. */
  readonly lan: string;
  /** The tunnel's. */
  readonly device: string;
  readonly mtu: number;
  /** The routing table that is the delegation's alone. Its number times four is the first of two rule priorities. */
  readonly table: number;
  readonly open: readonly Service[];
  /** What is answered by DHCPv6 there: nothing; all but addresses; these, too. */
  readonly dhcp: 'off' | 'stateless' | 'stateful';
  /** DNS servers that machines there are told of, 16 bytes each. */
  readonly dns: readonly Uint8Array[];
}

/** What the kernel has, as far as that is concerned. */
export interface LanObserved {
  readonly interfaces: readonly Interface[];
  readonly rules: readonly Rule[];
  /** Of the table. */
  readonly routes: readonly Route[];
}

const METRIC = 1_024;
/** Worse than any other: what has no interface goes nowhere. */
const LAST_METRIC = 4_294_967_295;

/** The gateway's address on the LAN: `<prefix>::1/64`. */
export function lanAddress({ address }: Prefix): string {
  const own = address.slice();
  own[15] = 1;
  return `${formatIpv6(own)}/64`;
}

/** What comes from the prefix or goes to it is looked up in the table alone, before all that other programs' rules say. */
export function delegationRules({ table }: DelegationPolicy, prefix: Prefix): readonly Rule[] {
  const text = formatPrefix(prefix);
  return [
    { family: 6, priority: 4 * table, table, to: text },
    { family: 6, priority: 4 * table + 1, table, from: text },
  ];
}

/** To the LAN, and everything else through the tunnel; nowhere while one of the two is not there. */
export function delegationRoutes(
  { lan, device, table }: DelegationPolicy,
  prefix: Prefix,
  interfaces: readonly Pick<Interface, 'name' | 'up'>[],
): readonly Route[] {
  const isUp = (wanted: string): boolean => interfaces.some(({ name, up }) => name === wanted && up);
  const through = (destination: string, name: string): readonly Route[] => [
    ...(isUp(name)
      ? [{ family: 6, table, type: 'unicast', destination, device: name, metric: METRIC } as const]
      : []),
    { family: 6, table, type: 'unreachable', destination, metric: LAST_METRIC },
  ];
  return [...through(formatPrefix(prefix), lan), ...through('default', device)];
}

/** The table's name: one for each instance. */
export const delegationTable = (device: string): string => `enf_lan_${device}`;

/**
 * The nftables table that closes the LAN from outside: nothing is begun with its machines but what is open, and nothing from the prefix leaves past the
 * tunnel, or comes from elsewhere than the LAN. Of a prefix that is withdrawn nothing passes: machines have its addresses for a while yet.
 */
export function delegationFilter(
  { lan, device, open }: DelegationPolicy,
  prefix: Prefix,
  withdrawn = false,
): readonly NftObject[] {
  const within = { prefix: { addr: formatIpv6(prefix.address), len: 64 } };
  const to = match(payload('ip6', 'daddr'), within);
  const from = match(payload('ip6', 'saddr'), within);
  const answers = match({ ct: { key: 'state' } }, ['established', 'related'], 'in');
  const rules = [
    [from, match(meta('iifname'), lan, '!='), DROP],
    [from, match(meta('oifname'), oneOf([lan, device]), '!='), DROP],
    [to, match(meta('iifname'), lan), ACCEPT],
    [to, answers, ACCEPT],
    ...open.map((service) => [to, ...opened(service), ACCEPT]),
    [to, DROP],
  ];
  return tableObjects(delegationTable(device), [
    {
      name: 'forward',
      hook: 'forward',
      priority: EARLY,
      drop: false,
      rules: withdrawn
        ? [
            [from, DROP],
            [to, DROP],
          ]
        : rules,
    },
  ]);
}

function opened(service: Service): readonly NftObject[] {
  if (service.protocol === 'icmp') return [match(payload('icmpv6', 'type'), 'echo-request')];
  const { protocol, first, last } = service;
  return [match(payload(protocol, 'dport'), first === last ? first : { range: [first, last] })];
}

/** What to change for this prefix, or to remove all; `former` are prefixes that the LAN had before. The filter is compared elsewhere. */
export function delegationRepairs(
  policy: DelegationPolicy,
  prefix: Prefix | undefined,
  former: readonly Prefix[],
  { interfaces, rules, routes }: LanObserved,
): readonly Change[] {
  const lan = interfaces.find(({ name }) => name === policy.lan);
  const wanted = prefix === undefined ? [] : delegationRules(policy, prefix);
  const wantedRoutes = prefix === undefined ? [] : delegationRoutes(policy, prefix, interfaces);
  const ours = rules.filter(
    ({ priority, table }) => Math.floor(priority / 4) === policy.table && table === policy.table,
  );
  const address = prefix && lanAddress(prefix);
  const changes: Change[] = [];
  // First the way out through the tunnel, so that no packet of a new address takes another.
  for (const route of missing(wantedRoutes, routes)) changes.push({ kind: 'add-route', route });
  for (const rule of missing(wanted, ours)) changes.push({ kind: 'add-rule', rule });
  if (lan !== undefined && address !== undefined && !lan.addresses.includes(address))
    changes.push({ kind: 'address', name: lan.name, address });
  for (const each of former.map(lanAddress))
    if (each !== address && lan?.addresses.includes(each))
      changes.push({ kind: 'remove-address', name: lan.name, address: each });
  for (const rule of surplus(wanted, ours)) changes.push({ kind: 'remove-rule', rule });
  for (const route of surplus(wantedRoutes, routes)) changes.push({ kind: 'remove-route', route });
  return changes;
}
