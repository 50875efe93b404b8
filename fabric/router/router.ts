import { availableParallelism } from 'node:os';
import { listenFailure } from '../../os/net/listen.ts';
import type { Log } from '../../os/service/log.ts';
import { equal } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import { type Beats, encodeBeats } from '../../protocol/tunnel/beats.ts';
import type { TunDevice } from '../../tunnel/client.ts';
import {
  type RouterCounters,
  type RouterEvent,
  type RouterThreads,
  type RuleCount,
  startRouterThreads,
} from '../../tunnel/router.ts';
import type { Admission } from '../registry/admission.ts';
import type { Learned } from '../registry/records.ts';
import { type Arrivals, receiveArrivals } from './arrivals.ts';
import { addCounters, type Counters, countersOf, type Traffic, totalOf } from './counters.ts';
import { type Drain, type Draining, drainingOf } from './draining.ts';
import { ROUTER_LIMITS, type RouterLimits } from './limits.ts';
import { type NetworkSource, type NetworkTable, networkTable } from './networks.ts';
import { type PaceSource, paceOf } from './pace.ts';
import { answersTogether } from './questions/answers.ts';
import { registryQuestions } from './questions/authorize.ts';
import { inTurns } from './questions/turns.ts';
import { type RateSource, type RateTable, rateTable } from './rates.ts';
import { followChanges, reviewsOf } from './reviews.ts';
import { type RootUpdates, rootDistribution } from './roots.ts';
import { type GroupTable, groupTable, type RuleSource, type RuleTable, ruleTable } from './rules.ts';
import type { Session } from './session.ts';
import type { RouteSink } from './session-routes.ts';
import { disconnect, type SessionTable, type Sizes, sessionTable } from './sessions.ts';

/** How long the threads may take to act on a change. One that is asked looks within milliseconds, unless it hangs. */
const SETTLED_MS = 3_000;

export interface RouterOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM of the router's certificate (chain) and its key. */
  readonly certificate: string;
  readonly key: string;
  /** The roots that devices are to know; none but those that they have, unless given. */
  readonly roots?: RootUpdates;
  readonly admission: Admission;
  /** False: no device may retire itself. */
  readonly decommission?: boolean;
  /** The name of this node, beside which others may serve the same registry: devices are attached (`Admission.attach`), and have one tunnel among all nodes. */
  readonly node?: string;
  /** Where those learn which devices have their tunnels here: a tunnel begins once its route is there. */
  readonly routes?: RouteSink;
  /** The fabric's networks: what is in none of them is no device's. Undefined: any address may be a device's. */
  readonly networks?: NetworkSource;
  /** Who reaches whom in those networks, and into them; without it everything passes within a network, and nothing between two. */
  readonly rules?: RuleSource;
  /** How much devices may send and get; without it there is no limit. */
  readonly rates?: RateSource;
  /** How many devices there are and may come in a second; without it they are told no pace. */
  readonly pace?: PaceSource;
  /** How soon devices send heartbeats, and give up; they are told nothing of that unless given. */
  readonly beats?: Beats;
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
  /** When it was last heard, in milliseconds since 1970, if it does not answer any more; soon it is given up. */
  readonly silentSinceMs?: number;
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
  /** Sessions in the order of their addresses: at most `limit` of those behind the address `after` (16 bytes). */
  sessions(after?: Uint8Array, limit?: number): SessionView[];
  /** How many there are, by the kind of their peers. */
  readonly sizes: Sizes;
  /** When the device at this address (16 bytes) was last heard, in milliseconds since 1970, if it has a tunnel and does not answer any more. */
  silentSince(address: Uint8Array): number | undefined;
  /** Of all sessions since the start, and of packets of the host that no device can get. */
  counters(): Counters;
  /** Everything that was counted since the start, for metrics. */
  traffic(): Traffic;
  /** The same, read in parts between which other work goes on. */
  trafficInTurns(): Promise<Traffic>;
  /** How many devices with a tunnel know of the newest roots. */
  readonly learned: Learned;
  /**
   * Shows this certificate to whoever connects from now on, and notifies the devices that are connected of the roots; no tunnel ends.
   * @throws Failure `router.bad-certificate`
   */
  replaceIdentity(
    identity: { readonly certificate: string; readonly key: string },
    roots: RootUpdates,
  ): Promise<void>;
  /** Leaves service: the agents that are connected are told to move to another host, and those that come, too. It goes on serving until it is closed. */
  drain(drain: Drain): Promise<void>;
  /** Does not leave service any more. */
  resume(): Promise<void>;
  /** Undefined unless it leaves service. */
  readonly draining: Draining['now'];
  /** What the rules of a network have decided on since the start, by their ids. */
  ruleCounts(network: Prefix): ReadonlyMap<number, RuleCount>;
  /** How many rules are in force. */
  readonly rules: number;
  /** How many packets of the device at this address (16 bytes) its rate limits have dropped since its tunnel began; undefined: it has none. */
  limited(address: Uint8Array): number | undefined;
  /** How often two devices were found to have one key. */
  readonly clones: number;
  /** How many connections were refused because their device came too often. */
  readonly tooOften: number;
  /** TLS handshakes under way, and peers that wait for authorization. */
  readonly pendingHandshakes: number;
  /**
   * Resolves when the threads have acted on every change of the registry so far: sessions that it ends are cut, rules and rate limits are in force.
   * @throws Failure `router.not-confirmed`, `router.rules-unread`, `router.limits-unread`
   */
  settled(): Promise<void>;
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
  const networks = await networkTable(options.networks);
  const opened: { close(): void }[] = [networks];
  const open = <Part extends { close(): void }>(part: Part): Part => {
    opened.push(part);
    return part;
  };
  try {
    const groups = groupTable();
    const rules = open(await ruleTable(options.rules, networks, groups, options.log));
    const rates = open(await rateTable(options.rates, networks, groups, options.log));
    return start(options, { networks, groups, rules, rates });
  } catch (error) {
    for (const part of opened) part.close();
    throw error;
  }
}

/** What the threads are told by number. */
interface Numbered {
  readonly networks: NetworkTable;
  readonly groups: GroupTable;
  readonly rules: Awaited<ReturnType<typeof ruleTable>>;
  readonly rates: Awaited<ReturnType<typeof rateTable>>;
}

function start(options: RouterOptions, numbered: Numbered): Router {
  const { networks } = numbered;
  const { admission, log, tun, threads: count = defaultThreads() } = options;
  const limits = { ...ROUTER_LIMITS, ...options.limits };
  const questions = registryQuestions(admission, log);
  let closing = false;
  const answers = answersTogether((asked) => {
    const found = questions.holders(asked.map(({ address }) => address));
    for (const [at, { thread, address }] of asked.entries()) {
      const known = found === 'down' ? undefined : found[at];
      const group = known === undefined ? 0 : numbered.groups.numberOf(known.gid);
      const isBehind = known !== undefined && !equal(known.address, address);
      const whose = found === 'down' ? 'unknown' : known === undefined ? 'nobody' : 'device';
      threads.answer(thread, address, whose, group, isBehind ? known.address : undefined);
    }
  });

  const events = inTurns<RouterEvent>((event) => {
    switch (event.kind) {
      case 'arrived':
        if (closing) disconnect(threads, event.peer, undefined);
        else arrivals.arrive(event);
        break;
      case 'ended':
        arrivals.gone(event.id);
        sessions.end(event.id, event.text);
        break;
      case 'message':
        sessions.receive(event.id, event.message);
        break;
      case 'asks':
        answers.ask(event);
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
  const threads = startThreads(options, limits, count, events.take);
  if (options.networks !== undefined) networks.publish(threads.setNetworks);
  // Before the first device is admitted.
  const rules: RuleTable = numbered.rules.begin(threads);
  const rates: RateTable = numbered.rates.begin(threads);
  // Before the device knows its address: until now it was nobody's, and packets for it went to the host.
  const ignoreAdmissions = options.networks?.onAdmitted(threads.forget);
  const roots = rootDistribution(threads, options.roots ?? { version: 1, updates: [] });
  const pace = paceOf(threads, options.pace, log);
  const draining = drainingOf(threads, options.pace?.connectsPerSecond, log);
  const beats = options.beats && encodeBeats(options.beats);
  const greet = (session: Session): void => {
    roots.admitted(session);
    pace.admitted(session);
    if (beats !== undefined && session.understandsVerdicts) threads.send(session.peer, beats);
    draining.admitted(session);
  };
  const leave = {
    allowed: options.decommission ?? true,
    rate: { burst: limits.departureBurst, periodMs: limits.departurePeriodMs },
  };
  const sessions: SessionTable = sessionTable(threads, admission, numbered, { roots, leave, greet }, log);
  pace.begin(sessions.all);
  const rate = { burst: limits.connectionBurst, periodMs: limits.connectionPeriodMs };
  const arrivals: Arrivals = receiveArrivals({
    ...{ questions, admission, threads, sessions, rate, log },
    node: options.node,
    routes: options.routes,
    review: (address) => void reviews.one(address),
  });
  arrivals.casChanged();

  const reviews = reviewsOf({ questions, sessions, isSuperseded: arrivals.isSuperseded });
  const unsubscribe = followChanges({ admission, threads, arrivals, sessions, reviews });

  const host = (): RouterCounters => addCounters(threads.counters())!;
  const traffic = (): Traffic => ({ devices: sessions.totals.now(), host: host() });

  return {
    port: threads.port,
    threads: count,
    sessions: (after, limit = Number.POSITIVE_INFINITY) =>
      sessions.page(after, limit).map((session) => view(session, threads)),
    get sizes() {
      return sessions.size;
    },
    get learned() {
      return roots.learned(sessions.size);
    },
    async replaceIdentity(identity, next) {
      try {
        threads.setIdentity(identity);
      } catch (error) {
        throw badCertificate(error as NodeJS.ErrnoException);
      }
      await roots.replace(next, sessions.all());
    },
    drain: (drain) => draining.begin(drain, sessions.all(), sessions.size.agent),
    resume: () => draining.end(sessions.all()),
    get draining() {
      return draining.now;
    },
    silentSince(address) {
      const session = sessions.find(address);
      return session && silentSince(session, threads);
    },
    counters: () => totalOf(traffic()),
    traffic,
    trafficInTurns: async () => ({ devices: await sessions.totals.inTurns(), host: host() }),
    ruleCounts: rules.counts,
    get rules() {
      return rules.size;
    },
    limited(address) {
      const session = sessions.find(address);
      return session && threads.counted(session.peer).drops.limited;
    },
    get clones() {
      return sessions.clones;
    },
    get tooOften() {
      return arrivals.tooOften;
    },
    get pendingHandshakes() {
      return threads.pending;
    },
    async settled() {
      await rules.settled();
      await rates.settled();
      if (!(await threads.settled(SETTLED_MS))) throw notConfirmed();
    },
    async close() {
      closing = true;
      reviews.close();
      unsubscribe();
      ignoreAdmissions?.();
      pace.close();
      rules.close();
      rates.close();
      networks.close();
      await threads.close();
      events.finish();
      answers.close();
      arrivals.close();
      sessions.close();
    },
  };
}

function startThreads(
  { listen, certificate, key, tun, routes }: RouterOptions,
  limits: RouterLimits,
  threads: number,
  onEvent: (event: RouterEvent) => void,
): RouterThreads {
  const several = routes !== undefined;
  const settings = { ...limits, threads, several, tun: tun?.fd, offload: tun?.offload ?? 0 };
  try {
    return startRouterThreads(listen, { certificate, key }, settings, onEvent);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EKEYREJECTED') {
      throw error instanceof TypeError ? error : listenFailure(listen, 'the tunnel router', error);
    }
    throw badCertificate(error as Error);
  }
}

function badCertificate(error: Error): Failure {
  return new Failure(
    'router.bad-certificate',
    'operator',
    `the router's certificate and key: expected a PEM pair, got one that OpenSSL refuses (${error.message})`,
    {
      action: 'Make the certificate and key of the router anew: "enf-fabric certificate rotate router".',
      cause: error,
    },
  );
}

function notConfirmed(): Failure {
  return new Failure(
    'router.not-confirmed',
    'retry',
    `the change is recorded, but a router thread has not said within ${SETTLED_MS / 1000} s that it has cut the sessions concerned`,
    {
      action:
        'Repeat the command. If that does not help, restart the fabric: it admits nobody against the registry.',
    },
  );
}

function view(session: Session, threads: RouterThreads): SessionView {
  const { name: address, from, sinceMs, tls, understandsVerdicts, peer } = session;
  const counted = threads.counted(peer);
  const counters = countersOf(counted);
  const silentSinceMs = silentSince(session, threads);
  return {
    ...{ address, from, sinceMs, tls, understandsVerdicts, queuedBytes: counted.queueBytes, counters },
    ...(silentSinceMs !== undefined && { silentSinceMs }),
  };
}

function silentSince({ peer }: Session, threads: RouterThreads): number | undefined {
  const ms = threads.silentMs(peer);
  return ms === undefined ? undefined : Date.now() - ms;
}
