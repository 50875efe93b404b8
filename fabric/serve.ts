import { serveControl } from '../os/control.ts';
import { configureInterface, routeThrough } from '../os/iproute.ts';
import type { Log } from '../os/log.ts';
import { notify } from '../os/notify.ts';
import { watchdogPeriodMs } from '../os/process.ts';
import { openTun, type TunDevice } from '../os/tun.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../protocol/ipv6.ts';
import { loadAuthority, pathOf } from './authority.ts';
import { startIdentityServer } from './identity/server.ts';
import type { ListenAddress } from './listen.ts';
import { hostAddress } from './registry/address.ts';
import { openRegistry, type Registry } from './registry/registry.ts';
import { type Router, startRouter } from './router/router.ts';

/** How soon a change by another process is noticed if its nudge got lost. */
const POLL_MS = 250;
/** How long handshakes in progress may take when the fabric is told to stop. */
const GRACE_MS = 5_000;
/** As the devices have it (enftun.md §4). */
const TUN_MTU = 1_280;

export interface ServeOptions {
  readonly data: string;
  readonly identity: ListenAddress;
  readonly tunnel: ListenAddress;
  /** Name of the TUN device through which this host reaches the devices; undefined: it does not. */
  readonly tun: string | undefined;
  readonly log: Log;
}

export interface Fabric {
  readonly identityPort: number;
  readonly tunnelPort: number;
  readonly networks: readonly string[];
  /** Lets what is in progress end, closes everything. */
  stop(): Promise<void>;
}

/**
 * Runs a fabric: identity server, tunnel router, this host's way to the devices, and the control socket by which the
 * command line tells of changes.
 * @throws Failure of any part; what was started is stopped again
 */
export async function serve(options: ServeOptions): Promise<Fabric> {
  const { data, log } = options;
  const started: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    notify('STOPPING=1');
    for (let close = started.pop(); close !== undefined; close = started.pop()) await close();
  };
  try {
    const authority = await loadAuthority(data);
    const onError = (error: unknown): void => log('error', `registry: ${(error as Error).message}`);
    const registry = openRegistry(pathOf(data, 'registry'), { actor: 'fabric', onError });
    started.push(() => registry.close());

    let router: Router | undefined;
    let reach: Reach | undefined;
    const control = await serveControl(pathOf(data, 'control'), async ({ method, path }) => {
      if (method === 'GET' && path === '/sessions') return router?.sessions() ?? [];
      if (method !== 'POST' || path !== '/changed') return undefined;
      registry.catchUp();
      await reach?.settled();
      return {};
    });
    started.push(() => control.close());
    // From here on this is the only fabric on the folder.
    started.push(registry.follow(POLL_MS));

    const tun = options.tun === undefined ? undefined : openTun(options.tun);
    if (tun !== undefined) {
      started.push(() => tun.close());
      reach = reachDevices(tun, registry, log);
      await reach.settled();
    }

    router = await startRouter({
      listen: options.tunnel,
      ...authority.router,
      admission: registry,
      ...(tun === undefined ? {} : { tun }),
      log,
    });
    started.push(() => router?.close());

    const identity = await startIdentityServer({
      listen: options.identity,
      certificate: authority.serverCertificate,
      key: authority.serverKey,
      registry,
      log,
    });
    started.push(() => identity.close(GRACE_MS));

    const periodMs = watchdogPeriodMs();
    if (periodMs !== undefined) {
      const timer = setInterval(() => notify('WATCHDOG=1'), periodMs / 2);
      started.push(() => clearInterval(timer));
    }
    notify('READY=1');
    return {
      identityPort: identity.port,
      tunnelPort: router.port,
      networks: registry.networks().map((network) => formatPrefix(network.prefix)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** This host's way into the networks. */
interface Reach {
  /** Resolves when addresses and routes of all networks known so far are in place. @throws Failure of `ip` at the start */
  settled(): Promise<void>;
}

/** Gives the host its address `<prefix>::1` and a route in every network, also in those added later. */
function reachDevices(tun: TunDevice, registry: Registry, log: Log): Reach {
  const reach = async (prefixes: readonly Prefix[]): Promise<void> => {
    const own = prefixes.map((prefix) => `${formatIpv6(hostAddress(prefix.address))}/128`);
    await configureInterface(tun.name, TUN_MTU, own);
    for (const prefix of prefixes) await routeThrough(formatPrefix(prefix), tun.name);
  };
  let settled = reach(registry.networks().map((network) => network.prefix));
  registry.subscribe((change) => {
    if (change.kind !== 'network') return;
    const name = formatPrefix(change.prefix);
    settled = settled
      .then(() => reach([change.prefix]))
      .then(() => log('info', `network ${name} is reachable through ${tun.name}`))
      .catch((error: Error) =>
        log('error', `network ${name} is not reachable from this host: ${error.message}`),
      );
  });
  return { settled: () => settled };
}
