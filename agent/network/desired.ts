import {
  type Change,
  type Interface,
  MAIN_TABLE,
  type Route,
  type Rule,
  UNREADABLE,
} from '../../os/linux/network-config.ts';
import { same } from '../../os/linux/nft-table.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import { filterTable } from './nftables.ts';
import { type Desired, type Observed, type Policy, TRUSTED_GROUP } from './policy.ts';

/**
 * The network configuration that the agent wants in the kernel, as data, and how it differs from what is there. Pure: the caller reads
 * and changes the kernel (reconciler.ts). docs/routes.md describes it.
 */

const METRIC = 1024;
/** For when the interface is gone: worse than any other, so that nothing falls through to the main table. */
const LAST_METRIC = 4_294_967_295;

/** The interfaces that are trusted, of those there are. Hot-plugged and renamed ones are found by their hardware address. */
export function trustedInterfaces(
  { trusted, device }: Policy,
  interfaces: readonly Interface[],
): readonly string[] {
  const wanted = new Set(trusted.map((each) => (each.includes(':') ? each.toLowerCase() : each)));
  return interfaces
    .filter(({ name, mac }) => name !== device && name !== 'lo' && (wanted.has(name) || wanted.has(mac)))
    .map(({ name }) => name)
    .sort();
}

/** What should be. `own` is the own address (16 bytes); undefined before there is an interface for it. */
export function desiredState(
  policy: Policy,
  own: Uint8Array | undefined,
  observed: Pick<Observed, 'interfaces' | 'forwards' | 'others'>,
): Desired {
  const { mode, device, mtu, assignAddress } = policy;
  const present = own !== undefined && observed.interfaces.some(({ name }) => name === device);
  const address = assignAddress && own ? formatPrefix({ address: own, length: 128 }) : undefined;
  const link = present ? { name: device, mtu, address } : undefined;
  const trusted = mode === 'lockdown' ? trustedInterfaces(policy, observed.interfaces) : [];
  return {
    link,
    trusted,
    rules:
      mode === 'lockdown'
        ? lockdownRules(policy, observed.interfaces)
        : present && policy.bypass
          ? bypassRules(policy, tunnelPrefixes(own, policy.prefixes))
          : [],
    routes:
      mode === 'lockdown'
        ? lockdownRoutes(policy, present)
        : present
          ? splitRoutes(policy, own, observed.others ?? [])
          : [],
    filter: filterTable(policy, trusted, observed.forwards),
  };
}

/** What goes through the tunnel in `split`: the configured prefixes, else the /64 of the own address. */
export function tunnelPrefixes(own: Uint8Array, configured: readonly Prefix[]): readonly Prefix[] {
  if (configured.length > 0) return configured;
  return [{ address: own.map((byte, i) => (i < 8 ? byte : 0)), length: 64 }];
}

/** Each with a metric that no route of others to the same prefix has: ours comes before theirs, and theirs stays. */
function splitRoutes(
  { device, prefixes, bypass, table }: Policy,
  own: Uint8Array,
  others: readonly Route[],
): readonly Route[] {
  return tunnelPrefixes(own, prefixes).map((prefix) => {
    const destination = formatPrefix(prefix);
    const taken = new Set(
      others.filter((each) => each.destination === destination).map((each) => each.metric),
    );
    let metric = METRIC;
    if (!bypass) while (metric > 1 && taken.has(metric)) metric--;
    return { family: 6, table: bypass ? table : MAIN_TABLE, type: 'unicast', destination, device, metric };
  });
}

/**
 * Routes of the main table that are more specific than any of our prefixes, those of the machine's own links above all, come first; then,
 * for everything without the mark, our prefixes; then the main table.
 */
function bypassRules({ table, mark }: Policy, prefixes: readonly Prefix[]): readonly Rule[] {
  const suppressLength = Math.max(...prefixes.map(({ length }) => length));
  return [
    { family: 6, priority: 4 * table + 1, table: MAIN_TABLE, suppressLength },
    { family: 6, priority: 4 * table + 3, table, unmarked: mark },
  ];
}

/**
 * A network of the machine's own links that is exactly what the tunnel is to carry: the kernel sends to the link, or the link is cut off.
 * @throws Failure `os.prefix-in-use`
 */
export function checkPrefixes(prefixes: readonly Prefix[], links: readonly Prefix[]): void {
  for (const prefix of prefixes) {
    const text = formatPrefix(prefix);
    if (!links.some((each) => formatPrefix(each) === text)) continue;
    throw new Failure(
      'os.prefix-in-use',
      'operator',
      `${text} is to go through the tunnel, but it is the network of a link of this machine`,
      {
        action:
          'Give the local network another prefix, or route.prefixes others; "ip -6 address" shows the links.',
      },
    );
  }
}

function lockdownRoutes({ device, table, allowIpv4 }: Policy, present: boolean): readonly Route[] {
  const common = { table, destination: 'default' };
  const none: Route = { ...common, family: 6, type: 'unreachable', metric: LAST_METRIC };
  const through: Route = { ...common, family: 6, type: 'unicast', device, metric: METRIC };
  const ipv6: Route[] = present ? [through, none] : [none];
  if (!allowIpv4) return [...ipv6, { ...common, family: 4, type: 'blackhole', metric: 0 }];
  return [...ipv6, ...ipv6.map((route): Route => ({ ...route, family: 4 }))];
}

/**
 * In the order of the priorities, four for each table:
 * 0. (IPv4) a DHCP client renews its lease with the server in its network;
 * 1. trusted interfaces are used as the main table says, others are not;
 * 2. (IPv4) what comes back to an address of this host is looked up by that address: without this rule, reverse path filtering would drop
 *    the answers to the tunnel's own connection, since it does not see their mark. A socket bound to such an address gains nothing:
 *    the filter drops what it sends;
 * 3. everything without the mark goes by our table.
 */
function lockdownRules(policy: Policy, interfaces: readonly Interface[]): readonly Rule[] {
  const { table, mark, device } = policy;
  const first = 4 * table;
  const families = [4, 6] as const;
  const addresses = interfaces
    .filter(({ name }) => name !== device && name !== 'lo')
    .flatMap((each) => each.addresses)
    .map((address) => address.split('/')[0]!)
    .filter((address) => !address.includes(':'));
  return [
    { family: 4, priority: first, table: MAIN_TABLE, udp: { sourcePort: 68, destinationPort: 67 } },
    ...families.map((family): Rule => ({ family, priority: first + 1, table: MAIN_TABLE, suppressGroup: 0 })),
    ...[...new Set(addresses)].map(
      (from): Rule => ({ family: 4, priority: first + 2, table: MAIN_TABLE, from }),
    ),
    ...families.map((family): Rule => ({ family, priority: first + 3, table, unmarked: mark })),
  ];
}

/** What closes a lockdown before there is a filter: without the rule for answers, by which a socket with an address of its own gets out. */
export const closing = (desired: Desired): Desired => ({
  ...desired,
  rules: desired.rules.filter(({ from }) => from === undefined),
});

/** The rules whose priorities belong to the policy's table, but for those that we cannot read: they are none of ours. */
const ownRules = (policy: Policy, rules: readonly Rule[]): readonly Rule[] =>
  rules.filter(({ priority, table }) => Math.floor(priority / 4) === policy.table && table !== UNREADABLE);

/**
 * What to change, in this order: first outgoing traffic is blocked, then routes are added. The filter is compared elsewhere (filter.ts),
 * with what the kernel listed.
 */
export function repairs(policy: Policy, desired: Desired, observed: Observed): readonly Change[] {
  const { link } = desired;
  const now = observed.interfaces.find(({ name }) => name === link?.name);
  const changes: Change[] = [];
  if (link && now && (!now.up || now.mtu !== link.mtu))
    changes.push({ kind: 'link', name: link.name, mtu: link.mtu });
  const address = link?.address;
  if (address !== undefined && now && (!now.addresses.includes(address) || now.unusable?.includes(address))) {
    changes.push({ kind: 'address', name: now.name, address });
  }
  for (const name of desired.trusted) {
    if (observed.interfaces.find((each) => each.name === name)?.group === 0) {
      changes.push({ kind: 'group', name, group: TRUSTED_GROUP });
    }
  }
  for (const route of missing(desired.routes, observed.routes)) changes.push({ kind: 'add-route', route });
  for (const rule of missing(desired.rules, observed.rules)) changes.push({ kind: 'add-rule', rule });
  if (policy.mode === 'split' && !policy.bypass) return changes;
  const ours = ownRules(policy, observed.rules);
  for (const rule of surplus(desired.rules, ours)) changes.push({ kind: 'remove-rule', rule });
  for (const route of surplus(desired.routes, observed.routes)) changes.push({ kind: 'remove-route', route });
  return changes;
}

/** What removes everything that `repairs` has made; routes through the interface are removed with it. */
export function removal(policy: Policy, observed: Observed): readonly Change[] {
  if (policy.mode === 'split' && !policy.bypass) return [];
  const trusted = trustedInterfaces(policy, observed.interfaces);
  return [
    ...ownRules(policy, observed.rules).map((rule): Change => ({ kind: 'remove-rule', rule })),
    ...observed.routes.map((route): Change => ({ kind: 'remove-route', route })),
    ...observed.interfaces
      .filter(({ name, group }) => trusted.includes(name) && group === TRUSTED_GROUP)
      .map(({ name }): Change => ({ kind: 'group', name, group: 0 })),
  ];
}

export const missing = <T>(wanted: readonly T[], there: readonly T[]): readonly T[] =>
  wanted.filter((each) => !there.some((other) => same(each, other)));

/** What is there and not wanted, and what is there twice. */
export const surplus = <T>(wanted: readonly T[], there: readonly T[]): readonly T[] =>
  there.filter(
    (each, i) =>
      !wanted.some((other) => same(each, other)) || there.findIndex((other) => same(each, other)) < i,
  );
