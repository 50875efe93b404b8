import type { Log } from '../../os/service/log.ts';
import { toHex } from '../../protocol/bytes.ts';
import { formatPrefix, type Prefix } from '../../protocol/ipv6.ts';
import { parseReport } from '../../protocol/tunnel/report.ts';
import { encodeVerdict, type Verdict } from '../../protocol/tunnel/verdict.ts';
import { FRAME_HEADER_LENGTH } from '../../protocol/tunnel/wire.ts';
import type { PeerHandle, RouterCounters, RouterThreads } from '../../tunnel/router.ts';
import type { Admission, Endpoint } from '../registry/admission.ts';
import { cloneDetector } from './clones.ts';
import { addCounters } from './counters.ts';
import { type Arrival, type Session, sessionOf } from './session.ts';

/** The devices' sessions, one per device, and what the registry is told of them. */
export interface SessionTable {
  /** Begins the session of an authorized device; an older one of the same device is cut. */
  admit(arrival: Arrival, endpoint: Endpoint, provenKey: Uint8Array): void;
  /** Ends a session at once; how depends on the verdict and the kind of peer (docs/wire.md). */
  cut(session: Session, verdict: Verdict | undefined, reason: string): void;
  /** A connection has ended, perhaps of a peer that was never admitted. */
  end(id: number, reason: string): void;
  /** Records a report that came on a connection. */
  report(id: number, message: Uint8Array): void;
  /** The session of the device at this address (16 bytes). */
  find(address: Uint8Array): Session | undefined;
  all(): Iterable<Session>;
  /** What all connections of admitted devices have counted since the start; undefined if there were none. */
  counted(): RouterCounters | undefined;
  /** How often two devices were found to have one key. */
  readonly clones: number;
}

export function sessionTable(threads: RouterThreads, admission: Admission, log: Log): SessionTable {
  /** By address. */
  const sessions = new Map<string, Session>();
  /** All that were admitted and still have a connection, also those that were cut; by the connection's id. */
  const connected = new Map<number, Session>();
  const networkNumber = numbered<Prefix>(formatPrefix);
  const detector = cloneDetector();
  let clones = 0;
  /** What connections that have ended have counted. */
  let past: RouterCounters | undefined;

  /** A session does not depend on its history: a failure to record is logged only. */
  function record(write: () => void): void {
    try {
      write();
    } catch (error) {
      log('error', `the registry does not record: ${(error as Error).message}`);
    }
  }

  function remove(session: Session, reason: string): void {
    sessions.delete(toHex(session.address));
    record(() => admission.disconnected(session.address));
    log('info', `device ${session.name} disconnected: ${reason}`);
  }

  function cut(session: Session, verdict: Verdict | undefined, reason: string): void {
    disconnect(threads, session.peer, verdict);
    remove(session, reason);
  }

  function detectClones(newer: Session, older: Session): void {
    const hosts = detector.replacement(newer.name, newer.host, older.host, newer.sinceMs);
    if (hosts === undefined) return;
    clones++;
    const where = hosts.join(' and ');
    log('warning', `device ${newer.name} connects from ${where} in turns: two devices seem to have its key`);
    record(() => admission.clones(newer.address, hosts));
  }

  return {
    admit(arrival, endpoint, provenKey) {
      const session = sessionOf(arrival, endpoint, provenKey);
      const key = toHex(session.address);
      const older = sessions.get(key);
      if (older !== undefined) {
        cut(older, undefined, 'replaced by a newer connection');
        detectClones(session, older);
      }
      sessions.set(key, session);
      connected.set(session.id, session);
      record(() => admission.connected(session.address, session.from));
      log('info', `device ${session.name} connected from ${session.from}`);
      threads.admit(session.peer, session.address, networkNumber(endpoint.network));
    },
    cut,
    end(id, reason) {
      const session = connected.get(id);
      if (session === undefined) return;
      connected.delete(id);
      past = addCounters([threads.counted(session.peer), ...(past === undefined ? [] : [past])]);
      if (sessions.get(toHex(session.address)) === session) remove(session, reason);
    },
    // A report is about the device that sent it, whatever it contains; one on a connection that was cut does not count.
    report(id, message) {
      const session = connected.get(id);
      if (session === undefined || sessions.get(toHex(session.address)) !== session) return;
      const report = parseReport(message);
      if (report === undefined) log('debug', `device ${session.name} sent an invalid report`);
      else record(() => admission.reported(session.address, report));
    },
    find: (address) => sessions.get(toHex(address)),
    all: () => sessions.values(),
    counted() {
      const current = Array.from(connected.values(), (session) => threads.counted(session.peer));
      return addCounters(past === undefined ? current : [past, ...current]);
    },
    get clones() {
      return clones;
    },
  };
}

const NO_VERDICT = new Uint8Array(0);

/**
 * Ends a connection. The verdict is for peers that understand it; a C peer takes a reset for "provision anew", so it gets one
 * only if it is evicted or not registered.
 */
export function disconnect(threads: RouterThreads, peer: PeerHandle, verdict: Verdict | undefined): void {
  const packet = verdict === undefined ? NO_VERDICT : encodeVerdict(verdict).subarray(FRAME_HEADER_LENGTH);
  threads.disconnect(peer, packet, verdict?.kind === 'evicted' || verdict?.kind === 'unregistered');
}

/** Numbers things from 1 on, equal ones alike. */
function numbered<T>(name: (thing: T) => string): (thing: T) => number {
  const numbers = new Map<string, number>();
  return (thing) => {
    const key = name(thing);
    const number = numbers.get(key) ?? numbers.size + 1;
    numbers.set(key, number);
    return number;
  };
}
