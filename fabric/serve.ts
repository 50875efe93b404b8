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
import { type Failure, isFailure } from '../protocol/failure.ts';
import { formatPrefix } from '../protocol/ipv6.ts';
import type { ServerKey } from '../protocol/xtt/stateless.ts';
import { readMail } from './alarms/mail.ts';
import { watchAlarms } from './alarms/watch.ts';
import { type Parts, startControl } from './control.ts';
import { keepLists } from './crl/keep.ts';
import { estAuthority } from './est/authority.ts';
import { startEst } from './est/start.ts';
import { openLocator, type PlaceFiles } from './geo/locator.ts';
import { type PausableIdentity, startPausable } from './identity/pausable.ts';
// Needed when a group is added, perhaps after an upgrade has replaced the program's files: so it is loaded at the start.
import './labels/label.ts';
import { EVERYTHING } from './access/scope.ts';
import { type JobKeeper, openJobKeeper } from './jobs/kept.ts';
import { countHandshakes } from './metrics/handshakes.ts';
import { metricsOf, openMetrics } from './metrics/serve.ts';
import { type HandshakeKeeper, keepHandshakes } from './nodes/handshakes.ts';
import { keepNode, type Leaving, type NodeIdentity, type NodeKeeper } from './nodes/keep.ts';
import { openRegistry } from './open-registry.ts';
import { outageLog } from './outage-log.ts';
import { type Authority, certificateIn, loadAuthority, oldestRoot } from './pki/authority.ts';
import { FILES, JOBS, pathOf } from './pki/files.ts';
import { type AuthorityKeeper, openAuthority } from './pki/keeper.ts';
import { DUTIES, type Duty } from './registry/nodes.ts';
import { eachRow } from './registry/pages.ts';
import type { Registry } from './registry/registry.ts';
import { keepSwept } from './registry/sweeping.ts';
import type { Router } from './router/router.ts';
import { startTunnels, type TunnelOptions, type Tunnels } from './tunnels.ts';

/** How soon a change by another process is noticed if its notification was lost. */
const POLL_MS = 250;
/** How long handshakes and operations in progress may take when the fabric is told to stop. */
const GRACE_MS = 5_000;

export interface ServeOptions extends TunnelOptions {
  readonly data: string;
  /** Which of the fabrics on one registry this is; the only one unless given. */
  readonly node?: NodeIdentity;
  /** What it serves: all, unless given; what is not is not opened, wherever it would be. */
  readonly serves?: readonly Duty[];
  readonly identity: ListenAddress;
  /** Where certificates are issued (EST); nowhere unless given. */
  readonly est?: ListenAddress;
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
  /** How many processes serve handshakes; 1: this one does. */
  readonly processes?: number;
}

export interface Fabric {
  /** Absent where it is not served, as the port of the router. */
  readonly identityPort?: number;
  /** Which implementations compute handshakes: it explains a slow fabric. */
  readonly arithmetic?: Arithmetic;
  readonly tunnelPort?: number;
  readonly estPort?: number;
  readonly networks: readonly string[];
  /** Reads again what may change while it serves: the database of places. */
  reload(): Promise<void>;
  /** Resolves if it cannot go on, and has to be stopped. */
  readonly failed: Promise<Failure>;
  /** Waits for what is in progress, then closes everything. */
  stop(): Promise<void>;
}

export interface Arithmetic {
  readonly ecdaa: EcdaaCore;
  readonly curves: 'native' | 'portable';
}

/**
 * Runs a fabric, or a part of one: identity server, tunnel router, this host's routes to the devices, and the control socket on which
 * commands run their operations.
 * @throws Failure of any part; what was started is stopped again
 */
export async function serve(options: ServeOptions): Promise<Fabric> {
  const { data, serves = DUTIES } = options;
  const outage = outageLog(options.log);
  const { log } = outage;
  const started: (() => unknown)[] = [outage.close];
  let fail: (failure: Failure) => void = () => {};
  const failed = new Promise<Failure>((resolve) => {
    fail = resolve;
  });
  const stop = async (): Promise<void> => {
    notify('STOPPING=1');
    hurryCommands();
    for (let close = started.pop(); close !== undefined; close = started.pop()) await close();
  };
  try {
    await loadAuthority(data);
    const mail = options.mail === undefined ? undefined : await readMail(options.mail);
    const logFailure = repeatedLine(log, 'error', { subjects: 1 });
    const onError = (error: unknown): void => logFailure('', `registry: ${(error as Error).message}`, error);
    started.push(logFailure.close);
    const places = await openLocator(options.places ?? {}, (message) => log('warning', message));
    const { locate, cityOf } = places;
    const path = pathOf(data, 'registry');
    const registry = await openRegistry(path, { onError, locate, cityOf, serves });
    started.push(() => registry.close());
    const lost = registry.missing();
    if (lost !== undefined) log('error', `${lost.code}: ${lost.message}. ${lost.action}`);

    const parts: Parts = { registry, log, serves };
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
      options.node === undefined
        ? undefined
        : await keepNode(registry, options.node, { data, log, onBeat: outage.worked, onNameTaken: fail });
    started.push(() => node?.close());
    started.push(await registry.follow(POLL_MS));
    started.push(keepSwept(registry, onError, serves.includes('console')));

    const tunnels = serves.includes('tunnels')
      ? await startTunnels(
          options,
          { ...{ registry, path, authority, log }, node: options.node?.name },
          started,
        )
      : undefined;
    if (tunnels !== undefined) Object.assign(parts, { router: tunnels.router, routes: tunnels.routes });

    const counted = countHandshakes(registry);
    const handshakes = serves.includes('identity')
      ? await startHandshakes(
          { ...options, log },
          { registry: counted.registry, authority, node: options.node },
          started,
        )
      : undefined;
    if (node !== undefined) await followNode(node, { tunnels, handshakes: handshakes?.keeper, log });

    keys.follow(async (next) => {
      handshakes?.identity.replaceKeys(serverKeys(next));
      await tunnels?.router.replaceIdentity(next.router, next);
      handshakes?.est?.replaceTls(next.router);
    });
    keysFollowed(keys);
    const certificates = () => certificatesOf(keys.authority, options.consoleCertificate);
    parts.metrics = metricsOf({
      ...{ data, registry, serves, certificates },
      ...(tunnels !== undefined && { router: tunnels.router }),
      ...(handshakes !== undefined && { handshakes: counted.numbers }),
    });
    if (options.metrics !== undefined) started.push(await openMetrics(options.metrics, parts.metrics, log));
    if (serves.includes('console')) {
      const allowPrivate = options.privateHooks ?? false;
      started.push(
        watchAlarms({
          ...{ registry, data, log, certificates, places: places.used },
          placesOldDays: options.placesOldDays ?? 0,
          sending: { allowPrivate, ...(mail !== undefined && { mail }) },
        }),
        keepLists(registry, { allowPrivate }, log),
      );
    }

    const periodMs = watchdogPeriodMs();
    if (periodMs !== undefined) {
      const timer = setInterval(() => notify('WATCHDOG=1'), periodMs / 2);
      started.push(() => clearInterval(timer));
    }
    const at = (listen: ListenAddress, port: number | undefined): string | null =>
      port === undefined ? null : formatListen({ ...listen, port });
    const where = {
      identity: at(options.identity, handshakes?.identity.port),
      tunnel: at(options.tunnel, tunnels?.router.port),
    };
    parts.serving = async () => ({
      ...{ serves, ...where },
      host: (await tunnels?.host()) ?? null,
      ...(tunnels !== undefined && { learned: tunnels.router.learned }),
    });
    notify('READY=1');
    return {
      ...(handshakes !== undefined && {
        identityPort: handshakes.identity.port,
        arithmetic: { ecdaa: ecdaaCore().name, curves: handshakes.identity.native ? 'native' : 'portable' },
      }),
      ...(tunnels !== undefined && { tunnelPort: tunnels.router.port }),
      ...(handshakes?.est !== undefined && { estPort: handshakes.est.port }),
      networks: await networksOf(registry),
      failed,
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

/** The identity server, and EST. */
async function startHandshakes(
  options: ServeOptions,
  {
    registry,
    authority,
    node,
  }: { readonly registry: Registry; readonly authority: Authority; readonly node: NodeIdentity | undefined },
  started: (() => unknown)[],
) {
  const { data, log } = options;
  const identity: PausableIdentity = await startPausable(
    {
      ...{ listen: options.identity, keys: serverKeys(authority), registry, log },
      processes: options.processes ?? 1,
      maxConnections: options.maxConnections,
    },
    GRACE_MS,
  );
  started.push(identity.close);
  const keeper =
    node === undefined
      ? undefined
      : keepHandshakes({ server: identity, nodes: registry, own: node.name, log });
  started.push(() => keeper?.close());
  const est =
    options.est === undefined
      ? undefined
      : await startEst({
          ...{ listen: options.est, tls: authority.router, log },
          authority: estAuthority(registry, data),
        });
  started.push(() => est?.close());
  return { identity, keeper, est };
}

/**
 * The node says how many tunnels its router has. Its agents leave while it is to drain, or its routes reach nobody; while it is to drain devices provision
 * elsewhere, too.
 */
async function followNode(
  node: NodeKeeper,
  {
    tunnels,
    handshakes,
    log,
  }: {
    readonly tunnels: Tunnels | undefined;
    readonly handshakes: HandshakeKeeper | undefined;
    readonly log: Log;
  },
): Promise<void> {
  const router = tunnels?.router;
  if (router !== undefined) node.carries(() => router.sizes.agent + router.sizes.c);
  let before: Leaving | undefined;
  let ours: Router['draining'];
  await node.followLeaving(async (why) => {
    handshakes?.drain(why === 'drain');
    if (why !== undefined) {
      await router?.drain(WHEN_LEAVING[why]);
      ours = router?.draining;
      log('notice', WHY[why]);
      // What "enf-fabric drain" has begun meanwhile goes on when the routes are back.
    } else if (before === 'drain' || (before !== undefined && router?.draining === ours)) {
      await router?.resume();
      log('notice', 'devices may stay at this node');
    }
    before = why;
  });
  if (tunnels?.bird !== undefined) node.watchRoutes(tunnels.bird.lost);
}

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
