import type { Log } from '../../os/log.ts';
import type { TunDevice } from '../../os/tun.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';
import { sourceOf } from '../peer.ts';
import type { Admission, Endpoint } from './admission.ts';
import { type Counters, newCounters, snapshot } from './counters.ts';
import { startForwarding } from './forwarding.ts';
import { createGate, type GateLimits } from './gate.ts';
import { judge, verdictOn } from './judge.ts';
import { listenTls } from './listen.ts';
import { type Connection, part } from './parting.ts';
import { Session, type SessionLimits } from './session.ts';
import { createSwitch } from './switch.ts';

export interface RouterLimits extends GateLimits, SessionLimits {
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

export interface RouterOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM of the router's certificate (chain) and its key. */
  readonly certificate: string;
  readonly key: string;
  readonly admission: Admission;
  /** The host's way to the devices. The router starts it but does not close it. */
  readonly tun?: TunDevice;
  readonly log: Log;
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
  sessions(): SessionView[];
  /** Of all sessions since the start. */
  counters(): Counters;
  /** TLS handshakes under way. */
  readonly pendingHandshakes: number;
  /** Closes every session orderly, those that do not follow hard, and returns when nothing is open any more. */
  close(): Promise<void>;
}

/**
 * Starts the tunnel router (enftun.md §12): admits devices by the key of their certificate, keeps one session per
 * device, and cuts it as soon as the registry says so.
 * @throws Failure `router.bad-certificate`, `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`
 */
export async function startRouter(options: RouterOptions): Promise<Router> {
  const { admission, log } = options;
  const limits = { ...ROUTER_LIMITS, ...options.limits };
  const gate = createGate(limits, () => performance.now());
  const total = newCounters();

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

  const isDevice = (address: Uint8Array): boolean | undefined => {
    const endpoint = lookup(address);
    return endpoint === 'down' ? undefined : endpoint !== undefined;
  };
  const table = createSwitch<Session>(isDevice, options.tun !== undefined);
  const forwarding = startForwarding(table, options.tun, total, log);

  const events = {
    packets: (session: Session, packets: readonly Uint8Array[]) => forwarding.fromSession(session, packets),
    ended: (session: Session, reason: string) => {
      table.detach(session);
      note(() => admission.disconnected(session.address));
      log('info', `device ${session.name} disconnected: ${reason}`);
    },
  };

  const admit = (connection: Connection, endpoint: Endpoint, provenKey: Uint8Array): void => {
    const session = new Session(connection, endpoint, provenKey, events, limits, total);
    table.owner(endpoint.address)?.cut(undefined, 'replaced by a newer connection');
    table.attach(session);
    note(() => admission.connected(session.address, connection.from));
    log('info', `device ${session.name} connected from ${connection.from}`);
    session.start();
  };

  const refuse = (connection: Connection, verdict: Verdict, address: Uint8Array | undefined): void => {
    gate.refused(sourceOf(connection.raw.remoteAddress));
    const who = address === undefined ? 'a peer without identity' : `device ${formatIpv6(address)}`;
    log('debug', `${who} refused from ${connection.from}: ${verdict.kind}`);
    part(connection, verdict, limits.lingerMs);
  };

  const listener = await listenTls({
    ...options,
    gate,
    handshakeMs: limits.handshakeMs,
    onConnection: (connection) => {
      const judgement = judge(lookup, connection.tls.getPeerX509Certificate());
      if (closing) part(connection, undefined, limits.lingerMs);
      else if ('verdict' in judgement) refuse(connection, judgement.verdict, judgement.address);
      else admit(connection, judgement.endpoint, judgement.provenKey);
    },
  });

  const stopWatching = admission.onChange((address) => {
    table.forget();
    const session = table.owner(address);
    if (session === undefined) return;
    const verdict = verdictOn(lookup(address), session.provenKey);
    if (verdict !== undefined) session.cut(verdict, `the registry says ${verdict.kind}`);
  });

  const sweep = setInterval(() => {
    for (const session of table.ports()) session.checkProgress();
  }, limits.stallMs / 8);
  sweep.unref();

  return {
    port: listener.port,
    sessions: () => Array.from(table.ports(), view),
    counters: () => snapshot(total),
    get pendingHandshakes() {
      return gate.pending;
    },
    async close() {
      closing = true;
      clearInterval(sweep);
      stopWatching();
      forwarding.stop();
      const closed = listener.close();
      for (const session of table.ports()) session.cut(undefined, 'the router stops');
      const deadline = setTimeout(() => listener.drop(), limits.lingerMs);
      await closed;
      clearTimeout(deadline);
    },
  };
}

function view(session: Session): SessionView {
  const { from, tls, understands } = session.connection;
  return {
    address: session.name,
    from,
    sinceMs: session.sinceMs,
    tls: tls.getProtocol() ?? 'unknown',
    understandsVerdicts: understands,
    queuedBytes: session.queuedBytes,
    counters: snapshot(session.counters),
  };
}
