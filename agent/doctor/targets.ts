import { isLiteral } from '../../os/net/lookup.ts';
import { type Endpoint, isService, parseService } from '../../os/net/service.ts';
import type { Probes } from './probes.ts';

/**
 * The configured hosts with the addresses they have now; none if the resolver has none. A proxy resolves them
 * itself: then their names take the place of addresses.
 */
export async function targets(probes: Pick<Probes, 'config' | 'lookup'>): Promise<readonly Target[]> {
  const { hosts, tunnelPort, proxy } = probes.config.remote;
  const found = await Promise.all(hosts.map((host) => endpoints(probes, host, tunnelPort)));
  return Promise.all(
    found.flat().map(async ({ host, port }) => ({
      ...{ host, port },
      addresses:
        isLiteral(host) || (proxy && !isService(host)) ? [host] : await probes.lookup(host).catch(() => []),
    })),
  );
}

export interface Target extends Endpoint {
  /** Of the router's. */
  readonly port: number;
  readonly addresses: readonly string[];
}

/** The host, or those of a service; the service itself if it has none, since nothing is found for it then. */
async function endpoints(
  { lookup }: Pick<Probes, 'lookup'>,
  host: string,
  port: number,
): Promise<readonly Endpoint[]> {
  if (!isService(host)) return [{ host, port }];
  const records = (await lookup(host).catch(() => [])).flatMap((text) => parseService(text) ?? []);
  return records.length === 0 ? [{ host, port }] : records;
}

/** An address of a router, and its port. */
export interface TargetAddress {
  readonly address: string;
  readonly port: number;
}

/** All of their addresses with the router's ports, each once. */
export async function targetRouters(
  probes: Pick<Probes, 'config' | 'lookup'>,
): Promise<readonly TargetAddress[]> {
  const all = (await targets(probes)).flatMap(({ addresses, port }) =>
    addresses.map((address) => [`${address} ${port}`, { address, port }] as const),
  );
  return [...new Map(all).values()];
}

/** All of their addresses, each once. */
export async function targetAddresses(probes: Pick<Probes, 'config' | 'lookup'>): Promise<readonly string[]> {
  return [...new Set((await targets(probes)).flatMap(({ addresses }) => addresses))];
}
