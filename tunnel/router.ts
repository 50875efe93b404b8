import { addon } from '../native/index.ts';
import type { CertificateFacts } from '../native/pki/pki.ts';
import type {
  RouterEvent as NativeEvent,
  PeerHandle,
  RouterCounterNames,
  RouterCounters,
  RouterFace,
  RouterSettings,
  RulesHandle,
} from '../native/router/router.ts';
import { concat, u32 } from '../protocol/bytes.ts';
import type { Prefix } from '../protocol/ipv6.ts';
import { openBarriers } from './barriers.ts';

export type { PeerHandle, RouterCounters, RulesHandle };
/** A peer that has finished its handshake, as `RouterEvent` of native/router/router.ts describes it. */
export interface RouterArrival {
  readonly kind: 'arrived';
  readonly id: number;
  readonly peer: PeerHandle;
  readonly certificate?: Uint8Array | undefined;
  readonly chain?: Uint8Array | undefined;
  readonly facts?: CertificateFacts | undefined;
  readonly key?: Uint8Array | undefined;
  readonly wire: 0 | 1 | 2;
  readonly ends: string;
  readonly tls: string;
}

/** What the threads report to whoever started them (native/router/router.ts). */
export type RouterEvent =
  | RouterArrival
  | { readonly kind: 'message'; readonly id: number; readonly message: Uint8Array }
  | { readonly kind: 'ended'; readonly id: number; readonly text: string }
  | { readonly kind: 'asks'; readonly thread: number; readonly address: Uint8Array }
  | { readonly kind: 'tun-lost' | 'stopped'; readonly text: string };

/** Whose an address is; packets for `nobody`'s go to the host. */
export type Whose = 'nobody' | 'device' | 'unknown';

/** The native threads of a tunnel router: they forward packets, and report peers that ask to be admitted. */
export interface RouterThreads {
  readonly port: number;
  /** Peers that are not admitted yet. */
  readonly pending: number;
  /**
   * Admits the peer under its address (16 bytes). Devices of equal `network` reach each other, as far as its rules let them; numbers of
   * networks and of groups begin with 1.
   */
  admit(peer: PeerHandle, address: Uint8Array, network: number, group: number): void;
  /** Ends its connection (native/router/router.ts). */
  disconnect(peer: PeerHandle, verdict: Uint8Array, reset: boolean, excused: boolean): void;
  /** `group`: of the device, as in `admit`; 0 of whom is none. `device` (16 bytes): whose the /64 is, if that was asked about. */
  answer(thread: number, address: Uint8Array, whose: Whose, group: number, device?: Uint8Array): void;
  forget(address: Uint8Array): void;
  /** Forgets what was answered about all addresses. */
  forgetAll(): void;
  /** True when every thread has done what it was told so far: connections that were ended are cut. False if one has not within `withinMs`. */
  settled(withinMs: number): Promise<boolean>;
  /** Tells the threads the fabric's networks, /64s; the number of the one at place i is i + 1. And the pools out of which their devices get /64s. */
  setNetworks(prefixes: readonly Prefix[], pools: readonly NumberedPool[]): void;
  /** Gives an admitted peer a /64 beside its address, in place of the one that it had; undefined: none. */
  delegate(peer: PeerHandle, prefix: Prefix | undefined): void;
  /** Gives the threads the rules of a network, encoded as native/router/rules/rules.h says; none if `rules` is empty. */
  setRules(network: number, rules: Uint8Array): RulesHandle | undefined;
  /** What each of those rules has decided on so far. */
  ruleCounts(rules: RulesHandle): readonly RuleCount[];
  /** Gives the threads the rate limits of a network, encoded as native/router/rates/rates.h says; none if `rates` is empty. */
  setRates(network: number, rates: Uint8Array): void;
  /** Sends a control message (1 to 1,496 bytes) to an admitted peer that understands them. */
  send(peer: PeerHandle, packet: Uint8Array): void;
  /** Shows this certificate to whoever connects from now on. @throws Error EKEYREJECTED */
  setIdentity(identity: { readonly certificate: string; readonly key: string }): void;
  /** Whether peers that connect from now on may have certificates of owners' CAs. */
  setVouched(vouched: boolean): void;
  counted(peer: PeerHandle): RouterCounters;
  /** Milliseconds since the last word of a peer that does not answer any more; undefined: it is not silent. */
  silentMs(peer: PeerHandle): number | undefined;
  /** The counters of each thread; when they have ended, the last values. */
  counters(): readonly RouterCounters[];
  /** Resolves when nothing is open any more. Any number of times. */
  close(): Promise<void>;
}

/** A prefix of at most 64 bits, and the number of the network whose devices get /64s of it. */
export interface NumberedPool {
  readonly prefix: Prefix;
  readonly network: number;
}

/** Packets that a rule has decided on, and their bytes. */
export interface RuleCount {
  readonly packets: number;
  readonly bytes: number;
}

/** A peer that is there is heard from more often. */
const SILENT_MS = 60_000;

const NOTHING = new Uint8Array(0);
const ANSWERS = { nobody: 0, device: 1, unknown: 2 } as const;

/**
 * Starts the threads (port 0: the system chooses). They own the TUN's descriptor if this succeeds.
 * @throws Error with a `code`, as `routerStart`
 */
export function startRouterThreads(
  listen: { readonly host: string; readonly port: number },
  identity: { readonly certificate: string; readonly key: string },
  settings: RouterSettings,
  onEvent: (event: RouterEvent) => void,
): RouterThreads {
  const native = addon();
  let last: readonly RouterCounters[] | undefined;
  let announce = (): void => {};
  const stopped = new Promise<void>((resolve) => {
    announce = resolve;
  });
  const barriers = openBarriers(settings.threads);
  const named = counterNames(native);
  const receive = (...event: NativeEvent): void => {
    if (event[0] === 'stopped') {
      last = native.routerCounters(handle).map(named);
      barriers.close();
      announce();
    }
    if (event[0] === 'reached') barriers.reach(event[2]);
    else onEvent(eventOf(event));
  };
  const { certificate, key } = identity;
  const handle = native.routerStart(settings, listen.host, listen.port, certificate, key, receive);
  return {
    port: native.routerPort(handle),
    get pending() {
      return native.routerPending(handle);
    },
    admit: (peer, address, network, group) => native.routerAdmit(handle, peer, address, network, group),
    disconnect: (peer, verdict, reset, excused) =>
      native.routerDisconnect(handle, peer, verdict, reset, excused),
    answer: (thread, address, whose, group, device = NOTHING) =>
      native.routerAnswer(handle, thread, address, ANSWERS[whose], group, device),
    forget: (address) => native.routerForget(handle, address),
    forgetAll: () => native.routerForgetAll(handle),
    settled: (withinMs) => barriers.begin(withinMs, (number) => native.routerBarrier(handle, number)),
    setNetworks: (prefixes, pools) =>
      native.routerNetworks(handle, packed(prefixes), concat(...pools.map(packedPool))),
    delegate: (peer, prefix) => native.routerDelegate(handle, peer, packed(prefix ? [prefix] : [])),
    setRules: (network, rules) => native.routerRules(handle, network, rules),
    ruleCounts(rules) {
      const { buffer } = native.routerRuleCounts(rules);
      const counts = Array.from(new BigUint64Array(buffer), Number);
      return Array.from({ length: counts.length / 2 }, (_, i) => ({
        packets: counts[2 * i]!,
        bytes: counts[2 * i + 1]!,
      }));
    },
    setRates: (network, rates) => native.routerRates(handle, network, rates),
    send: (peer, packet) => native.routerSend(handle, peer, packet),
    setIdentity: (next) => native.routerIdentity(handle, next.certificate, next.key),
    setVouched: (vouched) => native.routerVouched(handle, vouched),
    counted: (peer) => named(native.routerPeerCounters(peer)),
    silentMs(peer) {
      const ms = native.routerPeerSilence(peer);
      return ms < SILENT_MS ? undefined : ms;
    },
    counters: () => last ?? native.routerCounters(handle).map(named),
    close() {
      native.routerClose(handle);
      return stopped;
    },
  };
}

function eventOf(event: Exclude<NativeEvent, ['reached', ...unknown[]]>): RouterEvent {
  switch (event[0]) {
    case 'arrived': {
      const [kind, id, peer, certificate, chain, facts, key, wire, ends, tls] = event;
      return { kind, id, peer, certificate, chain, facts, key, wire, ends, tls };
    }
    case 'message':
      return { kind: event[0], id: event[1], message: event[2] };
    case 'ended':
      return { kind: event[0], id: event[1], text: event[2] };
    case 'asks':
      return { kind: event[0], thread: event[1], address: event[2] };
    case 'tun-lost':
    case 'stopped':
      return { kind: event[0], text: event[1] };
  }
}

/** Gives the values of counters their names. */
function counterNames(native: RouterFace): (values: Float64Array) => RouterCounters {
  const { counters, drops }: RouterCounterNames = native.routerCounterNames();
  return (values) => {
    const named: Record<string, number> = {};
    const causes: Record<string, number> = {};
    for (let i = 0; i < counters.length; i++) named[counters[i]!] = values[i]!;
    for (let i = 0; i < drops.length; i++) causes[drops[i]!] = values[counters.length + i]!;
    return { ...named, drops: causes } as unknown as RouterCounters;
  };
}

const packedPool = ({ prefix, network }: NumberedPool): Uint8Array =>
  concat(packed([prefix]), u32(network), Uint8Array.of(prefix.length));

/** The first eight bytes of each. */
function packed(prefixes: readonly Prefix[]): Uint8Array {
  const bytes = new Uint8Array(8 * prefixes.length);
  for (const [i, { address }] of prefixes.entries()) bytes.set(address.subarray(0, 8), 8 * i);
  return bytes;
}
