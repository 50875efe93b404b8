import { sourceOf } from '../../os/net/peer.ts';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { type Rate, tokenBuckets } from '../../os/service/token-buckets.ts';
import { toHex } from '../../protocol/bytes.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import type { RouterThreads } from '../../tunnel/router.ts';
import type { Endpoint } from '../registry/admission.ts';
import { authorize, type Questions } from './authorize.ts';
import { invitations } from './invitations.ts';
import { type Arrival, fromOf, hostOf } from './session.ts';
import { disconnect, type SessionTable } from './sessions.ts';

/** Peers that have finished the TLS handshake. */
export interface Arrivals {
  /** Begins the session of a peer that is authorized and does not come too often; refuses any other. */
  arrive(arrival: Arrival): void;
  /** How many connections were refused because their device came too often. */
  readonly tooOften: number;
  /** Writes to the log what was only counted. */
  close(): void;
}

export interface ArrivalParts {
  readonly questions: Questions;
  readonly threads: RouterThreads;
  readonly sessions: SessionTable;
  /** How often a device may connect. */
  readonly rate: Rate;
  readonly log: Log;
}

export function receiveArrivals({ questions, threads, sessions, rate, log }: ArrivalParts): Arrivals {
  const connections = tokenBuckets(rate);
  const invited = invitations();
  const logRefused = repeatedLine(log, 'debug');
  const logTooOften = repeatedLine(log, 'notice', { each: 1 });
  let tooOften = 0;

  /** The device has proven its key, so that nobody else uses its tokens up; nor does it use up its source's refusals. */
  function admit(arrival: Arrival, endpoint: Endpoint, provenKey: Uint8Array): void {
    const wait = connections.take(toHex(endpoint.address));
    if (wait === 0) {
      sessions.admit(arrival, endpoint, provenKey);
      return;
    }
    tooOften++;
    const name = formatIpv6(endpoint.address);
    logTooOften(name, `device ${name} connects too often, refused from ${fromOf(arrival)}`);
    disconnect(threads, arrival.peer, { kind: 'retry-after', seconds: Math.ceil(wait / 1_000) }, true);
  }

  return {
    arrive(arrival) {
      const decision = authorize(questions, arrival);
      if ('endpoint' in decision) {
        admit(arrival, decision.endpoint, decision.provenKey);
        return;
      }
      const { address } = decision;
      const verdict = invited.limit(decision.verdict, hostOf(arrival));
      const who = address === undefined ? 'a peer without identity' : `device ${formatIpv6(address)}`;
      logRefused(sourceOf(hostOf(arrival)), `${who} refused from ${fromOf(arrival)}: ${verdict.kind}`);
      disconnect(threads, arrival.peer, verdict);
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
