import { Failure } from '../../protocol/failure.ts';

/** Ports of one protocol, both ends included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Which services of the fabric's host devices may use. */
export interface HostServices {
  /** Everything; the rest is empty then. */
  readonly all: boolean;
  /** ICMPv6 messages of every type but neighbour and router discovery. */
  readonly icmp: boolean;
  /** In ascending order, and apart from each other. */
  readonly tcp: readonly PortRange[];
  readonly udp: readonly PortRange[];
  /** The fabric's own name servers, at its addresses in the networks. */
  readonly names?: boolean;
}

export const NO_SERVICES: HostServices = { all: false, icmp: false, tcp: [], udp: [] };

/** Services at most: they have to fit on nft's command line. */
const MOST = 200;
const EXAMPLES = 'Give services such as tcp/22, udp/53 or tcp/8000-8010, or icmp, or only "all" or "none".';

/**
 * Parses the values of `--host-services`, each a list separated by commas: `tcp/PORT`, `udp/PORT`, either with `FIRST-LAST`, `icmp`; or,
 * alone, `all` or `none`. @throws Failure `cli.bad-option`
 */
export function parseServices(values: readonly string[]): HostServices {
  const words = values.flatMap((value) => value.split(',')).map((word) => word.trim());
  if (words.length > MOST) throw refused(`at most ${MOST} services, got ${words.length}`);
  if (words.length === 1 && words[0] === 'all') return { ...NO_SERVICES, all: true };
  if (words.length === 1 && words[0] === 'none') return NO_SERVICES;
  const ports = { tcp: [] as PortRange[], udp: [] as PortRange[] };
  for (const word of words) {
    if (word === 'icmp') continue;
    const [, protocol, first, last] = /^(tcp|udp)\/([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(word) ?? [];
    const range = { first: Number(first), last: Number(last ?? first) };
    if (protocol === undefined || range.first > range.last || range.last > 65_535)
      throw refused(`expected a service, got ${JSON.stringify(word.slice(0, 40))}`);
    ports[protocol as 'tcp' | 'udp'].push(range);
  }
  return { all: false, icmp: words.includes('icmp'), tcp: merged(ports.tcp), udp: merged(ports.udp) };
}

/** The services as `--host-services` takes them. */
export function formatServices({ all, icmp, tcp, udp }: HostServices): string {
  if (all) return 'all';
  const words = [
    ...tcp.map((range) => `tcp/${formatRange(range)}`),
    ...udp.map((range) => `udp/${formatRange(range)}`),
    ...(icmp ? ['icmp'] : []),
  ];
  return words.join(',') || 'none';
}

const formatRange = ({ first, last }: PortRange): string =>
  first === last ? `${first}` : `${first}-${last}`;

/** Overlapping and adjacent ranges become one. */
function merged(ranges: readonly PortRange[]): readonly PortRange[] {
  const apart: PortRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = apart.at(-1);
    if (before === undefined || range.first > before.last + 1) apart.push(range);
    else apart[apart.length - 1] = { first: before.first, last: Math.max(before.last, range.last) };
  }
  return apart;
}

const refused = (what: string): Failure =>
  new Failure('cli.bad-option', 'operator', `--host-services: ${what}`, { action: EXAMPLES });
