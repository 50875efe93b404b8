import type { CertificateFacts } from '../../crypto/certificates.ts';
import { sourceOf } from '../../os/net/peer.ts';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { type Rate, tokenBuckets } from '../../os/service/token-buckets.ts';
import { toHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';
import type { RouterThreads } from '../../tunnel/router.ts';
import type { Admission, Endpoint } from '../registry/admission.ts';
import { VOUCHED_KEY } from '../registry/pki.ts';
import { attaching } from './attaching.ts';
import { invitations } from './invitations.ts';
import {
  authorize,
  type Questions,
  REGISTRY_DOWN,
  verdictOn,
  verdictOnVouched,
} from './questions/authorize.ts';
import { type Arrival, fromOf, hostOf, type Session, type VouchedSession } from './session.ts';
import type { RouteSink } from './session-routes.ts';
import { disconnect, type SessionTable } from './sessions.ts';
import { certificateJudge } from './vouched.ts';

const UNKNOWN: Verdict = { kind: 'unknown' };

/** Peers that have finished the TLS handshake. */
export interface Arrivals {
  /** Begins the session of a peer that is authorized and does not come too often; refuses any other. */
  arrive(arrival: Arrival): void;
  /** The connection of a peer has ended. */
  gone(id: number): void;
  /** CAs have changed: whether there are any, or what is known of one. */
  casChanged(): void;
  /** Another tunnel of its device is newer, perhaps at another node: the session is to be cut. */
  isSuperseded(session: Session, endpoint: Endpoint): boolean;
  /** How many connections were refused because their device came too often. */
  readonly tooOften: number;
  /** Writes to the log what was only counted. */
  close(): void;
}

export interface ArrivalParts {
  readonly questions: Questions;
  readonly admission: Admission;
  readonly threads: RouterThreads;
  readonly sessions: SessionTable;
  /** How often a device may connect. */
  readonly rate: Rate;
  /** The name of this node; undefined: there is no other one. */
  readonly node?: string | undefined;
  /** Where they learn of tunnels that end here, if they do. */
  readonly routes?: RouteSink | undefined;
  /** Looks once more at the session that a device has here. */
  readonly review: (address: Uint8Array) => void;
  readonly log: Log;
}

export function receiveArrivals({
  questions,
  admission,
  threads,
  sessions,
  rate,
  node,
  routes,
  review,
  log,
}: ArrivalParts): Arrivals {
  const connections = tokenBuckets(rate);
  const invited = invitations();
  const logRefused = repeatedLine(log, 'debug');
  const logTooOften = repeatedLine(log, 'notice', { each: 1 });
  const judge = certificateJudge({ admission });
  let vouching = false;
  let tooOften = 0;

  /** The device has proven its key, so that nobody else uses its tokens up; nor does it use up its source's refusals. */
  function comesTooOften(arrival: Arrival, address: Uint8Array): boolean {
    const wait = connections.take(toHex(address));
    if (wait === 0) return false;
    tooOften++;
    const name = formatIpv6(address);
    logTooOften(name, `device ${name} connects too often, refused from ${fromOf(arrival)}`);
    disconnect(threads, arrival.peer, { kind: 'retry-after', seconds: Math.ceil(wait / 1_000) }, true);
    return true;
  }

  function refuse(arrival: Arrival, given: Verdict, address?: Uint8Array, why = ''): void {
    const verdict = invited.limit(given, hostOf(arrival));
    const who = address === undefined ? 'a peer without identity' : `device ${formatIpv6(address)}`;
    const because = why === '' ? '' : ` (${why})`;
    logRefused(
      sourceOf(hostOf(arrival)),
      `${who} refused from ${fromOf(arrival)}: ${verdict.kind}${because}`,
    );
    disconnect(threads, arrival.peer, verdict);
  }

  const logFailed = repeatedLine(log, 'error', { subjects: 1 });
  const attach = attaching({
    ...{ admission, node, routes, inVain: review },
    failed(arrival, address, error) {
      logFailed('', `device ${formatIpv6(address)} cannot be attached: ${(error as Error).message}`, error);
      refuse(arrival, REGISTRY_DOWN, address);
    },
  });

  /** Whether a device that was authorized may begin a session, as the registry is now. */
  const verdictNow = (
    endpoint: ReturnType<Questions['lookup']>,
    key: Uint8Array,
    vouched: VouchedSession | undefined,
  ): Verdict | undefined =>
    vouched === undefined
      ? verdictOn(endpoint, key, questions.absence)
      : verdictOnVouched(questions, endpoint, vouched);

  /** Begins the session of a device that was authorized, once its tunnel is the newest of all nodes. */
  function begin(arrival: Arrival, known: Endpoint, key: Uint8Array, vouched?: VouchedSession): void {
    const { address } = known;
    const by = vouched === undefined ? {} : { vouched };
    attach.attach(arrival, address, (tunnel) => {
      const { generation } = tunnel;
      if (generation === undefined) {
        sessions.admit(arrival, known, key, by);
        return true;
      }
      // The registry may have changed while the tunnel was attached.
      const endpoint = questions.lookup(address);
      const verdict = verdictNow(endpoint, key, vouched);
      if (verdict !== undefined) {
        refuse(arrival, verdict, address);
        attach.abandon(address, tunnel);
        return false;
      }
      if (!attach.isNewest(generation, endpoint as Endpoint)) {
        tunnel.routes?.end();
        disconnect(threads, arrival.peer, undefined, true);
        return false;
      }
      sessions.admit(arrival, endpoint as Endpoint, key, { ...by, ...tunnel });
      return true;
    });
  }

  /** A certificate of a CA: whoever has it is admitted in another turn of the event loop. */
  async function judgeCertificate(arrival: Arrival, facts: CertificateFacts): Promise<void> {
    const decision = await judge.judge(arrival, facts);
    if (decision === undefined) return;
    if ('verdict' in decision) {
      refuse(arrival, decision.verdict, decision.address, decision.why);
      return;
    }
    const { device, vouched } = decision;
    if (comesTooOften(arrival, device.address)) return;
    const written = await admission.admitVouched(device);
    const endpoint = questions.lookup(device.address);
    // While something was written its CA may have been removed.
    const verdict = written
      ? verdictOnVouched(questions, endpoint, vouched)
      : verdictOn(endpoint, VOUCHED_KEY, questions.absence);
    if (verdict !== undefined) refuse(arrival, verdict, device.address);
    else begin(arrival, endpoint as Endpoint, VOUCHED_KEY, vouched);
  }

  return {
    arrive(arrival) {
      const facts = vouching ? arrival.facts : undefined;
      if (facts !== undefined) {
        judgeCertificate(arrival, facts).catch((error: unknown) => {
          const why = error instanceof Error ? error.message : String(error);
          if (!isFailure(error)) log('error', `a certificate could not be judged: ${why}`);
          // Of the registry it says nothing about the machine.
          const isRefused = isFailure(error) && error.remedy !== 'retry' && error.area !== 'registry';
          refuse(arrival, isRefused ? UNKNOWN : REGISTRY_DOWN, undefined, why);
        });
        return;
      }
      const decision = authorize(questions, arrival);
      if ('endpoint' in decision) {
        const { endpoint, provenKey } = decision;
        if (!comesTooOften(arrival, endpoint.address)) begin(arrival, endpoint, provenKey);
        return;
      }
      refuse(arrival, decision.verdict, decision.address);
    },
    gone(id) {
      judge.gone(id);
      attach.gone(id);
    },
    isSuperseded: attach.isSuperseded,
    casChanged() {
      judge.forget();
      const found = questions.hasAnchors();
      if (found !== 'down') vouching = found;
      threads.setVouched(vouching);
    },
    get tooOften() {
      return tooOften;
    },
    close() {
      logRefused.close();
      logTooOften.close();
      logFailed.close();
    },
  };
}
