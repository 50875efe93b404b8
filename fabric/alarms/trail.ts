import { isFailure } from '../../protocol/failure.ts';
import { HOST } from '../access/scope.ts';
import type { Finding } from '../registry/alarms.ts';
import type { AuditHead } from '../registry/records.ts';
import type { Registry } from '../registry/registry.ts';
import { ownTurn } from '../registry/turns.ts';

/** Parts of the trail that are recomputed each time: of 100 entries each, so the event loop never stops for long. */
const PARTS = 100;
/** From the end of a pass to the beginning of the next. */
const REST_MS = 3_600_000;

/**
 * Recomputes the audit trail again and again, a bounded part of it at each call. What did not fit is found until a whole pass has found that all fits:
 * somebody who puts the file back ends it.
 */
export function trailCheck(
  registry: Pick<Registry, 'verifyAuditPart'>,
  now: () => number,
): () => Promise<readonly Finding[]> {
  let [from, restsUntil]: [AuditHead | undefined, number] = [undefined, Number.NEGATIVE_INFINITY];
  let found: readonly Finding[] = [];
  const rest = (result: readonly Finding[]): void => {
    found = result;
    from = undefined;
    restsUntil = now() + REST_MS;
  };
  return async () => {
    try {
      for (let part = 0; part < PARTS && now() >= restsUntil; part++) {
        const { head, end } = await registry.verifyAuditPart(from);
        from = head;
        if (end) rest([]);
        else await ownTurn();
      }
    } catch (error) {
      if (!isFailure(error) || error.code !== 'audit.broken') throw error;
      rest([{ kind: 'audit.broken', owner: HOST, subject: 'audit', detail: { message: error.message } }]);
    }
    return found;
  };
}
