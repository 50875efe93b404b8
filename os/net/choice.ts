import { isIP } from 'node:net';
import { Failure } from '../../protocol/failure.ts';
import type { Lookup } from './lookup.ts';
import { type Endpoint, isService, orderServices, parseService } from './service.ts';

/** Where a program connects to that has several hosts to choose from: those that failed lately are tried last. */
export interface Choice {
  /** In the order in which they are tried now; never empty. @throws Failure `net.no-such-host` */
  next(): Promise<readonly Endpoint[]>;
  /** It was not reached, or has ended a connection. */
  failed(endpoint: Endpoint): void;
  /** It has failed, and is left out for so many milliseconds, of which 5 s at least and 10 min at most count, unless all others are, too. */
  refused(endpoint: Endpoint, forMs: number): void;
  /** It serves. */
  worked(endpoint: Endpoint): void;
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
  const tried = [...hosts];
  if (order === 'listed') return tried;
  const kindOf = (host: string): string => (isService(host) ? host : isIP(host) === 0 ? 'name' : 'address');
  for (let first = 0, end = 0; first < tried.length; first = end) {
    const kind = kindOf(tried[first]!);
    while (end < tried.length && kindOf(tried[end]!) === kind) end++;
    // Fisher and Yates.
    for (let i = end - 1; i > first; i--) {
      const j = first + Math.floor(chance() * (i - first + 1));
      [tried[i], tried[j]] = [tried[j]!, tried[i]!];
    }
  }
  return tried;
}

/** A host that failed this long ago is tried in its place again. */
export const FORGET_MS = 600_000;
const NEVER = { at: Number.NEGATIVE_INFINITY, until: Number.NEGATIVE_INFINITY };
/** Endpoints that are remembered, and tried in one attempt. */
const MOST = 32;

/** At least so long a host is left out that has refused: longer than it takes to ask the others. */
const LEAST_MS = 5_000;

/** The choice among the hosts of a program that runs for long. */
export function hostChoice(options: ChoiceOptions): Choice {
  const { clock } = options;
  /** When each has failed last, the oldest first, and until when it is left out. */
  const failures = new Map<string, { readonly at: number; readonly until: number }>();
  const keyOf = ({ host, port }: Endpoint): string => `${host} ${port}`;
  const failureOf = (endpoint: Endpoint): { readonly at: number; readonly until: number } => {
    const { at, until } = failures.get(keyOf(endpoint)) ?? NEVER;
    return clock() - at >= FORGET_MS ? NEVER : { at, until };
  };
  const keep = (endpoint: Endpoint, forMs: number): void => {
    const key = keyOf(endpoint);
    failures.delete(key);
    failures.set(key, { at: clock(), until: clock() + forMs });
    const [oldest] = failures.keys();
    if (failures.size > MOST) failures.delete(oldest!);
  };
  return {
    async next() {
      const found = await endpointsOf(options);
      // A stable order: those that have not failed stay as they were, behind them the one first whose failure is the oldest.
      const ordered = found
        .map((endpoint) => ({ endpoint, ...failureOf(endpoint) }))
        .sort((a, b) => (a.at === b.at ? 0 : a.at - b.at));
      const free = ordered.filter(({ until }) => clock() >= until);
      return (free.length > 0 ? free : ordered).map(({ endpoint }) => endpoint);
    },
    failed: (endpoint) => keep(endpoint, Math.max(0, failureOf(endpoint).until - clock())),
    refused: (endpoint, forMs) => keep(endpoint, Math.min(Math.max(LEAST_MS, forMs), FORGET_MS)),
    worked: (endpoint) => void failures.delete(keyOf(endpoint)),
  };
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
