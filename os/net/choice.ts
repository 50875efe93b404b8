import { isIP, isIPv4 } from 'node:net';
import { Failure } from '../../protocol/failure.ts';
import { addressGroups, type Standing, shuffled } from './addresses.ts';
import type { ConnectOptions } from './connect.ts';
import type { Lookup } from './lookup.ts';
import { type Endpoint, isService, orderServices, type Place, parseService } from './service.ts';

/**
 * Where a program connects to that has several hosts, or addresses of one name, to choose from: those that failed lately are tried last. A name is as good as the
 * best of its addresses: it fails with the last one of a family.
 */
export interface Choice {
  /** In the order in which they are tried now; never empty. @throws Failure `net.no-such-host` */
  next(): Promise<readonly Endpoint[]>;
  /** The same without that place; its name stays if it has other addresses of the same family. @throws Failure as `next` */
  others(place: Place | undefined): Promise<readonly Endpoint[]>;
  /** The addresses of an endpoint's name as they are tried now: an AddressOrder; `without`: that place is not tried, nor the other family of its name. */
  addresses(endpoint: Endpoint, found: readonly string[], without?: Place): readonly (readonly string[])[];
  /** It was not reached, or has not served. */
  failed(place: Place): void;
  /** It has served, and does so no longer. */
  ended(place: Place): void;
  /** It has failed, and is left out for so many milliseconds, of which 5 s at least and 10 min at most count, unless all others are, too. */
  refused(place: Place, forMs: number): void;
  /** It serves. */
  worked(place: Place): void;
}

export interface ChoiceOptions {
  /** Names, literal addresses and names of services, in the order of preference. */
  readonly hosts: readonly string[];
  /** Of hosts that have no port of their own. */
  readonly port: number;
  /** The program has this port everywhere: the ports of services are another one's. */
  readonly everywhere?: boolean;
  readonly lookup: Lookup;
  /** How long a resolver may take for a service. */
  readonly timeoutMs: number;
  /** Monotonic, in milliseconds. */
  readonly clock: () => number;
  /** Uniform in [0, 1). */
  readonly chance: () => number;
}

/** `spread`: programs with the same list begin with different hosts of it. `listed`: all begin with the first. */
export const HOST_ORDERS = ['spread', 'listed'] as const;
export type HostOrder = (typeof HOST_ORDERS)[number];

/**
 * Hosts in the order in which this program tries them as long as it runs. Spread, neighbours of the same kind change places by chance: names, or addresses. An address
 * behind names is there for when these lead nowhere, and a service says itself who is tried first: those stay where they are.
 */
export function hostsInOrder(hosts: readonly string[], order: HostOrder, chance: () => number): string[] {
  const tried: string[] = [];
  if (order === 'listed') return [...hosts];
  const kindOf = (host: string): string => (isService(host) ? host : isIP(host) === 0 ? 'name' : 'address');
  while (tried.length < hosts.length) {
    const left = hosts.slice(tried.length);
    const end = left.findIndex((host) => kindOf(host) !== kindOf(left[0]!));
    tried.push(...shuffled(end < 0 ? left : left.slice(0, end), chance));
  }
  return tried;
}

/** What failed this long ago is tried in its place again. */
export const FORGET_MS = 600_000;
/** Endpoints, and addresses of a name, that are tried in one attempt. */
const MOST = 32;
/** Endpoints and addresses whose failures are remembered. */
const REMEMBERED = 64;

/** At least so long a host is left out that has refused: longer than it takes to ask the others. */
const LEAST_MS = 5_000;

/** When it failed last, until when it is left out, and whether it had served. */
interface Mark extends Standing {
  readonly until: number;
}
const NEVER: Mark = { at: Number.NEGATIVE_INFINITY, until: Number.NEGATIVE_INFINITY, served: false };

const keyOf = (host: string, port: number): string => `${host} ${port}`;

/** The choice among the hosts of a program that runs for long. */
export function hostChoice(options: ChoiceOptions): Choice {
  const { clock, lookup, timeoutMs, chance } = options;
  /** Of endpoints, and of addresses with their ports; the oldest first. */
  const marks = new Map<string, Mark>();
  const markOf = (host: string, port: number): Mark => {
    const mark = marks.get(keyOf(host, port)) ?? NEVER;
    return clock() - mark.at >= FORGET_MS ? NEVER : mark;
  };
  const isFree = (host: string, port: number): boolean => clock() >= markOf(host, port).until;
  const mark = (host: string, port: number, served: boolean, until = markOf(host, port).until): void => {
    marks.delete(keyOf(host, port));
    marks.set(keyOf(host, port), { at: clock(), until, served });
    const [oldest] = marks.keys();
    if (marks.size > REMEMBERED) marks.delete(oldest!);
  };
  const keep = ({ host, port, address, peers = [] }: Place, served: boolean, until?: number): void => {
    if (address !== undefined) mark(address, port, served, until);
    if (peers.every((peer) => markOf(peer, port) !== NEVER)) mark(host, port, served, until);
  };

  const next = async (): Promise<readonly Endpoint[]> => {
    const found = await endpointsOf(options);
    // A stable order: those that have not failed stay as they were, behind them the one first whose failure is the oldest.
    const ordered = found
      .map((endpoint) => ({ endpoint, at: markOf(endpoint.host, endpoint.port).at }))
      .sort((a, b) => (a.at === b.at ? 0 : a.at - b.at))
      .map(({ endpoint }) => endpoint);
    const free = ordered.filter(({ host, port }) => isFree(host, port));
    return free.length > 0 ? free : ordered;
  };

  const addresses: Choice['addresses'] = (endpoint, found, without) => {
    const { port } = endpoint;
    const all = [...new Set(found)].filter((address) => !isOf(address, endpoint, without));
    const freeOf = (v4: boolean): readonly string[] => {
      const family = all.filter((address) => isIPv4(address) === v4);
      const free = family.filter((address) => isFree(address, port));
      return free.length > 0 ? free : family;
    };
    // Not every host can send to both families: one that cannot has only what is left of the other.
    const tried = new Set([...freeOf(false), ...freeOf(true)]);
    return addressGroups(
      all.filter((address) => tried.has(address)),
      (address) => markOf(address, port),
      chance,
      MOST,
    );
  };

  return {
    next,
    async others(place) {
      const all = await next();
      const left = all.filter(
        ({ host, port }) => port !== place?.port || (host !== place.host && host !== place.address),
      );
      if (place?.address === undefined || place.address === place.host) return left;
      const found = await within(timeoutMs, lookup(place.host));
      if (addresses(place, found, place).length === 0) return left;
      return all.filter((endpoint) => left.includes(endpoint) || endpoint.host === place.host);
    },
    addresses,
    failed: (place) => keep(place, false),
    ended: (place) => keep(place, true),
    refused: (place, forMs) => keep(place, false, clock() + Math.min(Math.max(LEAST_MS, forMs), FORGET_MS)),
    worked({ host, port, address = host }) {
      marks.delete(keyOf(host, port));
      marks.delete(keyOf(address, port));
    },
  };
}

/** What a choice has to do with the connections of an attempt. */
export type Guidance = Required<Pick<ConnectOptions, 'addressOrder' | 'onTried'>>;

/**
 * Does `work`, which connects with these options: what it has reached has worked, or has failed if that error is the server's doing.
 * @throws what `work` throws
 */
export async function judged<T>(
  choice: Choice,
  work: (guidance: Guidance) => Promise<T>,
  isTheirs: (error: unknown) => boolean,
): Promise<T> {
  let place: Place | undefined;
  const onTried = (tried: Place, reached: boolean): void => {
    place = reached ? tried : undefined;
    if (!reached) choice.failed(tried);
  };
  try {
    const result = await work({ addressOrder: choice.addresses, onTried });
    if (place !== undefined) choice.worked(place);
    return result;
  } catch (error) {
    if (place !== undefined && isTheirs(error)) choice.failed(place);
    throw error;
  }
}

/** Whether that address of an endpoint leads to the place, or may lead to its machine. */
function isOf(address: string, { host, port }: Endpoint, place: Place | undefined): boolean {
  if (place?.address === undefined || port !== place.port) return false;
  return address === place.address || (host === place.host && isIPv4(address) !== isIPv4(place.address));
}

/**
 * The endpoints of hosts: services become the hosts of their records, drawn by priority and weight. At most 32, each once.
 * @throws Failure `net.no-such-host` if there is none
 */
export async function endpointsOf({
  hosts,
  port,
  everywhere = false,
  lookup,
  timeoutMs,
  chance,
}: Omit<ChoiceOptions, 'clock'>): Promise<readonly Endpoint[]> {
  const found = await Promise.all(
    hosts.map(async (host): Promise<readonly Endpoint[]> => {
      if (!isService(host)) return [{ host, port }];
      const records = (await within(timeoutMs, lookup(host))).flatMap((text) => parseService(text) ?? []);
      return orderServices(records, chance).map((record) => ({
        host: record.host,
        port: everywhere ? port : record.port,
      }));
    }),
  );
  const known = new Map(found.flat().map((each) => [`${each.host} ${each.port}`, each]));
  if (known.size > 0) return [...known.values()].slice(0, MOST);
  throw new Failure('net.no-such-host', 'retry', `no SRV record found for ${hosts.join(', ')}`, {
    action: 'Check the service names and the resolver, or configure host names or literal addresses.',
  });
}

/** None if the resolver has none, or takes longer. */
function within(ms: number, work: Promise<readonly string[]>): Promise<readonly string[]> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms, []);
    work.then(resolve, () => resolve([])).finally(() => clearTimeout(timer));
  });
}
