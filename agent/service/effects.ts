import { openFolder } from '../../os/files/folder.ts';
import { sourceTowards } from '../../os/linux/netlink.ts';
import { type Lookup, systemLookup } from '../../os/net/lookup.ts';
import { markedLookup } from '../../os/net/resolver.ts';
import type { Log } from '../../os/service/log.ts';
import { systemClocks } from '../../os/service/process.ts';
import { fromHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { parseIpv6 } from '../../protocol/ipv6.ts';
import { openTunDevice, type TunDevice } from '../../tunnel/client.ts';
import type { Config } from '../config/config.ts';
import { proxyOf } from '../config/proxy.ts';
import { isUnloadable, type KeyStore, type LongtermKey, openKeys } from '../identity/keys.ts';
import { tlsRoot } from '../identity/tls-root.ts';
import type { Goal } from '../lifecycle/lifecycle.ts';
import { type Clocks, clockGuard } from '../lifecycle/wall-clock.ts';
import { markOf, type Policy } from '../network/desired.ts';
import { type Lan, type LanOptions, openLan } from '../network/lan.ts';
import { type Guard, openGuard } from '../network/reconciler.ts';
import { type AddressBook, addressBook } from '../state/address-cache.ts';
import { keepLastGood, lastGoodOf } from '../state/last-good.ts';
import { openStore, type SavedIdentity, type Store } from '../state/state.ts';
import { namedCaptive } from '../tunnel/captive.ts';
import type { Counters } from '../tunnel/counters.ts';
import { openTunnel, type Traffic, type Tunnel, type TunnelEvent } from '../tunnel/tunnel.ts';
import { keepSelfReport } from './self-report.ts';

/** What the lifecycle's actions do to the world. Each fails with a Failure and can be tried again. */
export interface Effects {
  /** Opens state and keys (again), and says what they ask for. */
  prepare(): Promise<Exclude<Goal, { kind: 'prepare' }>>;
  /** Runs the handshake; returns the address of the identity, which is durable then. */
  provision(): Promise<string>;
  /** Raises the interface and starts the tunnel. @throws Failure `clock.implausible` besides others */
  connect(report: (event: TunnelEvent) => void): Promise<void>;
  /** Finds out at once whether the tunnel still stands: `moved` if its way has changed, else a dead one is reported as its end. */
  probe(): 'moved' | 'probed';
  /** What went wrong is told to the fabric when it can be. */
  note(failure: unknown): void;
  /** Closes everything. */
  release(): Promise<void>;
  facts(): Facts;
}

/** For the status. */
export interface Facts {
  readonly stateGeneration: number | undefined;
  readonly quarantined: readonly string[];
  /** XTT handshakes this run has completed. */
  readonly handshakes: number;
  /** When the handshake of the present identity was, by the clock of then: ISO 8601. */
  readonly lastHandshake: string | undefined;
  readonly traffic: Traffic | undefined;
  readonly counters: Counters | undefined;
}

/** Makes the interface; a test without a kernel of its own brings another. */
export interface Hardware {
  readonly openTun: (name: string) => TunDevice;
  readonly openGuard: typeof openGuard;
  readonly sourceTowards: typeof sourceTowards;
}

/** What else an agent takes from its surroundings, and a test brings itself. */
export interface Senses {
  readonly clocks: Clocks;
  /** Instead of the system's, or of our own where the tunnel's sockets have a mark. */
  readonly resolver?: Lookup;
}

/** The real world, as the configuration describes it. */
export function openEffects(
  config: Config,
  log: Log,
  hardware: Hardware = { openTun: openTunDevice, openGuard, sourceTowards },
  senses: Senses = { clocks: systemClocks },
): Effects {
  const { clocks } = senses;
  const policy = policyOf(config);
  const { mark } = policy;
  const resolver = senses.resolver ?? (mark === 0 ? systemLookup : markedLookup(mark));
  const proxy = proxyOf(config);
  const clockwork = clockGuard(clocks);
  const self = keepSelfReport(clocks.steadyMs, () => plane?.tunnel.tell());
  const guard: Guard = hardware.openGuard(policy, log, self.note);
  /** The router of the connection there is, and the source address it was reached from. */
  let way: { readonly router: string; readonly source: string | undefined } | undefined;
  let raising: { readonly address: string; readonly tunnel: Promise<Tunnel> } | undefined;
  const off = new AbortController();
  let store: Store | undefined;
  let keys: KeyStore | undefined;
  let longterm: LongtermKey | undefined;
  let plane: { readonly address: string; readonly tunnel: Tunnel; readonly lan: Lan | undefined } | undefined;
  let root: string | undefined;
  let handshakes = 0;
  let book: AddressBook | undefined;
  let memory: ReturnType<typeof keepLastGood> | undefined;

  const closeKeys = async (): Promise<void> => {
    const [key, opened] = [longterm, keys];
    longterm = undefined;
    keys = undefined;
    await key?.close().catch(() => {});
    await opened?.close().catch(() => {});
  };

  const closePlane = (): void => {
    plane?.lan?.close();
    plane?.tunnel.close();
    plane = undefined;
  };

  const stopTunnel = (): void => {
    void memory?.end();
    plane?.tunnel.stop();
  };

  const use = async (identity: SavedIdentity): Promise<void> => {
    const former = longterm;
    longterm = await opened(keys).load(identity.key);
    await former?.close().catch(() => {});
  };

  const raise = async (address: string): Promise<Tunnel> => {
    if (plane?.address === address && plane.tunnel.usable) return plane.tunnel;
    closePlane();
    const own = parseIpv6(address);
    const device = hardware.openTun(config.tunnel.device);
    try {
      await guard.attach(own);
      if (off.signal.aborted) throw stopping();
    } catch (error) {
      device.close();
      throw error;
    }
    const rules = {
      own,
      allowIpv4: config.route.allowIpv4,
      heartbeatPeriodMs: config.tunnel.heartbeatPeriod,
      heartbeatTimeoutMs: config.tunnel.heartbeatTimeout,
    };
    const tunnel = openTunnel(
      device,
      rules,
      self.current,
      config.lan.enabled ? (packet) => lan?.hear(packet) : undefined,
    );
    const lan = config.lan.enabled ? openLan(lanOf(config, own), tunnel.deliver) : undefined;
    plane = { address, tunnel, lan };
    return tunnel;
  };

  /** A network change may ask for a connection while one is being made ready. */
  const raiseOnce = async (address: string): Promise<Tunnel> => {
    while (raising !== undefined && raising.address !== address) await raising.tunnel.catch(() => {});
    raising ??= { address, tunnel: raise(address) };
    try {
      return await raising.tunnel;
    } finally {
      raising = undefined;
    }
  };

  /** `router` is "address port n", or "? port 0" if the connection was gone before it could be asked. */
  const wayTo = (router: string): { router: string; source: string | undefined } => {
    const address = router.split(' ')[0]!;
    return { router, source: address === '?' ? undefined : hardware.sourceTowards(address, mark) };
  };

  return {
    async prepare() {
      await guard.start();
      if (store === undefined) {
        store = await openStore(await openFolder(config.state.directory));
        for (const name of store.quarantined) {
          log('warning', `state.unreadable: ${config.state.directory}: set aside as ${name}`);
        }
      }
      const last = lastGoodOf(store.record);
      // A resolver gets a quarter of the time if an older answer is at hand.
      book ??= addressBook(resolver, config.remote.connectTimeout / 4, last?.addresses ?? {});
      memory ??= keepLastGood(store, book, clocks, log, self.note);
      await closeKeys();
      root = undefined;
      keys = await openKeys(config);
      if (off.signal.aborted) {
        await closeKeys();
        throw stopping();
      }
      const { identity, pending } = store.record;
      if (identity === undefined) return { kind: 'provision', reason: 'first-boot' };
      const { address } = identity;
      // The fabric may know the new key already, and no longer the old one.
      if (pending !== undefined) return { kind: 'provision', reason: 'interrupted', address };
      try {
        await use(identity);
        return { kind: 'connect', address };
      } catch (error) {
        if (!isUnloadable(error)) throw error;
        return { kind: 'provision', reason: 'foreign-state', address };
      }
    },

    async provision() {
      // Only after a person asked for a new handshake there may be a tunnel; its end must not be taken for this one's.
      stopTunnel();
      // Loaded only here: a device that has its identity never needs the handshake's code.
      const [{ provision }, { openExchange }] = await Promise.all([
        import('../identity/provision.ts'),
        import('../identity/exchange.ts'),
      ]);
      const { suite, address, basename } = config.identity;
      const { hosts, identityPort: port, connectTimeout: timeoutMs } = config.remote;
      const identity = await provision({
        keys: opened(keys),
        store: opened(store),
        suite,
        requestedIdentity: address === '' ? new Uint8Array(16) : parseIpv6(address),
        ...(basename !== '' && { basename: new TextEncoder().encode(basename) }),
        connect: () =>
          openExchange({
            hosts,
            port,
            mark,
            timeoutMs,
            signal: off.signal,
            proxy,
            lookup: opened(book).lookup,
          }),
        nowMs: clocks.wallMs,
      });
      handshakes++;
      await use(identity);
      return identity.address;
    },

    async connect(report) {
      const { record } = opened(store);
      const identity = opened(record.identity);
      clockwork.check(lastGoodOf(record)?.timeMs);
      root ??= await tlsRoot(config, () => opened(keys).tlsRoot());
      const key = opened(longterm).tlsKey();
      const tunnel = await raiseOnce(identity.address);
      tunnel.start(
        {
          hosts: config.remote.hosts,
          port: config.remote.tunnelPort,
          mark,
          timeoutMs: config.remote.connectTimeout,
          ca: root,
          certificate: fromHex(identity.certificate),
          key,
          proxy,
          wire: config.tunnel.wire,
          lookup: opened(book).lookup,
        },
        (event) => {
          way = event.kind === 'up' ? wayTo(event.router) : undefined;
          if (event.kind === 'up') opened(memory).begin();
          else void memory?.end();
          report(event.kind === 'down' ? { ...event, failure: namedCaptive(event.failure) } : event);
        },
      );
    },

    probe() {
      const source = way && wayTo(way.router).source;
      // Without any way the connection may yet survive: the cable may be back in a second.
      if (source !== undefined && source !== way?.source) {
        way = undefined;
        stopTunnel();
        return 'moved';
      }
      plane?.tunnel.probe();
      return 'probed';
    },

    note: self.note,

    async release() {
      off.abort();
      self.close();
      await memory?.end();
      closePlane();
      await guard
        .stop(config.route.persistLockdown)
        .catch((error: unknown) => log('warning', `the lockdown could not be lifted: ${String(error)}`));
      await closeKeys();
    },

    facts: () => ({
      stateGeneration: store?.generation,
      quarantined: store?.quarantined ?? [],
      handshakes,
      lastHandshake: store?.record.identity?.provisioned,
      traffic: plane?.tunnel.traffic(),
      counters: plane?.tunnel.counters(),
    }),
  };
}

/** The configuration's part on interface, routes and filter. */
export function policyOf({ tunnel, route }: Config): Policy {
  return {
    mode: route.mode,
    device: tunnel.device,
    mtu: tunnel.mtu,
    assignAddress: tunnel.assignAddress,
    prefixes: route.prefixes,
    table: route.table,
    mark: markOf(route.mode, tunnel.fwmark),
    allowIpv4: route.allowIpv4,
    trusted: route.trustedInterfaces,
  };
}

/** The configuration's part on a host behind the interface. */
function lanOf({ tunnel, route, lan }: Config, own: Uint8Array): LanOptions {
  const { defaultRoute, advertisePeriod: periodMs } = lan;
  return { own, mtu: tunnel.mtu, prefixes: route.prefixes, defaultRoute, periodMs };
}

const stopping = (): Failure => new Failure('agent.stopping', 'retry', 'the agent is stopping');

/** What an earlier step of the lifecycle has opened. */
function opened<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('used before it was opened, or after it was closed');
  return value;
}
