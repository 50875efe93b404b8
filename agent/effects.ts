import { readBounded } from '../os/files.ts';
import { openFolder } from '../os/folder.ts';
import type { Log } from '../os/log.ts';
import { openPlaneDevice, type PlaneDevice } from '../os/plane.ts';
import { fromHex } from '../protocol/bytes.ts';
import { Failure } from '../protocol/failure.ts';
import { parseIpv6 } from '../protocol/ipv6.ts';
import type { Config } from './config.ts';
import { isUnloadable, type KeyStore, type LongtermKey, openKeys } from './keys.ts';
import type { Goal } from './lifecycle.ts';
import { raiseInterface, tunnelRoutes } from './routes.ts';
import { openStore, type SavedIdentity, type Store } from './state.ts';
import { openTunnel, type Traffic, type Tunnel, type TunnelEvent } from './tunnel.ts';

/** What the lifecycle's actions do to the world. Each fails with a Failure and can be tried again. */
export interface Effects {
  /** Opens state and keys (again), and says what they ask for. */
  prepare(): Promise<Exclude<Goal, { kind: 'prepare' }>>;
  /** Runs the handshake; returns the address of the identity, which is durable then. */
  provision(): Promise<string>;
  /** Raises the interface and starts the tunnel. */
  connect(report: (event: TunnelEvent) => void): Promise<void>;
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
  readonly traffic: Traffic | undefined;
}

/** Makes the interface; a test without a kernel of its own brings another. */
export interface Hardware {
  readonly openTun: (name: string) => PlaneDevice;
  readonly raiseInterface: typeof raiseInterface;
}

/** The real world, as the configuration describes it. */
export function openEffects(
  config: Config,
  log: Log,
  hardware: Hardware = { openTun: openPlaneDevice, raiseInterface },
): Effects {
  const off = new AbortController();
  let store: Store | undefined;
  let keys: KeyStore | undefined;
  let longterm: LongtermKey | undefined;
  let plane: { readonly address: string; readonly tunnel: Tunnel } | undefined;
  let root: string | undefined;
  let handshakes = 0;

  const closeKeys = async (): Promise<void> => {
    const [key, opened] = [longterm, keys];
    longterm = undefined;
    keys = undefined;
    await key?.close().catch(() => {});
    await opened?.close().catch(() => {});
  };

  const closePlane = (): void => {
    plane?.tunnel.close();
    plane = undefined;
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
      await hardware.raiseInterface(
        device.name,
        config.tunnel.mtu,
        own,
        tunnelRoutes(own, config.route.prefixes),
      );
      if (off.signal.aborted) throw stopping();
    } catch (error) {
      device.close();
      throw error;
    }
    const tunnel = openTunnel(device, {
      own,
      allowIpv4: config.route.allowIpv4,
      heartbeatPeriodMs: config.tunnel.heartbeatPeriod,
      heartbeatTimeoutMs: config.tunnel.heartbeatTimeout,
    });
    plane = { address, tunnel };
    return tunnel;
  };

  return {
    async prepare() {
      if (store === undefined) {
        store = await openStore(await openFolder(config.state.directory));
        for (const name of store.quarantined) {
          log('warning', `state.unreadable: ${config.state.directory}: set aside as ${name}`);
        }
      }
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
      // Loaded only here: a device that has its identity never needs the handshake's code.
      const [{ provision }, { openExchange }] = await Promise.all([
        import('./provision.ts'),
        import('./exchange.ts'),
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
          openExchange({ hosts, port, mark: config.tunnel.fwmark, timeoutMs, signal: off.signal }),
      });
      handshakes++;
      await use(identity);
      return identity.address;
    },

    async connect(report) {
      const identity = opened(opened(store).record.identity);
      root ??= await tlsRoot(config, opened(keys));
      const key = opened(longterm).tlsKey();
      const tunnel = await raise(identity.address);
      tunnel.start(
        {
          hosts: config.remote.hosts,
          port: config.remote.tunnelPort,
          mark: config.tunnel.fwmark,
          timeoutMs: config.remote.connectTimeout,
          ca: root,
          certificate: fromHex(identity.certificate),
          key,
        },
        report,
      );
    },

    async release() {
      off.abort();
      closePlane();
      await closeKeys();
    },

    facts: () => ({
      stateGeneration: store?.generation,
      quarantined: store?.quarantined ?? [],
      handshakes,
      traffic: plane?.tunnel.traffic(),
    }),
  };
}

const stopping = (): Failure => new Failure('agent.stopping', 'retry', 'the agent is stopping');

async function tlsRoot(config: Config, keys: KeyStore): Promise<string> {
  const path = config.remote.tlsRoot;
  if (path !== '') return new TextDecoder().decode(await readBounded(path, 'TLS root'));
  const { tlsRoot: root } = await keys.credential();
  if (root !== undefined) return root;
  throw new Failure(
    'agent.no-tls-root',
    'operator',
    'the credential of this device came without a TLS root',
    {
      action: 'Set remote.tls-root to the PEM file of the fabric, or personalise the device again.',
    },
  );
}

/** What an earlier step of the lifecycle has opened. */
function opened<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('used before it was opened, or after it was closed');
  return value;
}
