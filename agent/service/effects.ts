import { sourceTowards } from '../../os/linux/netlink.ts';
import type { Resolved } from '../../os/linux/resolved.ts';
import { hostChoice, hostsInOrder } from '../../os/net/choice.ts';
import { type Lookup, systemLookup } from '../../os/net/lookup.ts';
import { markedLookup } from '../../os/net/resolver.ts';
import type { Log } from '../../os/service/log.ts';
import { systemClocks } from '../../os/service/process.ts';
import { Failure } from '../../protocol/failure.ts';
import { parseDrain } from '../../protocol/tunnel/drain.ts';
import { openTunDevice } from '../../tunnel/client.ts';
import { type Config, isEnrolled } from '../config/config.ts';
import { proxyOf } from '../config/proxy.ts';
import { enrolledIdentity, noEnrolment } from '../identity/enrolled.ts';
import { shownRoots } from '../identity/learned-roots.ts';
import { namedIdentity } from '../identity/named-certificate.ts';
import { type CertificateView, identitySession } from '../identity/session.ts';
import type { CredentialEnd, Goal } from '../lifecycle/situation.ts';
import { type Clocks, clockCheck } from '../lifecycle/wall-clock.ts';
import { openDelegatedLan } from '../network/delegated-lan.ts';
import { openNames } from '../network/names.ts';
import { policyOf } from '../network/policy.ts';
import { openReconciler } from '../network/reconciler.ts';
import { decommissionedOf, leavingSince } from '../state/decommission.ts';
import { stateSession } from '../state/session.ts';
import type { DeviceRecord } from '../state/state.ts';
import type { Facts } from '../status/facts.ts';
import type { TunnelEvent } from '../tunnel/session.ts';
import { type TunnelPlatform, tlsSession } from '../tunnel/tls-session.ts';
import { delegation } from './delegation.ts';
import { departure } from './departure.ts';
import { afterUp, type DrainEvent, drainEvent } from './drain.ts';
import { paceKeeper } from './pace.ts';
import { keepSelfReport } from './self-report.ts';

/** How the lifecycle's actions are carried out. Each fails with a Failure and can be tried again. */
export interface Effects {
  /** Opens state and keys (again), and returns what they ask for. */
  prepare(): Promise<Exclude<Goal, { kind: 'prepare' }>>;
  /** Runs the handshake, and takes no other address than this one if it is given; returns that of the identity, which is durable then. */
  provision(address?: string): Promise<string>;
  /** The same beside the tunnel that there is, which stays. */
  renew(address: string): Promise<string>;
  /** Gets a certificate with a one-time code, as `EnrolledSession.enroll`. @throws Failure `pki.no-enrolment` besides others */
  enroll(code: string, again: boolean): Promise<CertificateView>;
  /** Brings the interface up and starts the tunnel. @throws Failure `clock.implausible` besides others */
  connect(report: (event: ConnectionEvent) => void): Promise<void>;
  /** Asks the fabric to retire this device: now, and on each connection until it answers (`left`, `stays`). @throws Failure of the state */
  leave(): Promise<void>;
  /** Ends the tunnel, and removes identity, keys and credential. @throws Failure of state and TPM */
  erase(told: boolean): Promise<CredentialEnd>;
  /** Connects to another host: see `TunnelSession.move`. @throws Failure if the tunnel that there is goes on */
  move?(): Promise<void>;
  /** Finds out at once whether the tunnel still works: see `TunnelSession.probe`. */
  probe(): 'moved' | 'probed';
  /** Addresses that the configured names are known to have. */
  addresses(): readonly string[];
  /** What was read from files is read again when it is next needed. */
  reload(): void;
  /** Keeps a failure to be reported to the fabric when that is possible. */
  note(failure: unknown): void;
  /** Closes everything. */
  release(): Promise<void>;
  facts(): Facts;
  /** How long the fabric lets this device wait at most between two attempts; undefined: it has not said. */
  longestMs?(): number | undefined;
  /** True if a lockdown is configured and does not hold. */
  isOpen?(): boolean;
}

/** What a connection reports: its tunnel's events, what the fabric says to the wish to be retired, and once it is up whether its router leaves service. */
export type ConnectionEvent =
  | TunnelEvent
  | { readonly kind: 'left'; readonly told: true }
  | { readonly kind: 'stays'; readonly failure: Failure }
  | DrainEvent;

/** What the agent needs of the kernel; a test without a kernel of its own brings another. */
export interface Platform extends TunnelPlatform {
  readonly openReconciler: typeof openReconciler;
  /** That of the machine unless given. */
  readonly resolved?: Resolved;
  readonly openDelegatedLan: typeof openDelegatedLan;
}

/** Clocks and resolver of the agent; a test brings its own. */
export interface Environment {
  readonly clocks: Clocks;
  /** Instead of the system's, or of our own where the tunnel's sockets have a mark. */
  readonly resolver?: Lookup;
}

/** The effects on this machine, as the configuration describes them: a composition of sessions that each own their state. */
export function openEffects(
  config: Config,
  log: Log,
  platform: Platform = { openTun: openTunDevice, openReconciler, openDelegatedLan, sourceTowards },
  { clocks, resolver: given }: Environment = { clocks: systemClocks },
): Effects {
  const policy = policyOf(config);
  const { mark } = policy;
  const proxy = proxyOf(config);
  // In split mode a mark of our own making only keeps the connection out of the tunnel.
  const ordinary = config.route.mode === 'split' && config.tunnel.fwmark === 0;
  const resolver = given ?? (ordinary ? systemLookup : markedLookup(mark));
  const stop = new AbortController();
  const stopping = stop.signal;
  const clock = clockCheck(clocks);
  const self = keepSelfReport(clocks.steadyMs, () => tunnel.sendReport());
  const reconciler = platform.openReconciler(policy, log, self.note, (failure) => tunnel.lose(failure));
  const { resolved } = platform;
  const named = { zone: config.dns.zone, device: config.tunnel.device };
  const names = openNames({ ...named, ...(resolved !== undefined && { resolved }) }, log, self.note);
  const state = stateSession({ config, clocks, resolver, log, note: self.note });
  const { store, lookup } = state;
  const { wallMs } = clocks;
  const { steadyMs } = clocks;
  const { tunnelPort, identityPort, connectTimeout: timeoutMs } = config.remote;
  // The same order for both programs there.
  const hosts = hostsInOrder(config.remote.hosts, config.remote.order, Math.random);
  const choosing = { hosts, lookup, timeoutMs, clock: steadyMs, chance: Math.random };
  const options = {
    ...{ config, store, lookup, proxy, mark, wallMs, steadyMs, log, stopping },
    choice: hostChoice({ ...choosing, port: identityPort, everywhere: true }),
    note: self.note,
  };
  const enrolled = isEnrolled(config) ? enrolledIdentity(options) : undefined;
  const identity =
    enrolled ?? (config.identity.mode === 'pki' ? namedIdentity({ config }) : identitySession(options));
  const { interface: lan, ...lanPolicy } = config.delegation;
  const { device, mtu } = config.tunnel;
  const prefixes = delegation({
    ...{ config, store, log, note: self.note },
    lan:
      lan === '' ? undefined : platform.openDelegatedLan({ lan, device, mtu, ...lanPolicy }, log, self.note),
    allow: (prefix) => tunnel.allow(prefix),
  });
  const leaving = departure({ config, store, opened: state.opened, wallMs });
  const pace = paceKeeper({ store, opened: state.opened, log, note: self.note });
  let tell: (event: ConnectionEvent) => void = () => {};
  const hearDrain = (packet: Uint8Array): Promise<void> | undefined => {
    const message = parseDrain(packet);
    if (message === undefined) return undefined;
    return drainEvent(message, tunnel).then((event) => event && tell(event));
  };
  const receive = async (packet: Uint8Array): Promise<Uint8Array | undefined> => {
    const learned = prefixes.receive(packet) ?? pace.receive(packet) ?? hearDrain(packet);
    if (learned !== undefined) {
      await learned;
      return undefined;
    }
    const refusal = leaving.receive(packet);
    if (refusal === undefined) return identity.receive(packet);
    const failure = await refusal;
    if (failure !== 'ignored') tell({ kind: 'stays', failure });
    return undefined;
  };
  /** What was begun last: it writes nothing any more once what is left of the device is removed. */
  let underWay: Promise<unknown> = Promise.resolve();
  const tracked = <T>(work: Promise<T>): Promise<T> => {
    underWay = Promise.allSettled([underWay, work]);
    return work;
  };
  const connect = async (report: (event: ConnectionEvent) => void): Promise<void> => {
    clock.check((await state.lastGood())?.timeMs);
    const inOrder = afterUp(report);
    tell = inOrder;
    await tunnel.connect((event) => {
      if (event.kind === 'up') state.tunnelUp();
      else void state.tunnelDown();
      const answer = answerOf(event);
      if (enrolled !== undefined && answer !== undefined) void tracked(enrolled.heard(answer));
      const retired = event.kind === 'verdict' && event.verdict.kind === 'retired';
      inOrder(retired && leaving.asks() ? { kind: 'left', told: true } : event);
    });
  };
  /** Another address is another device, which has no prefix of this one. */
  const tlsIdentity: typeof identity.tls = async () => {
    const found = await identity.tls();
    await prefixes.begin(found.address);
    return found;
  };
  const tunnel = tlsSession({
    config,
    platform,
    identity: tlsIdentity,
    lookup,
    choice: hostChoice({ ...choosing, port: tunnelPort }),
    proxy,
    mark,
    async attach(own, fd) {
      await reconciler.attach(own, fd);
      names.attached(own);
    },
    control: { selfReport: self.current, request: leaving.request, receive },
    stopping,
  });

  /** What a handshake has given it, if that is its identity. */
  const kept = () => (config.identity.mode === 'pki' ? undefined : state.opened()?.record.identity);

  return {
    async prepare() {
      await reconciler.start();
      const end = decommissionedOf((await store()).record);
      if (end !== undefined) return { kind: 'erase', told: end.told };
      const goal = await tracked(identity.prepare());
      if (goal.kind === 'connect') await prefixes.begin(goal.address);
      return goal;
    },

    provision(address) {
      // The end of a tunnel that there still is must not be taken for that of the next one.
      void state.tunnelDown();
      tunnel.stop();
      return tracked(identity.provision(address));
    },

    renew: (address) => tracked(identity.provision(address)),
    enroll(code, again) {
      if (enrolled === undefined) throw noEnrolment();
      return tracked(enrolled.enroll(code, again));
    },
    connect: (report) => tracked(connect(report)),

    async leave() {
      await leaving.begin();
      tunnel.sendRequest();
    },

    async erase(told) {
      await underWay;
      await prefixes.end();
      tunnel.stop();
      tunnel.close();
      await state.tunnelDown();
      await identity.close();
      return leaving.end(told);
    },

    move: () => tunnel.move(),

    probe() {
      const outcome = tunnel.probe();
      if (outcome === 'moved') void state.tunnelDown();
      return outcome;
    },

    reload: identity.reload,
    addresses: state.addresses,
    note: self.note,

    async release() {
      stop.abort(new Failure('agent.stopping', 'retry', 'the agent is stopping'));
      self.close();
      await state.tunnelDown();
      await names.stop();
      await prefixes
        .close()
        .catch((error: unknown) => log('warning', `the LAN keeps its prefix: ${String(error)}`));
      tunnel.close();
      await reconciler
        .stop(config.route.persistLockdown)
        .catch((error: unknown) => log('warning', `the lockdown could not be lifted: ${String(error)}`));
      await identity.close();
      await state.close();
    },

    longestMs: pace.longestMs,
    isOpen: () => reconciler.isOpen?.() ?? false,
    facts: () => ({
      stateGeneration: state.opened()?.generation,
      quarantined: state.opened()?.quarantined ?? [],
      handshakes: identity.handshakes(),
      lastHandshake: kept()?.provisioned,
      resident: kept()?.resident,
      certificate: identity.certificate(),
      roots: shownRoots(state.opened()?.record ?? {}),
      ...outOfService(state.opened()?.record ?? {}),
      delegation: prefixes.facts(),
      longestMs: pace.longestMs(),
      traffic: tunnel.traffic(),
      counters: tunnel.counters(),
      silentMs: tunnel.silentMs(),
    }),
  };
}

/** How a connection ends whose certificate or key the other end does not want; a router of enftun says no more. */
const REFUSALS: ReadonlySet<string> = new Set([
  'tls.bad-credentials',
  'tls.handshake-failed',
  'tunnel.refused',
]);

/** What the fabric has said to the certificate of a connection; undefined: nothing about that. */
function answerOf(event: TunnelEvent): 'taken' | 'refused' | undefined {
  if (event.kind === 'up') return 'taken';
  const refused = event.kind === 'down' ? REFUSALS.has(event.failure.code) : event.verdict.kind === 'unknown';
  return refused ? 'refused' : undefined;
}

function outOfService(record: DeviceRecord): Pick<Facts, 'leaving' | 'decommissioned'> {
  return { leaving: leavingSince(record), decommissioned: decommissionedOf(record) };
}
