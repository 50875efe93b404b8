import type { CertificateView } from '../identity/session.ts';
import type { CredentialEnd } from '../lifecycle/situation.ts';
import type { Counters, Traffic, TunnelEvent } from '../tunnel/session.ts';

/** What the views show of the running agent besides its situation. */
export interface Facts {
  readonly stateGeneration: number | undefined;
  readonly quarantined: readonly string[];
  /** XTT handshakes this run has completed. */
  readonly handshakes: number;
  /** When the present identity was provisioned, by the device's clock at that time: ISO 8601. */
  readonly lastHandshake: string | undefined;
  /** Of the present identity: see `SavedIdentity.resident`; undefined if that is not known. */
  readonly resident?: boolean | undefined;
  /** The certificate of a CA that the device has; undefined: none that was read. */
  readonly certificate?: CertificateView | undefined;
  /** What was learned of the fabric's roots; undefined if nothing. */
  readonly roots?: { readonly version: number; readonly learned: string } | undefined;
  /** Since when the fabric is asked to retire the device: ISO 8601. */
  readonly leaving?: string | undefined;
  /** The device is out of service, since when and formerly as whom; `credential` is absent while that is being removed. */
  readonly decommissioned?:
    | {
        readonly at: string;
        readonly address?: string;
        readonly told: boolean;
        readonly credential?: CredentialEnd;
      }
    | undefined;
  /** When the key is replaced next; undefined if that is off, or there is none. */
  readonly rotation?: RotationFacts | undefined;
  /** The prefix that the fabric has delegated; undefined if none. */
  readonly delegation?: DelegationFacts | undefined;
  /** How long the fabric lets this device wait at most between two attempts, in milliseconds; undefined: it has not said. */
  readonly longestMs?: number | undefined;
  readonly traffic: Traffic | undefined;
  readonly counters: Counters | undefined;
  /** Milliseconds since anything came from a router that does not answer; absent unless it is silent. */
  readonly silentMs?: number | undefined;
}

/** A delegated prefix. */
export interface DelegationFacts {
  /** A /64. */
  readonly prefix: string;
  /** The LAN interface that has it; null: none is configured. */
  readonly lan: string | null;
  /** Why it is not announced there, or not answered by DHCPv6; null: it is, or there is no such interface. */
  readonly failure: {
    readonly code: string;
    readonly message: string;
    readonly action: string | null;
  } | null;
}

/** The next rotation of the key. */
export interface RotationFacts {
  /** ISO 8601, by the device's clock; soon afterwards if the device is offline then. */
  readonly next: string;
  /** Why the last attempt has failed; absent when it has not. */
  readonly failure?: { readonly code: string; readonly message: string };
}

/** The router at the other end: "address port n", and the wire both speak. */
export type Peer = Pick<Extract<TunnelEvent, { kind: 'up' }>, 'router' | 'wire'>;

interface Failed {
  readonly failure: { readonly code: string; readonly message: string; readonly action?: string };
}

/** What has become of a handshake. */
export type HandshakeEnd = { readonly address: string } | Failed;

/** What has become of the wish to go out of service; `told`: the fabric has retired the device. */
export type DepartureEnd = { readonly told: boolean; readonly credential: CredentialEnd } | Failed;
