import { readFile } from 'node:fs/promises';
import { Failure } from '../../protocol/failure.ts';
import { formatPrefix, parsePrefix } from '../../protocol/ipv6.ts';
import { refusal, runNetworkProgram } from './command.ts';
import { ip } from './iproute.ts';

/*
 * The kernel's interfaces, routing rules, routes and one nftables table as data: read from the JSON of `ip` and `nft`, never from
 * text meant for people, and written back in the same terms.
 */

export type Family = 4 | 6;

export interface Interface {
  readonly index: number;
  readonly name: string;
  /** The hardware address in lower case, or what the interface has instead (a tunnel's endpoint, for instance). */
  readonly mac: string;
  readonly group: number;
  readonly mtu: number;
  readonly up: boolean;
  /** `address/length`, RFC 5952 for IPv6. */
  readonly addresses: readonly string[];
  /** Those of them that the kernel does not send from: their duplicate detection has failed or goes on, or they are deprecated. */
  readonly unusable?: readonly string[];
}

/** A rule of the routing policy: a packet that matches every given condition is looked up in `table`. */
export interface Rule {
  readonly family: Family;
  readonly priority: number;
  readonly table: number;
  /** Only packets without this mark. */
  readonly unmarked?: number;
  /** An address, or a prefix of IPv6; absent for any. */
  readonly from?: string;
  /** A prefix of IPv6, or absent for any. */
  readonly to?: string;
  readonly udp?: { readonly sourcePort: number; readonly destinationPort: number };
  /** A route that the table yields is ignored if it leads through an interface of this group (suppress_ifgroup). */
  readonly suppressGroup?: number;
  /** The same for routes to prefixes of at most this length. */
  readonly suppressLength?: number;
}

export const MAIN_TABLE = 254;

export type RouteType = 'unicast' | 'blackhole' | 'unreachable';

export interface Route {
  readonly family: Family;
  readonly table: number;
  readonly type: RouteType;
  /** `address/length`, or "default". */
  readonly destination: string;
  /** Of a unicast route. */
  readonly device?: string;
  readonly metric: number;
}

/** libnftables-json(5): the objects of one table, or the commands that make it. */
export type NftObject = Readonly<Record<string, unknown>>;

export interface Kernel {
  interfaces(): Promise<readonly Interface[]>;
  rules(family: Family): Promise<readonly Rule[]>;
  /** The routes of a table; with `device`, which must exist, only those through it. */
  routes(family: Family, table: number, device?: string): Promise<readonly Route[]>;
  /** The routes to exactly this prefix ("address/length") in a table, whoever made them. */
  routesTo?(family: Family, table: number, destination: string): Promise<readonly Route[]>;
  /** The objects of the nftables table `inet name` without handles and elements of sets; undefined if there is no such table. */
  filter(name: string): Promise<readonly NftObject[] | undefined>;
  /** True if this host forwards IPv4 or IPv6. */
  forwards(): Promise<boolean>;
  /** True if it forwards IPv6. */
  forwardsIpv6?(): Promise<boolean>;
  /** Carries out one change. */
  change(change: Change): Promise<void>;
}

export type Change =
  | { readonly kind: 'link'; readonly name: string; readonly mtu: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'group'; readonly name: string; readonly group: number }
  | { readonly kind: 'address' | 'remove-address'; readonly name: string; readonly address: string }
  | { readonly kind: 'add-rule' | 'remove-rule'; readonly rule: Rule }
  | { readonly kind: 'add-route' | 'remove-route'; readonly route: Route }
  /** Replaces the whole table `inet name` in one transaction by what `objects` add; without objects removes it. */
  | { readonly kind: 'filter'; readonly name: string; readonly objects: readonly NftObject[] };

/** The table of a rule with fields that none of ours has, so that it is not mistaken for one. */
export const UNREADABLE = -1;

/** The running kernel. Every function @throws Failure `os.no-iproute`, `os.no-nftables`, `os.not-permitted`, `os.ipv6-disabled`, `os.ip-failed`, `os.nft-failed` */
export const kernel: Kernel = {
  interfaces: async () => readInterfaces(json(await ip('-j', '-N', 'addr', 'show'))),
  rules: async (family) => readRules(json(await ip('-j', '-N', `-${family}`, 'rule', 'show')), family),
  async routes(family, table, device) {
    const args = ['-j', '-N', `-${family}`, 'route', 'show', 'table', String(table)];
    const { code, stdout, complaint } = await runNetworkProgram(
      'ip',
      device ? [...args, 'dev', device] : args,
    );
    // 2: the kernel refused, as it does for a table that has never had a route.
    if (code === 2) return [];
    if (code !== 0) throw refusal('ip', args.join(' '), complaint);
    return readRoutes(json(stdout), family, table, device);
  },
  async routesTo(family, table, destination) {
    const args = ['-j', '-N', `-${family}`, 'route', 'show', 'table', String(table), 'exact', destination];
    const { code, stdout, complaint } = await runNetworkProgram('ip', args);
    if (code === 2) return [];
    if (code !== 0) throw refusal('ip', args.join(' '), complaint);
    return readRoutes(json(stdout), family, table);
  },
  async filter(name) {
    const tables = objects(await nft(['-j', 'list', 'tables']));
    const ours = tables.some(({ table }) => isNamed(table, name));
    if (!ours) return undefined;
    // As JSON, since a name may have characters that nft's own language has not.
    const list = JSON.stringify({ nftables: [{ list: { table: { family: 'inet', name } } }] });
    return withoutHandles(objects(await nft(['-j', '-t', list], 'listing the table')));
  },
  async forwards() {
    const switches = ['ipv4/ip_forward', FORWARDING6].map(isOn);
    return (await Promise.all(switches)).includes(true);
  },
  forwardsIpv6: () => isOn(FORWARDING6),
  async change(change) {
    if (change.kind === 'filter') await replaceFilter(change.name, change.objects);
    // Before Linux 6.2 an interface has to be down for it; what that takes away is restored like anything else.
    else if (change.kind === 'rename')
      await ip(...changeArguments(change)).catch(() => ip(...changeArguments(change), 'down'));
    else await ip(...changeArguments(change));
  },
};

const FORWARDING6 = 'ipv6/conf/all/forwarding';

const isOn = async (name: string): Promise<boolean> =>
  (await readFile(`/proc/sys/net/${name}`, 'latin1').catch(() => '0')).trim() !== '0';

/** The arguments of `ip` that make a change. */
export function changeArguments(change: Exclude<Change, { kind: 'filter' }>): readonly string[] {
  switch (change.kind) {
    case 'link':
      return ['link', 'set', 'dev', change.name, 'mtu', String(change.mtu), 'up'];
    case 'rename':
      return ['link', 'set', 'dev', change.from, 'name', change.to];
    case 'group':
      return ['link', 'set', 'dev', change.name, 'group', String(change.group)];
    case 'address':
      return ['-6', 'addr', 'replace', change.address, 'dev', change.name, 'nodad'];
    case 'remove-address':
      return ['-6', 'addr', 'del', change.address, 'dev', change.name];
    case 'add-rule':
      return [`-${change.rule.family}`, 'rule', 'add', ...ruleArguments(change.rule)];
    case 'remove-rule':
      return [`-${change.rule.family}`, 'rule', 'del', ...ruleArguments(change.rule)];
    case 'add-route':
      // In a table that others use, too, nothing of theirs may be replaced.
      return [
        `-${change.route.family}`,
        'route',
        change.route.table === MAIN_TABLE ? 'add' : 'replace',
        ...routeArguments(change.route),
      ];
    case 'remove-route':
      return [`-${change.route.family}`, 'route', 'del', ...routeArguments(change.route)];
  }
}

function ruleArguments(rule: Rule): readonly string[] {
  const { udp } = rule;
  return [
    ...['priority', String(rule.priority)],
    ...(rule.unmarked === undefined ? [] : ['not']),
    ...['from', rule.from ?? 'all'],
    ...(rule.to === undefined ? [] : ['to', rule.to]),
    ...(rule.unmarked === undefined ? [] : ['fwmark', String(rule.unmarked)]),
    ...(udp ? ['ipproto', '17', 'sport', String(udp.sourcePort), 'dport', String(udp.destinationPort)] : []),
    ...['table', String(rule.table)],
    ...(rule.suppressGroup === undefined ? [] : ['suppress_ifgroup', String(rule.suppressGroup)]),
    ...(rule.suppressLength === undefined ? [] : ['suppress_prefixlength', String(rule.suppressLength)]),
  ];
}

function routeArguments(route: Route): readonly string[] {
  return [
    ...(route.type === 'unicast' ? [] : [route.type]),
    route.destination,
    ...(route.device === undefined ? [] : ['dev', route.device]),
    ...['metric', String(route.metric), 'table', String(route.table)],
  ];
}

/** From `ip -j -N addr show`. */
export function readInterfaces(list: readonly NftObject[]): readonly Interface[] {
  return list.map((each) => {
    const unusable = array(each.addr_info).filter(
      ({ tentative, dadfailed, deprecated }) => tentative || dadfailed || deprecated,
    );
    return {
      index: Number(each.ifindex),
      name: String(each.ifname),
      mac: String(each.address ?? '').toLowerCase(),
      group: each.group === 'default' ? 0 : Number(each.group),
      mtu: Number(each.mtu),
      up: Array.isArray(each.flags) && each.flags.includes('UP'),
      addresses: array(each.addr_info).map(addressOf),
      ...(unusable.length > 0 && { unusable: unusable.map(addressOf) }),
    };
  });
}

const addressOf = ({ family, local, prefixlen }: NftObject): string =>
  `${family === 'inet6' ? canonical(`${local}/128`).split('/')[0] : local}/${prefixlen}`;

/** From `ip -j -N rule show`. A rule with fields that ours do not have gets the table `UNREADABLE`. */
export function readRules(list: readonly NftObject[], family: Family): readonly Rule[] {
  return list.map(
    ({
      priority,
      src,
      srclen,
      dst,
      dstlen,
      table,
      not,
      fwmark,
      ipproto,
      sport,
      dport,
      suppress_ifgroup,
      suppress_prefixlen,
      ...rest
    }) => {
      // Ours have prefixes in IPv6 only.
      const selects = (address: unknown, length: unknown): boolean =>
        length === undefined || (family === 6 && address !== undefined && address !== 'all');
      const known =
        (not === undefined) === (fwmark === undefined) &&
        selects(src, srclen) &&
        selects(dst, dstlen) &&
        (dst === undefined || family === 6) &&
        Object.keys(rest).length === 0;
      const ports = { sourcePort: Number(sport), destinationPort: Number(dport) };
      return {
        family,
        priority: Number(priority),
        table: known ? tableNumber(table) : UNREADABLE,
        ...(fwmark !== undefined && { unmarked: Number(fwmark) }),
        ...(src !== 'all' && { from: selector(src, srclen) }),
        ...(dst !== undefined && { to: selector(dst, dstlen) }),
        ...(ipproto !== undefined && {
          udp: /^(ipproto-)?(17|udp)$/.test(String(ipproto)) ? ports : { ...ports, sourcePort: UNREADABLE },
        }),
        ...(suppress_ifgroup !== undefined && {
          suppressGroup: suppress_ifgroup === 'default' ? 0 : Number(suppress_ifgroup),
        }),
        ...(suppress_prefixlen !== undefined && { suppressLength: Number(suppress_prefixlen) }),
      };
    },
  );
}

/** An address, or with its length a prefix. */
const selector = (address: unknown, length: unknown): string =>
  length === undefined ? String(address) : canonical(`${address}/${length}`);

const TABLES: Readonly<Record<string, number>> = { local: 255, main: 254, default: 253 };
const tableNumber = (table: unknown): number => TABLES[String(table)] ?? Number(table);
const ROUTE_TYPES: Readonly<Record<string, RouteType>> = {
  '1': 'unicast',
  '6': 'blackhole',
  '7': 'unreachable',
  unicast: 'unicast',
  blackhole: 'blackhole',
  unreachable: 'unreachable',
};

/** From `ip -j -N route show table …`, which names the device only if it was not asked for; routes of other types are left out. */
export function readRoutes(
  list: readonly NftObject[],
  family: Family,
  table: number,
  device?: string,
): readonly Route[] {
  return list.flatMap(({ type, dst, dev, metric }): Route[] => {
    const known = ROUTE_TYPES[String(type ?? 'unicast')];
    if (known === undefined) return [];
    const destination = dst === 'default' ? dst : canonical(String(dst), family);
    const through = device ?? (dev === undefined ? undefined : String(dev));
    return [
      {
        family,
        table,
        type: known,
        destination,
        ...(known === 'unicast' && through !== undefined && { device: through }),
        metric: Number(metric ?? 0),
      },
    ];
  });
}

/** One spelling of a prefix: with its length, and RFC 5952. */
function canonical(text: string, family: Family = 6): string {
  if (family === 4) return text.includes('/') ? text : `${text}/32`;
  try {
    return formatPrefix(parsePrefix(text));
  } catch {
    return text; // "::ffff:1.2.3.4" and the like are none of ours
  }
}

async function replaceFilter(name: string, objects: readonly NftObject[]): Promise<void> {
  const table = { family: 'inet', name };
  // Adding first makes deleting safe whether it is there or not; all of it is one transaction.
  const commands = [{ add: { table } }, { delete: { table } }, ...objects.map((each) => ({ add: each }))];
  await nft(['-j', JSON.stringify({ nftables: commands })], 'replacing the table');
}

/**
 * Runs nft; `what` stands for long arguments in messages. Commands are an argument, because nft opens its standard input by name,
 * which a socket does not have.
 */
async function nft(args: readonly string[], what = args.join(' ')): Promise<string> {
  const { code, stdout, complaint } = await runNetworkProgram('nft', args);
  if (code !== 0) throw refusal('nft', what, complaint);
  return stdout;
}

const isNamed = (table: unknown, name: string): boolean => {
  const { family, name: its } = (table ?? {}) as NftObject;
  return family === 'inet' && its === name;
};

/** The objects in the output of nft, without its "metainfo". */
const objects = (text: string): readonly NftObject[] =>
  array((json(text) as unknown as { nftables?: unknown }).nftables).filter((each) => !('metainfo' in each));

/** Handles are numbers that the kernel gives anew each time, and packets add and remove elements (of which not every nft leaves out all). */
function withoutHandles(list: readonly NftObject[]): readonly NftObject[] {
  return list.map((each) =>
    Object.fromEntries(
      Object.entries(each).map(([kind, body]) => {
        const { handle: _, elem: _elements, ...rest } = body as NftObject;
        return [kind, rest];
      }),
    ),
  );
}

const array = (value: unknown): readonly NftObject[] => (Array.isArray(value) ? value : []);

function json(text: string): readonly NftObject[] {
  try {
    return text.trim() === '' ? [] : JSON.parse(text);
  } catch (cause) {
    throw new Failure(
      'os.ip-failed',
      'retry',
      `ip or nft printed something that is not JSON: ${JSON.stringify(text.slice(0, 60))}`,
      {
        action: 'Install iproute2 and nftables versions that print JSON (ip -j, nft -j).',
        cause,
      },
    );
  }
}
