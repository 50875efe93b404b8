import type { ListenAddress } from '../os/net/listen.ts';
import type { Log } from '../os/service/log.ts';
import type { Beats } from '../protocol/tunnel/beats.ts';
import { openTunDevice } from '../tunnel/client.ts';
import { EVERYTHING } from './access/scope.ts';
import { type BirdWatch, watchBird } from './bgp/watch.ts';
import { startNames } from './dns/start.ts';
import { openHost } from './host/host.ts';
import type { HostRoutes } from './host/routes.ts';
import { type HostServices, NO_SERVICES } from './host/services.ts';
import { openTunnelRoutes, type RoutesSettings } from './host/tunnel-routes.ts';
import type { HostServing } from './operations/contract/serving.ts';
import type { Authority } from './pki/authority.ts';
import type { Registry } from './registry/registry.ts';
import { type Router, startRouter } from './router/router.ts';

/** Where tunnels end: the router, and the part of this host in the networks of the devices. */

export interface TunnelOptions {
  readonly tunnel: ListenAddress;
  /** Name of the TUN device through which this host reaches the devices; undefined: it does not. */
  readonly tun: string | undefined;
  /** Which services of this host devices may use through it; none unless given. */
  readonly hostServices?: HostServices;
  /** Devices find each other by name, see `startNames`. */
  readonly names?: boolean;
  /** Where the routes of tunnels go for the other nodes of the fabric; nowhere unless given. Takes a TUN device. */
  readonly routes?: RoutesSettings & {
    /** The control socket of BIRD, which is asked whether it tells them; nobody asks unless given, or if it is empty. */
    readonly birdSocket?: string;
  };
  /** Devices may retire themselves over their tunnels; unless this is false. */
  readonly decommission?: boolean;
  /** How many tunnels may begin in a second, with all routers of the fabric: devices are told how long they may wait. They are not, unless given. */
  readonly connectsPerSecond?: number;
  /** Devices are told to send heartbeats so soon; nothing is said of them unless given. */
  readonly beats?: Beats;
  /** How many threads carry packets, 1 to 16; `defaultThreads()` unless given. */
  readonly routerThreads?: number;
}

export interface TunnelParts {
  readonly registry: Registry;
  /** The path of the registry, which the process that answers names reads, too. */
  readonly path: string;
  readonly authority: Authority;
  /** The name of this node, beside which others may have tunnels of the same devices. */
  readonly node?: string | undefined;
  readonly log: Log;
}

export interface Tunnels {
  readonly router: Router;
  /** Undefined: this host has no part in the networks. */
  readonly routes?: HostRoutes;
  /** Whether other nodes learn of the routes here; undefined: nobody asks. */
  readonly bird?: BirdWatch;
  host(): Promise<HostServing | null>;
}

/** Starts all of that, and pushes what ends each part of it to `started`. @throws Failure of any part */
export async function startTunnels(
  options: TunnelOptions,
  { registry, path, authority, node, log }: TunnelParts,
  started: (() => unknown)[],
): Promise<Tunnels> {
  const { names = false, hostServices = NO_SERVICES, routes } = options;
  const tun = options.tun === undefined ? undefined : openTunDevice(options.tun, 2, true);
  let router: Router | undefined;
  let host: HostPart | undefined;
  if (tun !== undefined) {
    // A router that has started closes the device itself.
    started.push(() => (router === undefined ? tun.close() : undefined));
    host = await openHostPart(
      tun.name,
      { services: { ...hostServices, names }, routes },
      { registry, log },
      started,
    );
    if (names) started.push((await startNames(registry, path, log)).close);
  }
  const all = registry.of(EVERYTHING);
  router = await startRouter({
    listen: options.tunnel,
    ...authority.router,
    roots: authority,
    admission: registry,
    networks: { ...registry, networks: all.networks, pool: all.pool },
    rules: { ...registry, rules: all.rules },
    rates: { ...registry, rateLimits: all.rateLimits },
    ...(options.connectsPerSecond !== undefined && {
      pace: {
        connectsPerSecond: options.connectsPerSecond,
        devices: async () => (await all.census()).devices,
      },
    }),
    ...(options.beats !== undefined && { beats: options.beats }),
    ...(tun !== undefined && { tun }),
    ...(options.routerThreads !== undefined && { threads: options.routerThreads }),
    ...(options.decommission !== undefined && { decommission: options.decommission }),
    ...(node !== undefined && { node }),
    ...(host?.tunnelRoutes !== undefined && { routes: host.tunnelRoutes }),
    log,
  });
  started.push(router.close);
  return {
    router,
    ...(host !== undefined && { routes: host.routes }),
    ...(host?.bird !== undefined && { bird: host.bird }),
    host: async () => (await host?.serving()) ?? null,
  };
}

type HostPart = Awaited<ReturnType<typeof openHostPart>>;

async function openHostPart(
  tun: string,
  { services, routes }: { readonly services: HostServices; readonly routes: TunnelOptions['routes'] },
  { registry, log }: Pick<TunnelParts, 'registry' | 'log'>,
  started: (() => unknown)[],
) {
  const host = await openHost(tun, services, registry, log, routes !== undefined);
  started.push(host.close);
  const tunnelRoutes = routes === undefined ? undefined : await openTunnelRoutes(tun, routes, log);
  if (tunnelRoutes !== undefined) started.push(tunnelRoutes.close);
  const bird = routes?.birdSocket ? watchBird(routes.birdSocket) : undefined;
  return {
    ...{ routes: host.routes, tunnelRoutes, bird },
    serving: async (): Promise<HostServing> => ({
      ...(await host.serving()),
      ...(tunnelRoutes !== undefined && {
        routes: { ...tunnelRoutes.serving(), ...(bird !== undefined && { bird: birdView(bird) }) },
      }),
    }),
  };
}

const birdView = ({ socket, failing }: BirdWatch) => ({ socket, failing });
