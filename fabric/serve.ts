import { type EcdaaCore, ecdaaCore } from '../crypto/ecdaa.ts';
import { configureInterface, routeThrough } from '../os/linux/iproute.ts';
import { hasNativeDoor } from '../os/net/acceptor.ts';
import { serveControl, TextAnswer } from '../os/net/control-socket.ts';
import type { ListenAddress } from '../os/net/listen.ts';
import type { Log } from '../os/service/log.ts';
import { notify } from '../os/service/notify.ts';
import { descriptorLimit, watchdogPeriodMs } from '../os/service/process.ts';
import { Failure } from '../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../protocol/ipv6.ts';
import { openPlaneDevice } from '../tunnel/client.ts';
import { openEntrance } from './identity/acceptor.ts';
import type { Limits } from './identity/limits.ts';
import { DEADLINES, LIMITS, startIdentityServer } from './identity/server.ts';
import { type Crew, startCrew } from './identity/workers.ts';
import { type Authority, loadAuthority, pathOf } from './pki/authority.ts';
import { hostAddress } from './registry/address.ts';
import { openRegistry, type Registry } from './registry/registry.ts';
import { METRICS_TYPE, routerMetrics } from './router/metrics.ts';
import { type Router, startRouter } from './router/router.ts';

/** How soon a change by another process is noticed if its nudge got lost. */
const POLL_MS = 250;
/** How long handshakes in progress may take when the fabric is told to stop. */
const GRACE_MS = 5_000;
/** Files and sockets beside those of devices that provision: registry, logs, control socket, tunnels. */
const RESERVED_DESCRIPTORS = 512;
/** As the devices have it (enftun.md §4). */
const TUN_MTU = 1_280;

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
    let reach: Reach | undefined;
    const control = await serveControl(pathOf(data, 'control'), async ({ method, path }) => {
      if (method === 'GET' && path === '/sessions') return router?.sessions() ?? [];
      if (method === 'GET' && path === '/metrics' && router !== undefined) {
        return new TextAnswer(METRICS_TYPE, routerMetrics(router));
      }
      if (method !== 'POST' || path !== '/changed') return undefined;
      registry.catchUp();
      await reach?.settled();
      return {};
    });
    started.push(() => control.close());
    // From here on this is the only fabric on the folder.
    started.push(registry.follow(POLL_MS));

    const tun = options.tun === undefined ? undefined : openPlaneDevice(options.tun, 2, true);
    if (tun !== undefined) {
      // Once the router has started, the device is its own.
      started.push(() => (router === undefined ? tun.close() : undefined));
      reach = reachDevices(tun.name, registry, log);
      await reach.settled();
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

    const identity = await startIdentity(options, authority, registry);
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

/** The identity server, in this process or in others. */
async function startIdentity(
  { identity: listen, log, processes = 1, maxConnections }: ServeOptions,
  { serverCertificate: certificate, serverKey: key }: Authority,
  registry: Registry,
): Promise<{ port: number; native: boolean; close(graceMs: number): Promise<void> }> {
  const limits = connectionLimits(maxConnections, processes);
  if (processes === 1) return startIdentityServer({ listen, certificate, key, registry, log, limits });
  if (!hasNativeDoor()) throw needsAddon();
  const { descriptor, port } = openEntrance(listen);
  const orders = { certificate, key, limits, deadlines: DEADLINES };
  const crew: Crew = await startCrew({ processes, descriptor, orders, books: registry, log });
  const silence = registry.subscribe((change) => {
    if (change.kind === 'group') crew.forget();
  });
  return {
    port,
    native: crew.native,
    close(graceMs) {
      silence();
      return crew.close(graceMs);
    },
  };
}

/**
 * How many connections each process takes. What is asked for has to be possible: a connection is a descriptor, and the
 * registry, the tunnels and the log need some, too. @throws Failure `fabric.too-few-descriptors`
 */
export function connectionLimits(
  asked: number | undefined,
  processes: number,
  descriptors = descriptorLimit(),
): Limits {
  const possible = Math.max(1, descriptors - RESERVED_DESCRIPTORS);
  const each = Math.ceil((asked ?? Math.min(LIMITS.total, possible * processes)) / processes);
  if (each > possible) {
    throw new Failure(
      'fabric.too-few-descriptors',
      'operator',
      `${each} connections for each process need ${each + RESERVED_DESCRIPTORS} open files, the limit is ${descriptors}`,
      { action: 'Raise LimitNOFILE= of the service (ulimit -n), or ask for fewer with --max-connections.' },
    );
  }
  return { total: each, perSource: LIMITS.perSource };
}

function needsAddon(): Failure {
  return new Failure(
    'fabric.needs-addon',
    'operator',
    'several processes need the addon, which was not built',
    {
      action: 'Build it with "npm run build", or serve with one process.',
    },
  );
}

/** This host's way into the networks. */
interface Reach {
  /** Resolves when addresses and routes of all networks known so far are in place. @throws Failure of `ip` at the start */
  settled(): Promise<void>;
}

/** Gives the host its address `<prefix>::1` and a route in every network, also in those added later. */
function reachDevices(tun: string, registry: Registry, log: Log): Reach {
  const reach = async (prefixes: readonly Prefix[]): Promise<void> => {
    const own = prefixes.map((prefix) => `${formatIpv6(hostAddress(prefix.address))}/128`);
    await configureInterface(tun, TUN_MTU, own);
    for (const prefix of prefixes) await routeThrough(formatPrefix(prefix), tun);
  };
  let settled = reach(registry.networks().map((network) => network.prefix));
  registry.subscribe((change) => {
    if (change.kind !== 'network') return;
    const name = formatPrefix(change.prefix);
    settled = settled
      .then(() => reach([change.prefix]))
      .then(() => log('info', `network ${name} is reachable through ${tun}`))
      .catch((error: Error) =>
        log('error', `network ${name} is not reachable from this host: ${error.message}`),
      );
  });
  return { settled: () => settled };
}
