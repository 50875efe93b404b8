import { formatListen } from '../../os/net/listen.ts';
import { peerAddress } from '../../os/net/peer.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import type { PeerHandle, RouterEvent } from '../../tunnel/router.ts';
import type { Endpoint } from '../registry/admission.ts';
import type { Vouched } from '../registry/pki.ts';
import type { SessionRoutes } from './session-routes.ts';

/** By what a certificate was found good: its session ends when it is no longer. */
export interface VouchedSession extends Vouched {
  /** When the first certificate of the chain expires, milliseconds since 1970. */
  readonly until: number;
}

/** A peer that has finished the TLS handshake, before its authorization. */
export type Arrival = Extract<RouterEvent, { kind: 'arrived' }>;

/** The tunnel of an admitted device, as JavaScript knows it; its packets flow in the threads. */
export interface Session {
  /** Unique among all peers. */
  readonly id: number;
  readonly peer: PeerHandle;
  /** 16 bytes. */
  readonly address: Uint8Array;
  /** The id of its group, 32 bytes. */
  readonly gid: Uint8Array;
  /** RFC 5952 text. */
  readonly name: string;
  /** 65 bytes. */
  readonly provenKey: Uint8Array;
  /** The outer address and port. */
  readonly from: string;
  /** The outer address alone. */
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  readonly tls: string;
  readonly understandsVerdicts: boolean;
  /** By what its CA vouches for it; absent: it has a TPM. */
  readonly vouched?: VouchedSession;
  /** Which tunnel of the device it is among those at all nodes; absent: there is no other node. */
  readonly generation?: number;
  /** What leads here from other nodes, likewise. */
  readonly routes?: SessionRoutes;
}

/** A tunnel that was attached; empty: there is no other node. */
export interface Tunnel extends Pick<Session, 'generation' | 'routes'> {
  /** Outer addresses of clones that were found when it was attached. */
  readonly clones?: readonly string[];
}

/** How a session was admitted, beside the key that was proven. */
export type Admitted = Pick<Session, 'vouched'> & Tunnel;

/** The session of a device that was authorized. */
export function sessionOf(
  arrival: Arrival,
  endpoint: Endpoint,
  provenKey: Uint8Array,
  { vouched, generation, routes }: Admitted = {},
): Session {
  const { id, peer, wire, tls } = arrival;
  const { address, gid } = endpoint;
  return {
    id,
    peer,
    address,
    gid,
    name: formatIpv6(address),
    provenKey,
    from: fromOf(arrival),
    host: hostOf(arrival),
    sinceMs: Date.now(),
    tls,
    understandsVerdicts: wire > 0,
    ...(vouched !== undefined && { vouched }),
    ...(generation !== undefined && { generation }),
    ...(routes !== undefined && { routes }),
  };
}

/** The outer address and port of a peer, as text. */
export function fromOf(arrival: Arrival): string {
  const port = Number(arrival.ends.split(' ')[1]);
  return formatListen({ host: hostOf(arrival), port });
}

/** The outer address of a peer alone. */
export const hostOf = ({ ends }: Arrival): string => peerAddress(ends.split(' ')[0]);
