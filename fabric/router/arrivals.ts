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
import type { Endpoint } from '../registry/admission.ts';
import { type PkiAdmission, VOUCHED_KEY } from '../registry/pki.ts';
import { authorize, type Questions, REGISTRY_DOWN, verdictOn, verdictOnVouched } from './authorize.ts';
import { invitations } from './invitations.ts';
import { type Arrival, fromOf, hostOf } from './session.ts';
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
  /** How many connections were refused because their device came too often. */
  readonly tooOften: number;
  /** Writes to the log what was only counted. */
  close(): void;
}

export interface ArrivalParts {
  readonly questions: Questions;
  readonly admission: PkiAdmission;
  readonly threads: RouterThreads;
  readonly sessions: SessionTable;
  /** How often a device may connect. */
  readonly rate: Rate;
  readonly log: Log;
}

export function receiveArrivals({
  questions,
  admission,
  threads,
  sessions,
  rate,
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
    else sessions.admit(arrival, endpoint as Endpoint, VOUCHED_KEY, vouched);
  }

  return {
    arrive(arrival) {
      const facts = vouching ? arrival.facts : undefined;
      if (facts !== undefined) {
        judgeCertificate(arrival, facts).catch((error: unknown) => {
          const why = error instanceof Error ? error.message : String(error);
          if (!isFailure(error)) log('error', `a certificate could not be judged: ${why}`);
          refuse(arrival, isFailure(error) ? UNKNOWN : REGISTRY_DOWN, undefined, why);
        });
        return;
      }
      const decision = authorize(questions, arrival);
      if ('endpoint' in decision) {
        const { endpoint, provenKey } = decision;
        if (!comesTooOften(arrival, endpoint.address)) sessions.admit(arrival, endpoint, provenKey);
        return;
      }
      refuse(arrival, decision.verdict, decision.address);
    },
    gone: judge.gone,
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
    },
  };
}
