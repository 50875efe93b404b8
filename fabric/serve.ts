import { type EcdaaCore, ecdaaCore } from '../crypto/ecdaa.ts';
import { serveControl, TextAnswer } from '../os/net/control-socket.ts';
import type { ListenAddress } from '../os/net/listen.ts';
import type { Log } from '../os/service/log.ts';
import { notify } from '../os/service/notify.ts';
import { watchdogPeriodMs } from '../os/service/process.ts';
import { formatPrefix } from '../protocol/ipv6.ts';
import { openTunDevice } from '../tunnel/client.ts';
import { startIdentity } from './identity/start.ts';
import { loadAuthority, pathOf } from './pki/authority.ts';
import { openRegistry } from './registry/sqlite/registry.ts';
import { type HostRoutes, installHostRoutes } from './router/host-routes.ts';
import { METRICS_TYPE, routerMetrics } from './router/metrics.ts';
import { type Router, startRouter } from './router/router.ts';

/** How soon a change by another process is noticed if its nudge got lost. */
const POLL_MS = 250;
/** How long handshakes in progress may take when the fabric is told to stop. */
const GRACE_MS = 5_000;

export interface ServeOptions {
  readonly data: string;
  readonly identity: ListenAddress;
  readonly tunnel: ListenAddress;
  /** Name of the TUN device through which this host reaches the devices; undefined: it does not. */
  readonly tun: string | undefined;
  readonly log: Log;
  /** Connections that devices may have open for provisioning; as many as the system allows, up to 16,384, by default. */
  readonly maxConnections?: number;
  /** How many threads carry packets, 1 to 16; `defaultThreads()` unless given. */
  readonly routerThreads?: number;
  /** How many processes serve handshakes; 1: this one does. */
  readonly processes?: number;
}

export interface Fabric {
  readonly identityPort: number;
  /** Who computes: for the one who starts it, and who wonders why it is slow. */
  readonly arithmetic: Arithmetic;
  readonly tunnelPort: number;
  readonly networks: readonly string[];
  /** Lets what is in progress end, closes everything. */
  stop(): Promise<void>;
}

export interface Arithmetic {
  readonly ecdaa: EcdaaCore;
  readonly curves: 'native' | 'portable';
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
    let routes: HostRoutes | undefined;
    const control = await serveControl(pathOf(data, 'control'), async ({ method, path }) => {
      if (method === 'GET' && path === '/sessions') return router?.sessions() ?? [];
      if (method === 'GET' && path === '/metrics' && router !== undefined) {
        return new TextAnswer(METRICS_TYPE, routerMetrics(router));
      }
      if (method !== 'POST' || path !== '/changed') return undefined;
      registry.catchUp();
      await routes?.settled();
      return {};
    });
    started.push(() => control.close());
    // From here on this is the only fabric on the folder.
    started.push(registry.follow(POLL_MS));

    const tun = options.tun === undefined ? undefined : openTunDevice(options.tun, 2, true);
    if (tun !== undefined) {
      // Once the router has started, the device is its own.
      started.push(() => (router === undefined ? tun.close() : undefined));
      routes = installHostRoutes(tun.name, registry, log);
      await routes.settled();
    }

    router = await startRouter({
      listen: options.tunnel,
      ...authority.router,
      admission: registry,
      ...(tun === undefined ? {} : { tun }),
      ...(options.routerThreads === undefined ? {} : { threads: options.routerThreads }),
      log,
    });
    started.push(() => router?.close());

    const identity = await startIdentity({
      listen: options.identity,
      certificate: authority.serverCertificate,
      key: authority.serverKey,
      registry,
      log,
      processes: options.processes ?? 1,
      maxConnections: options.maxConnections,
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
      arithmetic: { ecdaa: ecdaaCore().name, curves: identity.native ? 'native' : 'portable' },
      tunnelPort: router.port,
      networks: registry.networks().map((network) => formatPrefix(network.prefix)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
