/**
 * Two devices with one key: each connection replaces the other's, in turns. One device that connects anew does not look like
 * that, wherever it comes from: it does not return to an outer address at which it was replaced. Two devices behind one outer
 * address cannot be told from one that restarts, and are not found.
 */

/** How long a replacement counts. */
export const WINDOW_MS = 900_000;
/** With so many returns within the window it is no single device whose uplinks take turns. */
export const RETURNS = 3;
/** How long the same finding is not reported again. */
const REPORT_AGAIN_MS = 3_600_000;
/** Addresses remembered, and replacements of each. */
const MOST_ADDRESSES = 4_096;
const MOST_REPLACEMENTS = 32;

interface Replacement {
  readonly at: number;
  readonly by: string;
  readonly from: string;
}

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

export function cloneDetector(): CloneDetector {
  const histories = new Map<string, History>();
  return {
    replacement(address, by, from, at) {
      if (by === from) return undefined;
      const { replacements, reportedAt } = histories.get(address) ?? { replacements: [] };
      histories.delete(address); // so that the map is in the order of the last replacement
      const recent = [...replacements, { at, by, from }]
        .filter((each) => at - each.at < WINDOW_MS)
        .slice(-MOST_REPLACEMENTS);
      const returns = recent.filter((each, i) =>
        recent.slice(0, i).some((former) => former.from === each.by),
      );
      const isNew = reportedAt === undefined || at - reportedAt >= REPORT_AGAIN_MS;
      const found = returns.length >= RETURNS && isNew;
      const lastReport = found ? at : reportedAt;
      histories.set(address, {
        replacements: recent,
        ...(lastReport !== undefined && { reportedAt: lastReport }),
      });
      for (const oldest of histories.keys()) {
        if (histories.size <= MOST_ADDRESSES) break;
        histories.delete(oldest);
      }
      return found ? [...new Set(returns.flatMap((each) => [each.from, each.by]))].sort() : undefined;
    },
  };
}
