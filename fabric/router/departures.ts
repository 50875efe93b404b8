import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { type Rate, tokenBuckets } from '../../os/service/token-buckets.ts';
import { toHex } from '../../protocol/bytes.ts';
import {
  type DecommissionRefusal,
  encodeDecommission,
  parseDecommission,
} from '../../protocol/tunnel/decommission.ts';
import type { RouterThreads } from '../../tunnel/router.ts';
import type { Admission } from '../registry/admission.ts';
import type { Session } from './session.ts';

/** Devices that leave for good (docs/wire.md, "Decommission"). */
export interface Departures {
  /** Takes a control message; true if it was about this. The verdict that a device is retired comes with the change of the registry. */
  receive(session: Session, message: Uint8Array): boolean;
  /** Writes to the log what was only counted. */
  close(): void;
}

export interface DepartureParts {
  readonly threads: Pick<RouterThreads, 'send'>;
  readonly admission: Pick<Admission, 'decommission'>;
  /** False: no device may do it by itself. */
  readonly allowed: boolean;
  /** How often the devices of one group may: whoever has taken over many of them must not retire them all before anybody looks. */
  readonly rate: Rate;
  readonly log: Log;
}

export function departures({ threads, admission, allowed, rate, log }: DepartureParts): Departures {
  const groups = tokenBuckets(rate);
  const logLeave = repeatedLine(log, 'notice');
  const logFailure = repeatedLine(log, 'error', { subjects: 1 });
  const refusalOf = ({ gid }: Session): DecommissionRefusal | undefined => {
    if (!allowed) return 'forbidden';
    return groups.take(toHex(gid)) === 0 ? undefined : 'too-many';
  };
  return {
    receive(session, packet) {
      const message = parseDecommission(packet);
      if (message === undefined) return false;
      if (message.kind !== 'request') return true;
      const { peer, address, name } = session;
      const reason = refusalOf(session);
      if (reason !== undefined) {
        threads.send(peer, encodeDecommission({ kind: 'refused', reason }));
        logLeave(name, `device ${name} wants to be retired, and may not: ${reason}`);
        return true;
      }
      logLeave(name, `device ${name} leaves for good`);
      // Without an answer the device asks again.
      admission
        .decommission(address)
        .catch((error: unknown) =>
          logFailure(
            '',
            `device ${name} is not retired, and will ask again: ${(error as Error).message}`,
            error,
          ),
        );
      return true;
    },
    close() {
      logLeave.close();
      logFailure.close();
    },
  };
}
