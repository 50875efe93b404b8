import { configureInterface, routeThrough, unconfigure } from '../../os/linux/iproute.ts';
import type { Log } from '../../os/service/log.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import { hostAddress } from '../registry/address.ts';
import { eachRow } from '../registry/pages.ts';
import type { Registry } from '../registry/registry.ts';

/** The MTU of the devices' TUN (enftun.md §4). */
const TUN_MTU = 1_280;

/** This host's addresses and routes in the networks. */
export interface HostRoutes {
  /** Resolves when addresses and routes of all networks known so far are in place. @throws Failure of `ip` at the start */
  settled(): Promise<void>;
}

/** Gives the host its address `<prefix>::1` and a route in every network, also in those added later; takes them from one that is removed. */
export function installHostRoutes(tun: string, registry: Registry, log: Log): HostRoutes {
  const install = async (prefixes: readonly Prefix[]): Promise<void> => {
    const own = prefixes.map((prefix) => `${formatIpv6(hostAddress(prefix.address))}/128`);
    await configureInterface(tun, TUN_MTU, own);
    for (const prefix of prefixes) await routeThrough(formatPrefix(prefix), tun);
  };
  const installAll = async (): Promise<void> => {
    const prefixes: Prefix[] = [];
    for await (const { prefix } of eachRow((page) => registry.networks(page))) prefixes.push(prefix);
    await install(prefixes);
  };
  let settled = installAll();
  const follow = async ({ prefix }: { readonly prefix: Prefix }): Promise<void> => {
    const name = formatPrefix(prefix);
    if (registry.hasNetwork(prefix.address)) {
      await install([prefix]);
      log('info', `network ${name} is reachable through ${tun}`);
    } else {
      await unconfigure(tun, `${formatIpv6(hostAddress(prefix.address))}/128`, name);
      log('info', `network ${name} is gone from ${tun}`);
    }
  };
  registry.subscribe((change) => {
    if (change.kind !== 'network') return;
    settled = settled
      .then(() => follow(change))
      .catch((error: Error) =>
        log('error', `network ${formatPrefix(change.prefix)} is not as it was changed: ${error.message}`),
      );
  });
  return { settled: () => settled };
}
