import {
  type Attachment,
  CLONES_AGAIN_MS,
  REPLACEMENT_WINDOW_MS,
  type Replacement,
} from '../registry/admission.ts';
import { hostOf } from '../registry/privacy.ts';

/**
 * Two devices with one key: each connection replaces the other's, in turns. One device that connects anew does not look like
 * that, wherever it comes from: it does not return to an outer address at which it was replaced. Two devices behind one outer
 * address cannot be told from one that restarts, and are not found.
 */

/** With so many returns within the window it is no single device whose uplinks take turns. */
export const RETURNS = 3;
/** Addresses remembered, and replacements of each. */
const MOST_ADDRESSES = 4_096;
const MOST_REPLACEMENTS = 32;

interface History {
  readonly replacements: readonly Replacement[];
  readonly reportedAt?: number;
}

export interface CloneDetector {
  /**
   * A connection from the outer address `by` has replaced one from `from`, for the device at `address` and at the time `at` in
   * milliseconds. Returns the outer addresses that take turns, if there are clones and they were not reported within the hour.
   */
  replacement(address: string, by: string, from: string, at: number): readonly string[] | undefined;
}

/** The places that take turns, and so are those of clones; undefined: none are. The oldest replacement is the first. */
function takingTurns(replacements: readonly Replacement[]): readonly string[] | undefined {
  const returns = replacements.filter((each, i) =>
    replacements.slice(0, i).some((former) => former.from === each.by),
  );
  return returns.length < RETURNS
    ? undefined
    : [...new Set(returns.flatMap((each) => [each.from, each.by]))].sort();
}

/** Those that count still. */
const recentOf = (replacements: readonly Replacement[], at: number): readonly Replacement[] =>
  replacements.filter((each) => at - each.at < REPLACEMENT_WINDOW_MS).slice(-MOST_REPLACEMENTS);

/** Whether clones were told of within the hour. A clock that was wrong may have done it in the future. */
const isTold = (told: number | undefined, at: number): boolean =>
  told !== undefined && Math.abs(at - told) < CLONES_AGAIN_MS;

/**
 * Clones that come to several nodes are found by whichever attaches one of them from the outer address `host`: the registry remembers what tunnels at all
 * nodes have replaced. Returns that address and the one before it; undefined: there are none, or they were told of within the hour.
 */
export function clonesAmongNodes(
  { replacements, former, clonesTold }: Attachment,
  host: string,
): readonly string[] | undefined {
  const at = replacements.at(-1)?.at;
  if (at === undefined || isTold(clonesTold, at)) return undefined;
  if (takingTurns(recentOf(replacements, at)) === undefined) return undefined;
  return [...new Set([hostOf(former), host])].filter((each) => each !== '').sort();
}

export function cloneDetector(): CloneDetector {
  const histories = new Map<string, History>();
  return {
    replacement(address, by, from, at) {
      if (by === from) return undefined;
      const { replacements, reportedAt } = histories.get(address) ?? { replacements: [] };
      histories.delete(address); // so that the map is in the order of the last replacement
      const recent = recentOf([...replacements, { at, by, from }], at);
      const found = isTold(reportedAt, at) ? undefined : takingTurns(recent);
      const lastReport = found === undefined ? reportedAt : at;
      histories.set(address, {
        replacements: recent,
        ...(lastReport !== undefined && { reportedAt: lastReport }),
      });
      for (const oldest of histories.keys()) {
        if (histories.size <= MOST_ADDRESSES) break;
        histories.delete(oldest);
      }
      return found;
    },
  };
}
