import { isLiteral } from '../../os/net/lookup.ts';
import type { Probes } from './probes.ts';

/**
 * The configured hosts with the addresses they have now; none if the resolver has none. A proxy resolves them
 * itself: then their names take the place of addresses.
 */
export async function targets(
  probes: Pick<Probes, 'config' | 'lookup'>,
): Promise<readonly { readonly host: string; readonly addresses: readonly string[] }[]> {
  return Promise.all(
    probes.config.remote.hosts.map(async (host) => ({
      host,
      addresses:
        isLiteral(host) || probes.config.remote.proxy ? [host] : await probes.lookup(host).catch(() => []),
    })),
  );
}

/** All of their addresses, each once. */
export async function targetAddresses(probes: Pick<Probes, 'config' | 'lookup'>): Promise<readonly string[]> {
  return [...new Set((await targets(probes)).flatMap(({ addresses }) => addresses))];
}
