import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { formatPrefix } from '../../protocol/ipv6.ts';
import { encodePrefixMessage } from '../../protocol/tunnel/prefix.ts';
import type { RouterThreads } from '../../tunnel/router.ts';
import type { Admission, Endpoint } from '../registry/admission.ts';
import type { Session } from './session.ts';

/** Which prefixes the devices with a tunnel have for the machines behind them (docs/wire.md, "Prefix"). */
export interface Delegations {
  /** The threads and the device's agent learn what it has now, unless that is what they were told last. */
  apply(session: Session, endpoint: Endpoint): void;
  /** A connection has ended. */
  ended(session: Session): void;
  /** Writes to the log what was only counted. */
  close(): void;
}

export function delegations(
  threads: Pick<RouterThreads, 'delegate' | 'send'>,
  admission: Pick<Admission, 'delegate'>,
  log: Log,
): Delegations {
  /** What was told last, by the connection's id; '': that there is none. */
  const told = new Map<number, string>();
  const logFailure = repeatedLine(log, 'warning', { subjects: 1 });
  return {
    apply({ id, peer, name, understandsVerdicts, routes }, { address, delegated }) {
      if (delegated === 'awaited') {
        // Once it has one, its standing has changed, and this is called again.
        admission
          .delegate(address)
          .catch((error: unknown) =>
            logFailure('', `device ${name} gets no prefix: ${(error as Error).message}`, error),
          );
      }
      const prefix = typeof delegated === 'string' ? undefined : delegated;
      const text = prefix === undefined ? '' : formatPrefix(prefix);
      const before = told.get(id);
      if (before === text || (before === undefined && delegated === undefined)) return;
      told.set(id, text);
      routes?.delegate(prefix);
      if (before !== undefined || prefix !== undefined) threads.delegate(peer, prefix);
      if (understandsVerdicts) threads.send(peer, encodePrefixMessage({ prefix }));
    },
    ended: ({ id }) => void told.delete(id),
    close: logFailure.close,
  };
}
