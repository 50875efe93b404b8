import { failed, ok, skipped, warning } from '../../../cli/check.ts';
import { isLiteral } from '../../../os/net/lookup.ts';
import type { Check } from '../check.ts';
import type { Probes } from '../probes.ts';
import { type Target, targets } from '../targets.ts';

export const dns: Check = {
  id: 'dns',
  about: 'the names of the fabric, or of the proxy, resolve to addresses',
  async run(probes) {
    const found = await namesToFind(probes);
    const names = found.filter(({ host }) => !isLiteral(host));
    if (names.length === 0) return skipped('only literal addresses are configured');
    const lost = names.filter(({ addresses }) => addresses.length === 0).map(({ host }) => host);
    const remedy =
      'Check the names and the resolver (resolvectl query, /etc/resolv.conf), or configure literal addresses.';
    if (lost.length === 0)
      return ok(names.map(({ host, addresses }) => `${host}: ${addresses.join(', ')}`).join('; '));
    const message = `no address for ${lost.join(', ')}`;
    return lost.length === found.length ? failed(message, remedy) : warning(message, remedy);
  },
};

/** A proxy resolves the fabric's names itself; the agent resolves the proxy's. */
async function namesToFind(probes: Probes): Promise<readonly Omit<Target, 'port'>[]> {
  const { proxy } = probes.config.remote;
  if (proxy === undefined) return targets(probes);
  const { host } = proxy;
  return [{ host, addresses: isLiteral(host) ? [host] : await probes.lookup(host).catch(() => []) }];
}
