import { isIP } from 'node:net';
import { Failure } from '../../protocol/failure.ts';
import {
  formatIpv6,
  formatPrefix,
  isInUnicast,
  type Prefix,
  parseIpv6,
  parsePrefix,
  UNICAST,
} from '../../protocol/ipv6.ts';

/** Another node, as the BGP daemon of this one reaches it. */
export interface Peer {
  readonly name: string;
  /** An IPv6 address; `%zone` behind a link-local one. */
  readonly address: string;
}

/** What the configuration of a node's BGP daemon follows from. */
export interface BgpOptions {
  /** Four numbers in dots, which no other node has. */
  readonly routerId: string;
  /** The number of the autonomous system that all nodes are in. */
  readonly as: number;
  readonly peers: readonly Peer[];
  /** The address of this node that sessions begin at; the daemon chooses unless given. */
  readonly local?: string;
  /** The kernel's table with the routes of tunnels, and their protocol number. */
  readonly table: number;
  readonly protocol: number;
  /** What all networks and pools of the fabric are in, now and later: routes to anything else are not taken. All of unicast unless given. */
  readonly within?: readonly Prefix[];
}

/** What nodes announce: a /128 for each device, and the /64 of the machines behind it. */
const ANNOUNCED = [64, 128];
const MOST_WITHIN = 64;
/** A full mesh: each of n nodes has n - 1 sessions. */
const MOST_PEERS = 64;
/** What BIRD takes for names of protocols in apostrophes, and enf-fabric for names of nodes. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const ZONE = /^[A-Za-z0-9._-]{1,15}$/;
/** RFC 6793 and RFC 7607: AS_TRANS, and numbers that nobody has. */
const NO_AS = [0, 23_456, 65_535, 4_294_967_295];

/** Protocols of ours in BIRD begin with this; doctor finds the sessions by it. */
export const SESSION_PREFIX = 'enf-';

/**
 * The whole configuration of BIRD 2 (docs/scale.md): it takes the routes of this node's tunnels out of their table, tells all other nodes of them by iBGP,
 * and puts theirs beside them. Of several routes to one prefix the one with the highest metric wins everywhere, also where an older tunnel is still open.
 */
export function birdConfig(options: BgpOptions): string {
  const { routerId, as, peers, local, table, protocol, within = UNICAST } = options;
  const lines = [
    '# BIRD 2 for one of several nodes of an Edge Network Fabric. Made by "enf-fabric bgp config"; make it anew after a node was added or removed.',
    'log syslog all;',
    `router id ${routerId};`,
    '',
    '# The routes of devices alone: nothing here touches the main table.',
    'ipv6 table enf;',
    '',
    'protocol device { }',
    '',
    'protocol kernel enf_kernel {',
    `  kernel table ${table};`,
    '  learn;',
    '  # Changes come by notification. Many at once need room, or some are lost until the next scan.',
    '  netlink rx buffer 67108864;',
    '  scan time 60;',
    '  ipv6 {',
    '    table enf;',
    '    import filter {',
    `      if krt_source != ${protocol} then reject;`,
    '      # The newest tunnel of a device has the highest metric. As preference it wins on a node where an older one is still open, too.',
    '      preference = krt_metric;',
    '      bgp_local_pref = krt_metric;',
    '      accept;',
    '    };',
    '    export where source = RTS_BGP;',
    '  };',
    '}',
    '',
    '# A node that is gone is noticed after 300 ms, whatever TCP thinks.',
    'protocol bfd enf_bfd {',
    '  accept ipv6 direct;',
    '  interface "*" { min rx interval 100 ms; min tx interval 100 ms; idle tx interval 1 s; multiplier 3; };',
    '}',
    '',
    "# Another node's word leads to devices alone: this table is asked before the main one, and a default route in it would take all that this host sends.",
    'filter enf_devices {',
    `  if net !~ [ ${within.flatMap((prefix) => ANNOUNCED.map((length) => `${formatPrefix(prefix)}{${length},${length}}`)).join(', ')} ] then reject;`,
    ...keepingNodes(peers),
    '  preference = bgp_local_pref;',
    '  accept;',
    '}',
    '',
    'template bgp enf_node {',
    `  local ${local === undefined ? '' : `${local} `}as ${as};`,
    '  direct;',
    '  bfd on;',
    '  # What a node had is withdrawn when BFD or TCP lose it: packets must not wait for one that does not come back.',
    '  graceful restart off;',
    '  # Back soon after an outage; the defaults are a minute and more.',
    '  connect delay time 1;',
    '  connect retry time 2;',
    '  error wait time 1, 4;',
    '  error forget time 30;',
    '  ipv6 {',
    '    table enf;',
    "    # Nodes are each other's neighbours: packets go to where the route comes from.",
    '    gateway direct;',
    '    next hop self;',
    '    import filter enf_devices;',
    '    export where proto = "enf_kernel";',
    '  };',
    '}',
    '',
    ...peers.map(
      ({ name, address }) =>
        `protocol bgp '${SESSION_PREFIX}${name}' from enf_node { neighbor ${neighbour(address)} as ${as}; }`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

/** No route leads to another node, however long its prefix: it would take what is for that to whoever has announced it. */
function keepingNodes(peers: readonly Peer[]): readonly string[] {
  const routed = peers.filter(({ address }) => !address.includes('%'));
  if (routed.length === 0) return [];
  return [`  if net ~ [ ${routed.map(({ address }) => `${address}/128-`).join(', ')} ] then reject;`];
}

/** A zone is a string of its own in BIRD. */
function neighbour(address: string): string {
  const [plain, zone] = address.split('%');
  return zone === undefined ? plain! : `${plain}%'${zone}'`;
}

/** Peers as `NAME=ADDRESS`. @throws Failure `bgp.bad-peer` */
export function parsePeers(texts: readonly string[]): readonly Peer[] {
  if (texts.length === 0)
    throw badPeer(
      'no other node is named',
      'Name each of the other nodes: --peer b=fd99::2 --peer c=fd99::3.',
    );
  if (texts.length > MOST_PEERS)
    throw badPeer(
      `${texts.length} nodes are named, and at most ${MOST_PEERS} can each have a session with every other`,
      'Divide the fabric, or write a configuration with route reflectors yourself.',
    );
  const peers = texts.map(parsePeer);
  for (const [i, { name, address }] of peers.entries()) {
    const former = peers.slice(0, i).find((each) => each.name === name || each.address === address);
    if (former !== undefined)
      throw badPeer(
        `${former.name}=${former.address} and ${name}=${address} are the same node, or one of them is wrong`,
        'Give each node one name and one address.',
      );
  }
  return peers;
}

/** What a node is called, empty if it has no name, and its addresses as far as they are known. */
export interface Own {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** A node has no session with itself. @throws Failure `bgp.bad-peer` */
export function requireOthers(peers: readonly Peer[], { name, addresses }: Own): void {
  const known = addresses.map((address) => {
    const [plain = '', ...zone] = address.split('%');
    return isIP(plain) === 6 ? [formatIpv6(parseIpv6(plain)), ...zone].join('%') : address;
  });
  const own = peers.find((peer) => peer.name === name || known.includes(peer.address));
  if (own === undefined) return;
  const why = own.name === name ? `node.name is ${JSON.stringify(name)}` : 'that is its own address';
  throw badPeer(
    `--peer ${own.name}=${own.address} names this node itself: ${why}`,
    'Name the other nodes alone; each node has a configuration of its own, made on it or with its fabric.toml (--config).',
  );
}

function parsePeer(text: string): Peer {
  const at = text.indexOf('=');
  const [name, address] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 0 || !NAME.test(name))
    throw badPeer(
      `expected NAME=ADDRESS, got ${JSON.stringify(text.slice(0, 60))}`,
      'A name has 1 to 63 lower-case letters, digits and hyphens, such as b in --peer b=fd99::2.',
    );
  return { name, address: parseAddress(address, `--peer ${name}`) };
}

/** The address of a node, with `%zone` if it is link-local. @throws Failure `bgp.bad-peer` */
export function parseAddress(text: string, what: string): string {
  const [plain = '', zone, ...more] = text.split('%');
  const refuse = (why: string): Failure =>
    badPeer(
      `${what}: ${why}, got ${JSON.stringify(text.slice(0, 60))}`,
      'Give the IPv6 address that the node has in the network of the nodes, such as fd99::2, or fe80::2%wg0.',
    );
  if (isIP(plain) !== 6 || more.length > 0) throw refuse('expected an IPv6 address');
  const address = parseIpv6(plain);
  const isLinkLocal = address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
  if (address[0] === 0xff || address.subarray(0, 15).every((byte) => byte === 0))
    throw refuse('expected the address of one other machine');
  if (isLinkLocal !== (zone !== undefined) || (zone !== undefined && !ZONE.test(zone)))
    throw refuse('expected an interface behind a link-local address, as in fe80::2%wg0, and behind no other');
  return zone === undefined ? formatIpv6(address) : `${formatIpv6(address)}%${zone}`;
}

/** @throws Failure `cli.bad-option` */
export function parseRouterId(text: string): string {
  if (isIP(text) === 4 && text !== '0.0.0.0') return text;
  throw badOption(
    'router-id',
    `expected four numbers such as 192.0.2.1, got ${JSON.stringify(text.slice(0, 40))}`,
    'Give each node one of its own, often its IPv4 address; nothing has to be reachable there.',
  );
}

/** @throws Failure `cli.bad-option` */
export function parseAs(text: string): number {
  const number = Number(text);
  if (/^\d{1,10}$/.test(text) && number < 4_294_967_296 && !NO_AS.includes(number)) return number;
  throw badOption(
    'as',
    `expected the number of an autonomous system, got ${JSON.stringify(text.slice(0, 40))}`,
    'Give the same private number at each node: 64512 to 65534, or 4200000000 to 4294967294.',
  );
}

/** What networks of devices are in, in the order given. Undefined if nothing is. @throws Failure `cli.bad-option`, `ipv6.bad-prefix`, `ipv6.bad-address` */
export function parseWithin(texts: readonly string[]): readonly Prefix[] | undefined {
  if (texts.length > MOST_WITHIN)
    throw badOption(
      'within',
      `${texts.length} prefixes are given, and at most ${MOST_WITHIN} are taken`,
      'Give prefixes that have several of them in common.',
    );
  const prefixes = texts.map((text) => {
    const prefix = parsePrefix(text);
    if (prefix.length <= ANNOUNCED[0]! && isInUnicast(prefix)) return prefix;
    throw badOption(
      'within',
      `networks are /64s in 2000::/3 or fc00::/7, got ${formatPrefix(prefix)}`,
      'Give the prefix out of which you take all networks and pools, such as fd00:8f80::/32.',
    );
  });
  return prefixes.length === 0 ? undefined : prefixes;
}

const badPeer = (message: string, action: string): Failure =>
  new Failure('bgp.bad-peer', 'operator', message, { action });

const badOption = (name: string, what: string, action: string): Failure =>
  new Failure('cli.bad-option', 'operator', `--${name}: ${what}`, { action });
