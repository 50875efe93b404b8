import { toHex } from '../../protocol/bytes.ts';
import type { Admission, Endpoint } from '../registry/admission.ts';
import { clonesAmongNodes } from './clones.ts';
import { type Arrival, hostOf, type Session, type Tunnel } from './session.ts';
import { leadHere, type RouteSink } from './session-routes.ts';

/**
 * Several nodes serve one registry: a tunnel is attached there before it is served, and the newest one wins, wherever it ends. All of this is nothing in
 * a fabric whose nodes have no names.
 */
export interface Attaching {
  /**
   * Attaches the device of a peer, has everything for it lead here, and then calls `begin` with its tunnel, which is empty without nodes: in the same turn
   * of the event loop then. `begin` says whether it has begun a session, and is not called if the peer has gone meanwhile.
   */
  attach(arrival: Arrival, address: Uint8Array, begin: (tunnel: Tunnel) => boolean): void;
  /** A tunnel that was attached does not begin. */
  abandon(address: Uint8Array, tunnel: Tunnel): void;
  /** The connection of a peer has ended. */
  gone(id: number): void;
  /**
   * Whether the registry knows a tunnel of this node as the newest one of its device. After a failover that has lost it another node may have got its
   * generation, and a device that was never attached before has none.
   */
  isNewest(generation: number, endpoint: Endpoint): boolean;
  /**
   * The device has attached another tunnel than this session's since: a newer one, or an older one of a registry that was put back. While it attaches one
   * here, that takes the session's place.
   */
  isSuperseded(session: Session, endpoint: Endpoint): boolean;
}

export interface AttachingParts {
  readonly admission: Pick<Admission, 'attach' | 'detached'>;
  /** The name of this node; undefined: there is no other one. */
  readonly node?: string | undefined;
  /** Where other nodes learn which devices have their tunnels here; absent: they do not. */
  readonly routes?: RouteSink | undefined;
  /** An attempt is over without a session: whether the one before it may stay was not asked meanwhile. */
  readonly inVain: (address: Uint8Array) => void;
  readonly failed: (arrival: Arrival, address: Uint8Array, error: unknown) => void;
}

export function attaching({ admission, node, routes, inVain, failed }: AttachingParts): Attaching {
  /** The peers that wait. */
  const waiting = new Set<number>();
  /** How many peers of a device wait, by its address. */
  const devices = new Map<string, number>();

  const count = (name: string, more: 1 | -1): void => {
    const left = (devices.get(name) ?? 0) + more;
    if (left === 0) devices.delete(name);
    else devices.set(name, left);
  };

  const abandon = (address: Uint8Array, tunnel: Tunnel): void => {
    tunnel.routes?.end();
    if (tunnel.generation !== undefined) admission.detached(address, tunnel.generation);
  };

  /** What a node has that was taken for lost is recorded as over. */
  const isNewest = (generation: number, { attached }: Endpoint): boolean =>
    attached?.generation === generation && (attached.node === undefined || attached.node === node);

  /** First the registry, then the routes: a node that has one is told of any that is newer. */
  async function open(address: Uint8Array, host: string): Promise<Tunnel> {
    const attachment = await admission.attach(address, host);
    const { generation } = attachment;
    const clones = clonesAmongNodes(attachment, host);
    const tunnel = { generation, ...(clones !== undefined && { clones }) };
    if (routes === undefined) return tunnel;
    try {
      return { ...tunnel, routes: await leadHere(routes, address, generation) };
    } catch (error) {
      abandon(address, { generation });
      throw error;
    }
  }

  async function attachNow(
    arrival: Arrival,
    address: Uint8Array,
    begin: (tunnel: Tunnel) => boolean,
  ): Promise<void> {
    const name = toHex(address);
    let begun = false;
    waiting.add(arrival.id);
    count(name, 1);
    try {
      const tunnel = await open(address, hostOf(arrival));
      if (waiting.has(arrival.id)) begun = begin(tunnel);
      else abandon(address, tunnel);
    } catch (error) {
      if (waiting.has(arrival.id)) failed(arrival, address, error);
    } finally {
      waiting.delete(arrival.id);
      count(name, -1);
      if (!begun) inVain(address);
    }
  }

  return {
    attach(arrival, address, begin) {
      if (node !== undefined) void attachNow(arrival, address, begin);
      else begin({});
    },
    abandon,
    gone: (id) => void waiting.delete(id),
    isNewest,
    isSuperseded: ({ address, generation }, endpoint) =>
      generation !== undefined && !isNewest(generation, endpoint) && !devices.has(toHex(address)),
  };
}
