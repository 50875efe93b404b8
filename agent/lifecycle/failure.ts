import type { Failure } from '../../protocol/failure.ts';
import type { Goal, Reason } from './situation.ts';

/** What a failure means for what comes next. */

/**
 * True for what anybody on the path can cause who has proved nothing: whoever answers in the place of the identity server, or of the
 * proxy. It costs a pause and never a state that waits for a person. Our own root certificate is no word of a peer.
 */
export const isUnproven = ({ area, code }: Failure): boolean =>
  (area === 'net' || area === 'xtt') && code !== 'xtt.bad-root-certificate';

/** The fabric has not withdrawn the identity, as far as the device knows: after a failure the router is asked about it again. */
const KEEPS_IDENTITY: ReadonlySet<Reason> = new Set(['interrupted', 'renewal', 'unregistered']);

/** What is worked on after a failure. */
export function afterFailure(goal: Goal, failure: Failure): Goal {
  // After a TPM error its context may be dead: the keys have to be opened again.
  if (goal.kind !== 'prepare' && goal.kind !== 'erase' && failure.area === 'tpm') return { kind: 'prepare' };
  if (goal.kind === 'provision' && KEEPS_IDENTITY.has(goal.reason) && goal.address !== undefined) {
    return { kind: 'connect', address: goal.address, unfinished: true };
  }
  return goal;
}
