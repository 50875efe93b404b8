import { availableParallelism } from 'node:os';
import { listenFailure } from '../../os/net/listen.ts';
import type { Log } from '../../os/service/log.ts';
import { toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatIpv6, formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import { parseReport } from '../../protocol/tunnel/report.ts';
import { encodeVerdict, type Verdict } from '../../protocol/tunnel/verdict.ts';
import { FRAME_HEADER_LENGTH } from '../../protocol/tunnel/wire.ts';
import type { TunDevice } from '../../tunnel/client.ts';
import {
  type RouterCounters,
  type RouterEvent,
  type RouterThreads,
  startRouterThreads,
} from '../../tunnel/router.ts';
import type { Admission, Endpoint } from '../registry/admission.ts';
import { judge, verdictOn } from './authorize.ts';
import { watchTwins } from './clones.ts';
import { addCounters, addDrops, type Counters, countersOf, hostDropsOf } from './counters.ts';
import { type Arrival, fromOf, type Session, sessionOf } from './session.ts';

export interface RouterLimits {
  /** TLS handshakes under way, in all and per source (IPv4 address, IPv6 /64). */
  readonly pending: number;
  readonly pendingPerSource: number;
  /** Refusals a source may collect at once, and how many of them are forgiven per second. */
  readonly refusalBurst: number;
  readonly refusalsPerSecond: number;
  /** Sources remembered. */
  readonly sources: number;
  /** Bytes that may wait for one device. */
  readonly queueBytes: number;
  /** A peer that takes nothing for so long is gone. */
  readonly stallMs: number;
  /** How long an orderly close waits for the peer's own. */
  readonly lingerMs: number;
  /** Deadline of a TLS handshake. */
  readonly handshakeMs: number;
}

/**
 * A place per handshake costs about 50 KB, and the CPU does some 200 of them per second. Refusals are forgiven fast
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
  /** The host's way to the devices. Once the router is started it is the router's, which closes it. */
  readonly tun?: TunDevice;
  readonly log: Log;
  /** 1 to 16; `defaultThreads()` unless given. */
  readonly threads?: number;
  readonly limits?: Partial<RouterLimits>;
}

/** A session as others may see it. */
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

export interface Router {
  /** The port it listens on, also if 0 was asked for. */
  readonly port: number;
  readonly threads: number;
  sessions(): SessionView[];
  /** Of all sessions since the start, and of what the host sent to nobody. */
  counters(): Counters;
  /** Everything that was counted, for metrics: on all sessions since the start, and at the TUN. */
  traffic(): { readonly devices: RouterCounters | undefined; readonly host: RouterCounters };
  /** How often two devices were found to have one key. */
  readonly twins: number;
  /** TLS handshakes under way, and peers that were not judged yet. */
  readonly pendingHandshakes: number;
  /** Closes every session orderly, those that do not follow hard, and returns when nothing is open any more. */
  close(): Promise<void>;
}

/** Two, unless the machine has one core only: on the second one packets flow while the first is busy with a handshake. */
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
  /** The devices' sessions, by address. */
  const sessions = new Map<string, Session>();
  /** All that were let in and still have a connection, also those that are told to go. */
  const connected = new Map<number, Session>();
  const networks = new Map<string, number>();
  /** What sessions that are over have counted. */
  let past: RouterCounters | undefined;
  const twinWatch = watchTwins();
  let twins = 0;
  let registryDown = false;
  let closing = false;

  /** The registry's answer; `'down'` if it cannot give one. */
  const lookup = (address: Uint8Array): Endpoint | undefined | 'down' => {
    try {
      const endpoint = admission.lookup(address);
      if (registryDown) log('notice', 'the registry answers again');
      registryDown = false;
      return endpoint;
    } catch (error) {
      if (!registryDown) log('error', `the registry does not answer: ${(error as Error).message}`);
      registryDown = true;
      return 'down';
    }
  };

  /** The history is not worth a session: what goes wrong with it is logged only. */
  const note = (write: () => void): void => {
    try {
      write();
    } catch (error) {
      log('error', `the registry does not record: ${(error as Error).message}`);
    }
  };

  const networkOf = (prefix: Prefix): number => {
    const name = formatPrefix(prefix);
    const number = networks.get(name) ?? networks.size + 1;
    networks.set(name, number);
    return number;
  };

  /** Of a session that is not over yet. */
  const over = (session: Session, reason: string): void => {
    sessions.delete(toHex(session.address));
    note(() => admission.disconnected(session.address));
    log('info', `device ${session.name} disconnected: ${reason}`);
  };

  /** Ends the session at once; how depends on the verdict and the kind of peer (docs/wire.md). */
  const cut = (session: Session, verdict: Verdict | undefined, reason: string): void => {
    part(threads, session.peer, verdict);
    over(session, reason);
  };

  const lookForTwins = (newer: Session, older: Session): void => {
    const places = twinWatch.takeover(newer.name, newer.host, older.host, newer.sinceMs);
    if (places === undefined) return;
    twins++;
    const where = places.join(' and ');
    log('warning', `device ${newer.name} connects from ${where} in turns: two devices seem to have its key`);
    note(() => admission.twins(newer.address, places));
  };

  const admit = (arrival: Arrival, endpoint: Endpoint, provenKey: Uint8Array): void => {
    const session = sessionOf(arrival, endpoint, provenKey);
    const key = toHex(session.address);
    const older = sessions.get(key);
    if (older !== undefined) {
      cut(older, undefined, 'replaced by a newer connection');
      lookForTwins(session, older);
    }
    sessions.set(key, session);
    connected.set(session.id, session);
    note(() => admission.connected(session.address, session.from));
    log('info', `device ${session.name} connected from ${session.from}`);
    threads.admit(session.peer, session.address, networkOf(endpoint.network));
  };

  const refuse = (arrival: Arrival, verdict: Verdict, address: Uint8Array | undefined): void => {
    const who = address === undefined ? 'a peer without identity' : `device ${formatIpv6(address)}`;
    log('debug', `${who} refused from ${fromOf(arrival)}: ${verdict.kind}`);
    part(threads, arrival.peer, verdict);
  };

  const receive = (arrival: Arrival): void => {
    if (closing) {
      part(threads, arrival.peer, undefined);
      return;
    }
    const judgement = judge(lookup, arrival);
    if ('verdict' in judgement) refuse(arrival, judgement.verdict, judgement.address);
    else admit(arrival, judgement.endpoint, judgement.provenKey);
  };

  /** What a device tells of itself is about itself, whatever it says; one that was driven out tells nothing any more. */
  const hear = (id: number, message: Uint8Array): void => {
    const session = connected.get(id);
    if (session === undefined || sessions.get(toHex(session.address)) !== session) return;
    const report = parseReport(message);
    if (report === undefined) log('debug', `device ${session.name} sent a report that is none`);
    else note(() => admission.reported(session.address, report));
  };

  /** A connection is over, perhaps of a peer that was never let in. */
  const end = (id: number, reason: string): void => {
    const session = connected.get(id);
    if (session === undefined) return;
    connected.delete(id);
    past = addCounters([threads.counted(session.peer), ...(past === undefined ? [] : [past])]);
    if (sessions.get(toHex(session.address)) === session) over(session, reason);
  };

  const threads = startThreads(options, limits, count, (event) => {
    switch (event.kind) {
      case 'arrived':
        receive(event);
        break;
      case 'ended':
        end(event.id, event.text);
        break;
      case 'reported':
        hear(event.id, event.report);
        break;
      case 'asks': {
        const endpoint = lookup(event.address);
        const whose = endpoint === 'down' ? 'unknown' : endpoint === undefined ? 'nobody' : 'device';
        threads.answer(event.thread, event.address, whose);
        break;
      }
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

  const stopWatching = admission.onChange((address) => {
    threads.forget(address);
    const session = sessions.get(toHex(address));
    if (session === undefined) return;
    const verdict = verdictOn(lookup(address), session.provenKey);
    if (verdict !== undefined) cut(session, verdict, `the registry says ${verdict.kind}`);
  });

  const traffic: Router['traffic'] = () => {
    const living = Array.from(connected.values(), (session) => threads.counted(session.peer));
    return {
      devices: addCounters(past === undefined ? living : [past, ...living]),
      host: addCounters(threads.counters())!,
    };
  };

  return {
    port: threads.port,
    threads: count,
    sessions: () => Array.from(sessions.values(), (session) => view(session, threads)),
    counters: () => totalOf(traffic()),
    traffic,
    get twins() {
      return twins;
    },
    get pendingHandshakes() {
      return threads.pending;
    },
    async close() {
      closing = true;
      stopWatching();
      await threads.close();
    },
  };
}

const NO_VERDICT = new Uint8Array(0);

/** The verdict is for peers that understand it; a C peer takes a reset for "provision anew", so it gets one only if it is evicted. */
function part(threads: RouterThreads, peer: Session['peer'], verdict: Verdict | undefined): void {
  const packet = verdict === undefined ? NO_VERDICT : encodeVerdict(verdict).subarray(FRAME_HEADER_LENGTH);
  threads.disconnect(peer, packet, verdict?.kind === 'evicted');
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

function totalOf({ devices, host }: ReturnType<Router['traffic']>): Counters {
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
