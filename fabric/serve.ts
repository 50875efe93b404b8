import { basename, join } from 'node:path';
import { type EcdaaCore, ecdaaCore } from '../crypto/ecdaa.ts';
import { readBounded } from '../os/files/read.ts';
import { hurryCommands } from '../os/linux/command.ts';
import type { Loopback } from '../os/net/control-socket.ts';
import { formatListen, type ListenAddress } from '../os/net/listen.ts';
import type { Log } from '../os/service/log.ts';
import { notify } from '../os/service/notify.ts';
import { watchdogPeriodMs } from '../os/service/process.ts';
import { repeatedLine } from '../os/service/repeats.ts';
import { isFailure } from '../protocol/failure.ts';
import { formatPrefix } from '../protocol/ipv6.ts';
import type { Beats } from '../protocol/tunnel/beats.ts';
import { openTunDevice } from '../tunnel/client.ts';
import { readMail } from './alarms/mail.ts';
import { watchAlarms } from './alarms/watch.ts';
import { type BirdWatch, watchBird } from './bgp/watch.ts';
import { type Parts, startControl } from './control.ts';
import { keepLists } from './crl/keep.ts';
import { startNames } from './dns/start.ts';
import { estAuthority } from './est/authority.ts';
import { startEst } from './est/start.ts';
import { openLocator, type PlaceFiles } from './geo/locator.ts';
import { type Host, openHost } from './host/host.ts';
import { type HostServices, NO_SERVICES } from './host/services.ts';
import { openTunnelRoutes, type RoutesSettings, type TunnelRoutes } from './host/tunnel-routes.ts';
import type { ServerKey } from './identity/credentials.ts';
import { startIdentity } from './identity/start.ts';
// Needed when a group is added, perhaps after an upgrade has replaced the program's files: so it is loaded at the start.
import './labels/label.ts';
import { EVERYTHING } from './access/scope.ts';
import { type JobKeeper, openJobKeeper } from './jobs/kept.ts';
import { countHandshakes } from './metrics/handshakes.ts';
import { metricsOf, openMetrics } from './metrics/serve.ts';
import { keepNode, type Leaving, type NodeIdentity, type NodeKeeper } from './nodes/keep.ts';
import { openRegistry } from './open-registry.ts';
import { type Authority, certificateIn, loadAuthority, oldestRoot } from './pki/authority.ts';
import { FILES, JOBS, pathOf } from './pki/files.ts';
import { type AuthorityKeeper, openAuthority } from './pki/keeper.ts';
import { eachRow } from './registry/pages.ts';
import type { Registry } from './registry/registry.ts';
import { keepSwept } from './registry/sweeping.ts';
import { type Router, startRouter } from './router/router.ts';

/** How soon a change by another process is noticed if its notification was lost. */
const POLL_MS = 250;
/** How long handshakes and operations in progress may take when the fabric is told to stop. */
const GRACE_MS = 5_000;

export interface ServeOptions {
  readonly data: string;
  /** Which of the fabrics on one registry this is; the only one unless given. */
  readonly node?: NodeIdentity;
  readonly identity: ListenAddress;
  readonly tunnel: ListenAddress;
  /** Where certificates are issued (EST); nowhere unless given. */
  readonly est?: ListenAddress;
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
  readonly log: Log;
  /** Databases of places (.mmdb) for the handshakes that are written; countries that come with the program unless given. */
  readonly places?: PlaceFiles;
  /** Such a database is old after so many days; 0: never. */
  readonly placesOldDays?: number;
  /** A file that says by which server mail of hooks leaves, see `readMail`; without one there is none. */
  readonly mail?: string | undefined;
  /** Where everybody on this host may read the metrics; nowhere unless given. */
  readonly metrics?: Loopback;
  /** The file of the console's certificate, whose end is watched, too. */
  readonly consoleCertificate?: string | undefined;
  /** Hooks and addresses of lists of revoked certificates may lead into private networks. */
  readonly privateHooks?: boolean;
  /** Connections that devices may have open for provisioning; as many as the system allows, up to 16,384, by default. */
  readonly maxConnections?: number;
  /** Devices may retire themselves over their tunnels; unless this is false. */
  readonly decommission?: boolean;
  /** How many tunnels may begin in a second, with all routers of the fabric: devices are told how long they may wait. They are not, unless given. */
  readonly connectsPerSecond?: number;
  /** Devices are told to send heartbeats so soon; nothing is said of them unless given. */
  readonly beats?: Beats;
  /** How many threads carry packets, 1 to 16; `defaultThreads()` unless given. */
  readonly routerThreads?: number;
  /** How many processes serve handshakes; 1: this one does. */
  readonly processes?: number;
}

export interface Fabric {
  readonly identityPort: number;
  /** Which implementations compute: it explains a slow fabric. */
  readonly arithmetic: Arithmetic;
  readonly tunnelPort: number;
  readonly estPort?: number;
  readonly networks: readonly string[];
  /** Reads again what may change while it serves: the database of places. */
  reload(): Promise<void>;
  /** Waits for what is in progress, then closes everything. */
  stop(): Promise<void>;
}

export interface Arithmetic {
  readonly ecdaa: EcdaaCore;
  readonly curves: 'native' | 'portable';
}

/**
 * Runs a fabric: identity server, tunnel router, this host's routes to the devices, and the control socket on which
 * commands run their operations.
 * @throws Failure of any part; what was started is stopped again
 */
export async function serve(options: ServeOptions): Promise<Fabric> {
  const { data, log } = options;
  const started: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    notify('STOPPING=1');
    hurryCommands();
    for (let close = started.pop(); close !== undefined; close = started.pop()) await close();
  };
  try {
    await loadAuthority(data);
    const mail = options.mail === undefined ? undefined : await readMail(options.mail);
    const logFailure = repeatedLine(log, 'error', { subjects: 1 });
    const onError = (error: unknown): void => logFailure('', `registry: ${(error as Error).message}`);
    started.push(logFailure.close);
    const places = await openLocator(options.places ?? {}, (message) => log('warning', message));
    const { locate, cityOf } = places;
    const registry = await openRegistry(pathOf(data, 'registry'), { onError, locate, cityOf });
    started.push(() => registry.close());
    const lost = registry.missing();
    if (lost !== undefined) log('error', `${lost.code}: ${lost.message}. ${lost.action}`);

    const parts: Parts = { registry, log };
    // Operations on keys wait until all that serve them take what they change.
    let keysFollowed: (keys: AuthorityKeeper) => void = () => {};
    parts.keys = new Promise((resolve) => {
      keysFollowed = resolve;
    });
    let jobsFound: (jobs: JobKeeper) => void = () => {};
    parts.jobs = new Promise((resolve) => {
      jobsFound = resolve;
    });
    const control = await startControl(pathOf(data, 'control'), parts);
    started.push(() => control.close(GRACE_MS));
    // From here on this is the only fabric on the folder.
    jobsFound(await openJobKeeper(join(data, JOBS)));
    const keys = await openAuthority(data);
    const { authority } = keys;
    const node =
      options.node === undefined ? undefined : await keepNode(registry, options.node, { data, log });
    started.push(() => node?.close());
    started.push(await registry.follow(POLL_MS));
    started.push(keepSwept(registry, onError));

    const tun = options.tun === undefined ? undefined : openTunDevice(options.tun, 2, true);
    let host: Host | undefined;
    let tunnelRoutes: TunnelRoutes | undefined;
    if (tun !== undefined) {
      // A router that has started closes the device itself.
      started.push(() => (parts.router === undefined ? tun.close() : undefined));
      const { names = false } = options;
      const services = { ...(options.hostServices ?? NO_SERVICES), names };
      host = await openHost(tun.name, services, registry, log, options.routes !== undefined);
      started.push(host.close);
      parts.routes = host.routes;
      if (options.routes !== undefined) {
        tunnelRoutes = await openTunnelRoutes(tun.name, options.routes, log);
        started.push(tunnelRoutes.close);
      }
      if (names) started.push((await startNames(registry, pathOf(data, 'registry'), log)).close);
    }

    const router = await startRouter({
      listen: options.tunnel,
      ...authority.router,
      roots: authority,
      admission: registry,
      networks: {
        ...registry,
        networks: registry.of(EVERYTHING).networks,
        pool: registry.of(EVERYTHING).pool,
      },
      rules: { ...registry, rules: registry.of(EVERYTHING).rules },
      rates: { ...registry, rateLimits: registry.of(EVERYTHING).rateLimits },
      ...(options.connectsPerSecond !== undefined && {
        pace: {
          connectsPerSecond: options.connectsPerSecond,
          devices: async () => (await registry.of(EVERYTHING).census()).devices,
        },
      }),
      ...(options.beats !== undefined && { beats: options.beats }),
      ...(tun === undefined ? {} : { tun }),
      ...(options.routerThreads === undefined ? {} : { threads: options.routerThreads }),
      ...(options.decommission === undefined ? {} : { decommission: options.decommission }),
      several: node !== undefined,
      ...(tunnelRoutes !== undefined && { routes: tunnelRoutes }),
      log,
    });
    parts.router = router;
    started.push(() => router.close());
    if (node !== undefined) await carry(node, router, log);
    const bird = options.routes?.birdSocket ? watchBird(options.routes.birdSocket) : undefined;
    if (bird !== undefined) node?.watchRoutes(bird.lost);

    const counted = countHandshakes(registry);
    const identity = await startIdentity({
      listen: options.identity,
      keys: serverKeys(authority),
      registry: counted.registry,
      log,
      processes: options.processes ?? 1,
      maxConnections: options.maxConnections,
    });
    started.push(() => identity.close(GRACE_MS));

    const est =
      options.est === undefined
        ? undefined
        : await startEst({
            ...{ listen: options.est, tls: authority.router, log },
            authority: estAuthority(registry, data),
          });
    started.push(() => est?.close());

    keys.follow(async (next) => {
      identity.replaceKeys(serverKeys(next));
      await router.replaceIdentity(next.router, next);
      est?.replaceTls(next.router);
    });
    keysFollowed(keys);
    const certificates = () => certificatesOf(keys.authority, options.consoleCertificate);
    parts.metrics = metricsOf({ data, registry, router, certificates, handshakes: counted.numbers });
    if (options.metrics !== undefined) started.push(await openMetrics(options.metrics, parts.metrics, log));

    started.push(
      watchAlarms({
        ...{ registry, data, log, certificates, places: places.used },
        placesOldDays: options.placesOldDays ?? 0,
        sending: { allowPrivate: options.privateHooks ?? false, ...(mail !== undefined && { mail }) },
      }),
    );

    started.push(keepLists(registry, { allowPrivate: options.privateHooks ?? false }, log));

    const periodMs = watchdogPeriodMs();
    if (periodMs !== undefined) {
      const timer = setInterval(() => notify('WATCHDOG=1'), periodMs / 2);
      started.push(() => clearInterval(timer));
    }
    const identityAt = formatListen({ ...options.identity, port: identity.port });
    const tunnelAt = formatListen({ ...options.tunnel, port: router.port });
    parts.serving = async () => ({
      identity: identityAt,
      tunnel: tunnelAt,
      host:
        (host && {
          ...(await host.serving()),
          ...(tunnelRoutes && {
            routes: { ...tunnelRoutes.serving(), ...(bird && { bird: birdView(bird) }) },
          }),
        }) ??
        null,
      learned: router.learned,
    });
    notify('READY=1');
    return {
      identityPort: identity.port,
      arithmetic: { ecdaa: ecdaaCore().name, curves: identity.native ? 'native' : 'portable' },
      tunnelPort: router.port,
      ...(est !== undefined && { estPort: est.port }),
      networks: await networksOf(registry),
      async reload() {
        log('notice', `places of handshakes: ${(await places.reload()) ?? 'none are known'}`);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Seconds: agents move to another node within so many, and those that know none come back after so many. Sooner from where nobody reaches them. */
const WHEN_LEAVING = {
  drain: { within: 30, retryAfter: 10 },
  'routes-lost': { within: 10, retryAfter: 10 },
};
const WHY = {
  drain: 'this node drains',
  'routes-lost': 'devices are to go to other nodes, which are reached',
};

/** The node says how many tunnels its router has, and its agents leave while it is to drain, or its routes reach nobody. */
async function carry(node: NodeKeeper, router: Router, log: Log): Promise<void> {
  node.carries({ tunnels: () => router.sizes.agent + router.sizes.c, recall: router.recall });
  let before: Leaving | undefined;
  let ours: Router['draining'];
  await node.followLeaving(async (why) => {
    if (why !== undefined) {
      await router.drain(WHEN_LEAVING[why]);
      ours = router.draining;
      log('notice', WHY[why]);
      // What "enf-fabric drain" has begun meanwhile goes on when the routes are back.
    } else if (before === 'drain' || (before !== undefined && router.draining === ours)) {
      await router.resume();
      log('notice', 'devices may stay at this node');
    }
    before = why;
  });
}

const birdView = ({ socket, failing }: BirdWatch) => ({ socket, failing });

/** Devices that do not say which root they trust get a certificate of the oldest one that is in force. */
function serverKeys(authority: Authority): readonly ServerKey[] {
  const first = oldestRoot(authority);
  return [first, ...authority.roots.filter((root) => root !== first)].map(({ pair, server }) => ({
    root: pair.xttRoot,
    ...server,
  }));
}

/** The certificates that have an end, PEM, by the names of their files. */
async function certificatesOf(
  { router }: Authority,
  consoleFile: string | undefined,
): Promise<Readonly<Record<string, string>>> {
  const ofConsole = consoleFile === undefined ? undefined : await readPublished(consoleFile);
  return {
    [FILES.router]: router.certificate,
    ...(ofConsole !== undefined && { [basename(consoleFile!)]: ofConsole }),
  };
}

/** A certificate in a file of another program; undefined if this process may not read it, or there is none. */
async function readPublished(path: string): Promise<string | undefined> {
  try {
    const pem = new TextDecoder().decode(await readBounded(path, 'certificate'));
    certificateIn(pem, path);
    return pem;
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}

/** The prefixes of all networks as text. */
async function networksOf(registry: Registry): Promise<string[]> {
  const texts: string[] = [];
  for await (const { prefix } of eachRow((page) => registry.of(EVERYTHING).networks(page)))
    texts.push(formatPrefix(prefix));
  return texts;
}
