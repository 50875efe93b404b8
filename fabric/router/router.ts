import { availableParallelism } from 'node:os';
import { listenFailure } from '../../os/net/listen.ts';
import type { Log } from '../../os/service/log.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';
import type { TunDevice } from '../../tunnel/client.ts';
import {
  type RouterCounters,
  type RouterEvent,
  type RouterThreads,
  startRouterThreads,
  type Whose,
} from '../../tunnel/router.ts';
import type { Admission } from '../registry/admission.ts';
import { authorize, type Lookup, registryLookup, verdictOn } from './authorize.ts';
import { addCounters, addDrops, type Counters, countersOf, hostDropsOf } from './counters.ts';
import { type Arrival, fromOf, type Session } from './session.ts';
import { disconnect, type SessionTable, sessionTable } from './sessions.ts';

export interface RouterLimits {
  /** TLS handshakes under way, in all and per source (IPv4 address, IPv6 /64); when all are taken, the most crowded prefix pays. */
  readonly pending: number;
  readonly pendingPerSource: number;
  /** Refusals a source may collect at once, and how many are forgiven per second; wider prefixes have more of both. */
  readonly refusalBurst: number;
  readonly refusalsPerSecond: number;
  /** Sources remembered. */
  readonly sources: number;
  /** Bytes that may wait for one device. */
  readonly queueBytes: number;
  /** A peer that accepts no data for so long is disconnected. */
  readonly stallMs: number;
  /** How long an orderly close waits for the peer's close. */
  readonly lingerMs: number;
  /** Deadline of a TLS handshake from its ClientHello on, which has four seconds, or this if it is less. */
  readonly handshakeMs: number;
}

/**
 * A pending handshake costs about 50 KB, and a CPU does some 200 of them per second. Refusals are forgiven fast
 * enough for a few banned C peers behind one address, which try once a second for ever.
 */
export const ROUTER_LIMITS: RouterLimits = {
  pending: 1024,
  pendingPerSource: 256,
  refusalBurst: 50,
  refusalsPerSecond: 5,
  sources: 65_536,
  queueBytes: 512 * 1024,
  stallMs: 120_000,
  lingerMs: 5_000,
  handshakeMs: 10_000,
};

/** Threads at most. */
export const MOST_ROUTER_THREADS = 16;

export interface RouterOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM of the router's certificate (chain) and its key. */
  readonly certificate: string;
  readonly key: string;
  readonly admission: Admission;
  /** Connects the host to the devices. The router closes it, once it is started. */
  readonly tun?: TunDevice;
  readonly log: Log;
  /** 1 to 16; `defaultThreads()` unless given. */
  readonly threads?: number;
  readonly limits?: Partial<RouterLimits>;
}

/** A session as it is shown to users. */
export interface SessionView {
  /** RFC 5952 text. */
  readonly address: string;
  /** The outer address and port. */
  readonly from: string;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly tls: string;
  /** True for our own agents, false for C peers. */
  readonly understandsVerdicts: boolean;
  readonly queuedBytes: number;
  readonly counters: Counters;
}

/** What the native threads have counted. */
export interface Traffic {
  /** Of all connections of admitted devices; undefined if there were none. */
  readonly devices: RouterCounters | undefined;
  /** At the TUN, and of packets that belong to no session. */
  readonly host: RouterCounters;
}

export interface Router {
  /** The port it listens on, also if 0 was asked for. */
  readonly port: number;
  readonly threads: number;
  sessions(): SessionView[];
  /** Of all sessions since the start, and of packets of the host that no device can get. */
  counters(): Counters;
  /** Everything that was counted since the start, for metrics. */
  traffic(): Traffic;
  /** How often two devices were found to have one key. */
  readonly clones: number;
  /** TLS handshakes under way, and peers that wait for authorization. */
  readonly pendingHandshakes: number;
  /** Closes every session in order, resets those whose peer does not close, and returns when nothing is open any more. */
  close(): Promise<void>;
}

/** Two, unless the machine has only one core: while one thread does a TLS handshake, the other forwards packets. */
export function defaultThreads(): number {
  return Math.min(2, availableParallelism());
}

/**
 * Starts the tunnel router (enftun.md §12): admits devices by the key of their certificate, keeps one session per
 * device, and cuts it as soon as the registry says so. The packets flow in native threads (native/router/router.h).
 * @throws Failure `router.bad-certificate`, `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`
 */
export async function startRouter(options: RouterOptions): Promise<Router> {
  const { admission, log, tun, threads: count = defaultThreads() } = options;
  const limits = { ...ROUTER_LIMITS, ...options.limits };
  const lookup = registryLookup(admission, log);
  let closing = false;

  const arrive = (arrival: Arrival): void => {
    if (closing) {
      disconnect(threads, arrival.peer, undefined);
      return;
    }
    const decision = authorize(lookup, arrival);
    if ('endpoint' in decision) {
      sessions.admit(arrival, decision.endpoint, decision.provenKey);
      return;
    }
    log('debug', refusalText(arrival, decision.verdict, decision.address));
    disconnect(threads, arrival.peer, decision.verdict);
  };

  const threads = startThreads(options, limits, count, (event) => {
    switch (event.kind) {
      case 'arrived':
        arrive(event);
        break;
      case 'ended':
        sessions.end(event.id, event.text);
        break;
      case 'reported':
        sessions.report(event.id, event.report);
        break;
      case 'asks':
        threads.answer(event.thread, event.address, whoseIs(lookup(event.address)));
        break;
      case 'tun-lost':
        log(
          'error',
          `TUN device ${tun?.name} was removed (${event.text}); devices still reach each other, but not the host`,
        );
        break;
      case 'stopped':
        break;
    }
  });
  const sessions: SessionTable = sessionTable(threads, admission, log);

  const unsubscribe = admission.onChange((address) => {
    threads.forget(address);
    const session = sessions.find(address);
    if (session === undefined) return;
    const verdict = verdictOn(lookup(address), session.provenKey);
    if (verdict !== undefined) sessions.cut(session, verdict, `the registry says ${verdict.kind}`);
  });

  const traffic = (): Traffic => ({ devices: sessions.counted(), host: addCounters(threads.counters())! });

  return {
    port: threads.port,
    threads: count,
    sessions: () => Array.from(sessions.all(), (session) => view(session, threads)),
    counters: () => totalOf(traffic()),
    traffic,
    get clones() {
      return sessions.clones;
    },
    get pendingHandshakes() {
      return threads.pending;
    },
    async close() {
      closing = true;
      unsubscribe();
      await threads.close();
    },
  };
}

function refusalText(arrival: Arrival, verdict: Verdict, address: Uint8Array | undefined): string {
  const who = address === undefined ? 'a peer without identity' : `device ${formatIpv6(address)}`;
  return `${who} refused from ${fromOf(arrival)}: ${verdict.kind}`;
}

function whoseIs(endpoint: ReturnType<Lookup>): Whose {
  if (endpoint === 'down') return 'unknown';
  return endpoint === undefined ? 'nobody' : 'device';
}

function startThreads(
  { listen, certificate, key, tun }: RouterOptions,
  limits: RouterLimits,
  threads: number,
  onEvent: (event: RouterEvent) => void,
): RouterThreads {
  const settings = { ...limits, threads, tun: tun?.fd, offload: tun?.offload ?? 0 };
  try {
    return startRouterThreads(listen, { certificate, key }, settings, onEvent);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EKEYREJECTED') {
      throw error instanceof TypeError ? error : listenFailure(listen, 'the tunnel router', error);
    }
    throw new Failure(
      'router.bad-certificate',
      'operator',
      `the router's certificate and key: expected a PEM pair, got one that OpenSSL refuses (${(error as Error).message})`,
      { action: 'Make the certificate and key of the router anew.', cause: error },
    );
  }
}

const NOTHING: Counters['received'] = { packets: 0, bytes: 0 };

function totalOf({ devices, host }: Traffic): Counters {
  const drops = hostDropsOf(host);
  if (devices === undefined) return { received: NOTHING, sent: NOTHING, drops };
  const counters = countersOf(devices);
  return { ...counters, drops: addDrops(counters.drops, drops) };
}

function view(session: Session, threads: RouterThreads): SessionView {
  const { name: address, from, sinceMs, tls, understandsVerdicts, peer } = session;
  const counted = threads.counted(peer);
  const counters = countersOf(counted);
  return { address, from, sinceMs, tls, understandsVerdicts, queuedBytes: counted.queueBytes, counters };
}
