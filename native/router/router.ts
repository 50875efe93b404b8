import type { DataplaneCounters, Offload } from '../client/client.ts';
import type { CertificateFacts } from '../pki/pki.ts';

declare const routerBrand: unique symbol;
declare const peerBrand: unique symbol;
declare const rulesBrand: unique symbol;

/** The router's threads; stopped at once when garbage-collected. */
export interface RouterHandle {
  readonly [routerBrand]: true;
}

/** A peer that has finished its handshake; its counters stay readable when its connection is over. */
export interface PeerHandle {
  readonly [peerBrand]: true;
}

/** The rules of one network, which all threads have; what is counted of them stays readable when there are newer ones. */
export interface RulesHandle {
  readonly [rulesBrand]: true;
}

export interface RouterSettings {
  /** 1 to 16. */
  readonly threads: number;
  /** Handshakes under way, in all and per source (IPv4 address, IPv6 /64): pending.h says who goes when there are more. */
  readonly pending: number;
  readonly pendingPerSource: number;
  /** Refusals and failed handshakes a source may collect at once, and how many of them are refilled per second. */
  readonly refusalBurst: number;
  readonly refusalsPerSecond: number;
  /** Sources remembered. */
  readonly sources: number;
  readonly handshakeMs: number;
  /** How long an orderly close waits for the peer's own. */
  readonly lingerMs: number;
  /** A peer that takes no data for so long is disconnected. At least 8. */
  readonly stallMs: number;
  /** Bytes that may wait for one peer. */
  readonly queueBytes: number;
  /** Other nodes serve the same networks: packets for and of their devices pass through the host, which knows the way. */
  readonly several: boolean;
  /** Descriptor of a TUN; the router closes it once it is started. Undefined: packets do not reach the host. */
  readonly tun: number | undefined;
  readonly offload: Offload;
}

/** What the threads report, its kind first: the arguments of a call. */
export type RouterEvent =
  | [
      /** A peer has finished its handshake and waits for `routerAdmit` or `routerDisconnect`. Nothing is read before. */
      kind: 'arrived',
      id: number,
      peer: PeerHandle,
      /** DER, if it has shown one. */
      certificate: Uint8Array | undefined,
      /** What it has shown beside that, DER one behind the other, if that may be (`routerVouched`). */
      chain: Uint8Array | undefined,
      /** What the certificate says, likewise, if another key than its own has signed it. */
      facts: CertificateFacts | undefined,
      /** The key in it, 65 bytes, if it is of P-256: the peer has proven that it has the private key. */
      key: Uint8Array | undefined,
      /** 0: a C peer; 1: understands control messages; 2: super-frames, too (docs/wire.md). */
      wire: 0 | 1 | 2,
      /** Outer address and port, separated by a space. */
      ends: string,
      /** `TLSv1.2` or `TLSv1.3`. */
      tls: string,
    ]
  /**
   * An admitted peer's report (F3), which roots it knows (F4), or that it wants to be retired (F5): at most 71 bytes, not checked yet. At
   * most 3, 8 and 3 of them at once, then one of a kind in 10 s.
   */
  | [kind: 'message', id: number, message: Uint8Array]
  /** Its connection is over: exactly once for each that arrived. */
  | [kind: 'ended', id: number, text: string]
  /** A packet waits for `routerAnswer`: is the address a device's? */
  | [kind: 'asks', thread: number, address: Uint8Array]
  /** A thread has done all that it was told before `routerBarrier` with this number. */
  | [kind: 'reached', thread: number, number: number]
  | [kind: 'tun-lost', text: string]
  /** All threads have ended, nothing is open any more. */
  | [kind: 'stopped', text: string];

/** Why packets were dropped (fabric/router/counters.ts). */
export type RouterDrops = Record<
  | 'malformed'
  | 'spoofed'
  | 'host-spoofed'
  | 'unroutable'
  | 'foreign-network'
  | 'refused'
  | 'limited'
  | 'offline'
  | 'no-tun'
  | 'tun-refused'
  | 'too-long'
  | 'queue-full'
  | 'late',
  number
>;

/**
 * What was counted. Of a peer: `sent` is what was given to its queue, `received` what came from it, and its link counts some drops
 * itself (`outOverflow`, `outLate`, `outTooLong`, `inMalformed`). Of a thread: its side of the TUN, and drops of packets of no peer.
 */
export type RouterCounters = DataplaneCounters & { readonly drops: RouterDrops };

/** In which order counters are told: all names of `RouterCounters` but `drops`, then those of its drops. */
export interface RouterCounterNames {
  readonly counters: readonly Exclude<keyof RouterCounters, 'drops'>[];
  readonly drops: readonly (keyof RouterDrops)[];
}

/** The addon's router (native/router/router.h). A bad argument is a TypeError; calls on a router that has stopped do nothing. */
export interface RouterFace {
  /**
   * Listens on an IP address (port 0: the system chooses) and starts the threads, which keep the event loop alive. `certificate` is
   * a PEM chain, leaf first, `key` PEM. @throws Error EKEYREJECTED with OpenSSL's reason, EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOMEM, …
   */
  routerStart(
    settings: RouterSettings,
    host: string,
    port: number,
    certificate: string,
    key: string,
    onEvent: (...event: RouterEvent) => void,
  ): RouterHandle;
  routerPort(router: RouterHandle): number;
  /** Handshakes under way, and peers that wait to be admitted. */
  routerPending(router: RouterHandle): number;
  /**
   * Lets the peer in: packets for `address` (16 bytes) go to it from now on. Devices of equal `network` (not 0) reach each other, as far as
   * its rules let them, which may name the `group` (not 0).
   */
  routerAdmit(
    router: RouterHandle,
    peer: PeerHandle,
    address: Uint8Array,
    network: number,
    group: number,
  ): void;
  /**
   * Ends the peer's connection. One that understands control messages gets `verdict` (a packet, or empty) and an orderly close; any
   * other an orderly close, or a TCP reset if `reset`. With a verdict a peer that was not admitted is charged as refused to its source,
   * unless `excused`.
   */
  routerDisconnect(
    router: RouterHandle,
    peer: PeerHandle,
    verdict: Uint8Array,
    reset: boolean,
    excused: boolean,
  ): void;
  /**
   * 0: no device's address, so packets for it go to the host; 1: that of a device of the `group`, else 0; 2: the registry cannot be asked now. An address
   * in a pool is the first one of a /64; `device`, 16 bytes, is whose that is, else none.
   */
  routerAnswer(
    router: RouterHandle,
    thread: number,
    address: Uint8Array,
    answer: 0 | 1 | 2,
    group: number,
    device: Uint8Array,
  ): void;
  /** Forgets what was answered for the address, and for the /64 of the device that has it. */
  routerForget(router: RouterHandle, address: Uint8Array): void;
  /** Forgets all that was answered. */
  routerForgetAll(router: RouterHandle): void;
  /** Has every thread report `reached` with `number` (u32) when it has done what it was told so far. @throws Error ENOMEM */
  routerBarrier(router: RouterHandle, number: number): void;
  /**
   * The fabric's networks from now on, eight bytes (a /64) for each; the number of the one at place i is i + 1. Until this is called for
   * the first time any address may be a device's. `pools`, 13 bytes for each: the first eight of its prefix, the number of the network to whose devices
   * /64s of it are delegated, and the length of the prefix; what is in none of these devices' /64s is dropped.
   */
  routerNetworks(router: RouterHandle, prefixes: Uint8Array, pools: Uint8Array): void;
  /**
   * The admitted peer has also the /64 that begins with these eight bytes, in place of the one that it had; none if there are no bytes. What another
   * peer still has it does not get.
   */
  routerDelegate(router: RouterHandle, peer: PeerHandle, prefix: Uint8Array): void;
  /**
   * Gives all threads the rules of a network (by its number), which take the place of those before; none if `rules` is empty. Each has 56 bytes, at
   * most 1,000 (rules/rules.h). A network without rules is open inside and to the host, and closed to others.
   */
  routerRules(router: RouterHandle, network: number, rules: Uint8Array): RulesHandle | undefined;
  /** Packets and bytes that each rule has decided on so far, in all threads: two u64 for each, in the machine's byte order. */
  routerRuleCounts(rules: RulesHandle): Uint8Array;
  /**
   * Gives all threads the rate limits of a network (by its number), which take the place of those before; none if `rates` is empty. Each has 56 bytes, at
   * most 1,002 (rates/rates.h).
   */
  routerRates(router: RouterHandle, network: number, rates: Uint8Array): void;
  /** Sends a control message of 1 to 1,496 bytes to an admitted peer that understands them; to any other, nothing. */
  routerSend(router: RouterHandle, peer: PeerHandle, packet: Uint8Array): void;
  /** Shows this certificate to whoever connects from now on; arguments and errors as those of `routerStart`. */
  routerIdentity(router: RouterHandle, certificate: string, key: string): void;
  /**
   * Whether peers that connect from now on may have certificates of owners' CAs: P-384, Ed25519 and RSA beside P-256, and a chain of at most 10 KB.
   * Until then they may not.
   */
  routerVouched(router: RouterHandle, vouched: boolean): void;
  routerCounterNames(): RouterCounterNames;
  /** The values of these names. */
  routerPeerCounters(peer: PeerHandle): Float64Array;
  /** Milliseconds since the peer was last heard: less than 60,000 as long as its TCP answers. */
  routerPeerSilence(peer: PeerHandle): number;
  /** Of each thread; empty when all have ended. */
  routerCounters(router: RouterHandle): Float64Array[];
  /** Ends every connection with close_notify, and after `lingerMs` those whose peer has not closed; `stopped` comes last. */
  routerClose(router: RouterHandle): void;
}
