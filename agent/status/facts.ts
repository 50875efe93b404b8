import type { Counters, Traffic, TunnelEvent } from '../tunnel/tunnel.ts';

/** What the running agent knows of itself, for the views. */
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

/** The router at the other end: "address port n", and the wire both speak. */
export type Peer = Pick<Extract<TunnelEvent, { kind: 'up' }>, 'router' | 'wire'>;
