import type { Log } from '../../os/service/log.ts';
import type { HostServing } from '../operations/contract/serving.ts';
import type { Registry } from '../registry/registry.ts';
import { type Firewall, openFirewall } from './firewall.ts';
import { type HostRoutes, installHostRoutes } from './routes.ts';
import { formatServices, type HostServices } from './services.ts';

/** This host's part in the networks. */
export interface Host {
  readonly routes: HostRoutes;
  serving(): Promise<HostServing>;
  /** Removes the firewall; addresses and routes go with the device. */
  close(): Promise<void>;
}

/** Closes the host to devices, but for `services`, and only then brings the TUN device up; `several`: devices of other nodes come through it. @throws Failure `fabric.host-not-closed`, of `ip` */
export async function openHost(
  tun: string,
  services: HostServices,
  registry: Registry,
  log: Log,
  several = false,
): Promise<Host> {
  const firewall = await openFirewall(tun, services, log, several);
  let routes: HostRoutes | undefined;
  try {
    routes = installHostRoutes(tun, registry, log);
    await routes.settled();
  } catch (error) {
    routes?.close();
    await firewall.close();
    throw error;
  }
  return {
    routes,
    serving: async () => ({ tun, services: formatServices(services), filter: await stateOf(firewall) }),
    close: () => {
      routes.close();
      return firewall.close();
    },
  };
}

const stateOf = (firewall: Firewall): Promise<HostServing['filter']> =>
  firewall.isInForce().then(
    (inForce) => (inForce ? 'in force' : 'not in force'),
    (error: Error) => ({ unknown: error.message }),
  );
