import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import type { Rate } from '../../os/service/token-buckets.ts';
import { toHex } from '../../protocol/bytes.ts';
import { parseReport } from '../../protocol/tunnel/report.ts';
import { encodeVerdict, type Verdict } from '../../protocol/tunnel/verdict.ts';
import { FRAME_HEADER_LENGTH } from '../../protocol/tunnel/wire.ts';
import type { PeerHandle, RouterThreads } from '../../tunnel/router.ts';
import type { Admission, Endpoint } from '../registry/admission.ts';
import { sessionsByGroup } from './by-group.ts';
import { cloneDetector } from './clones.ts';
import { delegations } from './delegations.ts';
import { departures } from './departures.ts';
import { expiries } from './expiries.ts';
import type { NetworkTable } from './networks.ts';
import { orderedKeys } from './ordered.ts';
import type { RootDistribution } from './roots.ts';
import type { GroupTable } from './rules.ts';
import { type Admitted, type Arrival, type Session, sessionOf } from './session.ts';
import { connectionTotals, type Totals } from './totals.ts';

/** The devices' sessions, one per device, and what the registry is told of them. */
export interface SessionTable {
  /** Begins the session of an authorized device; an older one of the same device is cut. */
  admit(arrival: Arrival, endpoint: Endpoint, provenKey: Uint8Array, admitted?: Admitted): void;
  /** What the registry knows of the device has perhaps changed; it is admitted still. */
  update(session: Session, endpoint: Endpoint): void;
  /** Ends a session at once; how depends on the verdict and the kind of peer (docs/wire.md). */
  cut(session: Session, verdict: Verdict | undefined, reason: string): void;
  /** A connection has ended, perhaps of a peer that was never admitted. */
  end(id: number, reason: string): void;
  /** Takes a control message of a device: its report, which roots it knows, or that it leaves for good. */
  receive(id: number, message: Uint8Array): void;
  /** All sessions, as they are when each is looked at. */
  all(): Iterable<Session>;
  /** The session of the device at this address (16 bytes). */
  find(address: Uint8Array): Session | undefined;
  /** The sessions of a group's devices (by its id, 32 bytes), as they are now. */
  ofGroup(gid: Uint8Array): readonly Session[];
  /** Sessions in the order of their addresses, at most `limit`, of those behind the address `after` (16 bytes). */
  page(after: Uint8Array | undefined, limit: number): readonly Session[];
  /** How many there are. */
  readonly size: Sizes;
  /** What all connections of admitted devices have counted since the start. */
  readonly totals: Pick<Totals<Session>, 'now' | 'inTurns'>;
  /** How often two devices were found to have one key. */
  readonly clones: number;
  /** Writes to the log what was only counted. */
  close(): void;
}

/** Whether devices may retire themselves, and how often those of one group. */
export interface Leave {
  readonly allowed: boolean;
  readonly rate: Rate;
}

/** What is said between the router and its devices. */
export interface Talk {
  readonly roots: RootDistribution;
  readonly leave: Leave;
  /** Says to a device that was admitted what each is told. */
  readonly greet: (session: Session) => void;
}

/** Sessions by the kind of their peers. */
export interface Sizes {
  readonly agent: number;
  readonly c: number;
}

export function sessionTable(
  threads: RouterThreads,
  admission: Admission,
  { networks, groups: numbered }: { readonly networks: NetworkTable; readonly groups: GroupTable },
  { roots, leave, greet }: Talk,
  log: Log,
): SessionTable {
  /** By address. */
  const sessions = new Map<string, Session>();
  /** All that were admitted and still have a connection, also those that were cut; by the connection's id. */
  const connected = new Map<number, Session>();
  const groups = sessionsByGroup();
  const order = orderedKeys();
  const totals = connectionTotals<Session>(({ peer }) => threads.counted(peer));
  const detector = cloneDetector();
  const prefixes = delegations(threads, admission, log);
  const leaving = departures({ threads, admission, ...leave, log });
  let clones = 0;
  let agents = 0;
  const endings = expiries<Session>((session) =>
    cut(session, { kind: 'unknown' }, 'a certificate of its chain has expired'),
  );
  const logBegin = repeatedLine(log, 'info');
  const logEnd = repeatedLine(log, 'info');
  const logClones = repeatedLine(log, 'warning', { each: 1 });
  const logReport = repeatedLine(log, 'debug');
  const logFailure = repeatedLine(log, 'error', { subjects: 1 });

  /** A session does not depend on its history: a failure to record is logged only. */
  const notRecorded = (error: unknown): void =>
    logFailure('', `the registry does not record: ${(error as Error).message}`, error);

  function record(write: () => void): void {
    try {
      write();
    } catch (error) {
      notRecorded(error);
    }
  }

  function add(session: Session): void {
    const key = toHex(session.address);
    sessions.set(key, session);
    order.add(key);
    groups.add(session);
    if (session.understandsVerdicts) agents++;
    connected.set(session.id, session);
    totals.begin(session);
    record(() => admission.connected(session.address, session.from, session.generation));
    logBegin(session.name, `device ${session.name} connected from ${session.from}`);
  }

  function remove(session: Session, reason: string): void {
    const key = toHex(session.address);
    sessions.delete(key);
    session.routes?.end();
    endings.delete(session);
    order.delete(key);
    groups.delete(session);
    if (session.understandsVerdicts) agents--;
    record(() => admission.disconnected(session.address, session.generation));
    logEnd(session.name, `device ${session.name} disconnected: ${reason}`);
  }

  function cut(session: Session, verdict: Verdict | undefined, reason: string): void {
    disconnect(threads, session.peer, verdict);
    remove(session, reason);
  }

  /** Says so unless it was said within the hour, perhaps by another node. That the registry does not answer is no reason to be silent. */
  async function tellOfClones({ name, address }: Session, hosts: readonly string[]): Promise<void> {
    try {
      if (!(await admission.clones(address, hosts))) return;
    } catch (error) {
      notRecorded(error);
    }
    clones++;
    const where = hosts.length > 1 ? hosts.join(' and ') : `${hosts[0]} and elsewhere`;
    logClones(name, `device ${name} connects from ${where} in turns: two devices seem to have its key`);
  }

  return {
    admit(arrival, endpoint, provenKey, admitted) {
      const session = sessionOf(arrival, endpoint, provenKey, admitted);
      const { vouched } = session;
      const older = sessions.get(toHex(session.address));
      if (older !== undefined) cut(older, undefined, 'replaced by a newer connection');
      const { name, host, sinceMs, generation } = session;
      // Of several nodes the registry knows what replaces what, here and elsewhere.
      const hosts =
        generation === undefined
          ? older && detector.replacement(name, host, older.host, sinceMs)
          : admitted?.clones;
      if (hosts !== undefined) void tellOfClones(session, hosts);
      add(session);
      const network = networks.numberOf(endpoint.network);
      threads.admit(session.peer, session.address, network, numbered.numberOf(session.gid));
      greet(session);
      prefixes.apply(session, endpoint);
      if (vouched !== undefined) endings.add(session, vouched.until);
    },
    update: prefixes.apply,
    cut,
    end(id, reason) {
      const session = connected.get(id);
      if (session === undefined) return;
      connected.delete(id);
      roots.ended(session);
      prefixes.ended(session);
      totals.end(session);
      if (sessions.get(toHex(session.address)) === session) remove(session, reason);
    },
    // A report is about the device that sent it, whatever it contains; one on a connection that was cut does not count.
    receive(id, message) {
      const session = connected.get(id);
      if (session === undefined || sessions.get(toHex(session.address)) !== session) return;
      if (roots.receive(session, message) || leaving.receive(session, message)) return;
      const report = parseReport(message);
      if (report === undefined) logReport(session.name, `device ${session.name} sent an invalid report`);
      else record(() => admission.reported(session.address, report));
    },
    all: () => sessions.values(),
    find: (address) => sessions.get(toHex(address)),
    ofGroup: groups.of,
    page: (after, limit) => order.page(after && toHex(after), limit).map((key) => sessions.get(key)!),
    get size() {
      return { agent: agents, c: sessions.size - agents };
    },
    totals,
    get clones() {
      return clones;
    },
    close() {
      endings.close();
      for (const line of [logBegin, logEnd, logClones, logReport, logFailure, leaving, prefixes])
        line.close();
    },
  };
}

const NO_VERDICT = new Uint8Array(0);

/**
 * Ends a connection. The verdict is for peers that understand it; a C peer takes a reset for "provision anew", so it gets one
 * only if it is evicted or not registered. A peer that was refused is charged to its source, unless it is `excused`: what a device does is then not held
 * against others behind the same address.
 */
export function disconnect(
  threads: RouterThreads,
  peer: PeerHandle,
  verdict: Verdict | undefined,
  excused = false,
): void {
  const packet = verdict === undefined ? NO_VERDICT : encodeVerdict(verdict).subarray(FRAME_HEADER_LENGTH);
  const reset = verdict?.kind === 'evicted' || verdict?.kind === 'unregistered';
  threads.disconnect(peer, packet, reset, excused);
}
