/**
 * Two devices with one key: each that connects takes the other's place, and comes back. One device that connects anew does not look
 * like that, wherever it comes from: nobody returns to the place it was driven out of. Two behind one outer address cannot be told
 * from one that restarts, and are not found.
 */

/** How long a takeover counts. */
export const WINDOW_MS = 900_000;
/** So many returns within the window are no device whose uplinks take turns. */
export const RETURNS = 3;
/** How long a find stays news. */
const NEWS_MS = 3_600_000;
/** Addresses remembered, and takeovers of each. */
const MOST = 4_096;
const MOST_TAKEOVERS = 32;

interface Takeover {
  readonly at: number;
  readonly by: string;
  readonly from: string;
}

interface Course {
  readonly takeovers: readonly Takeover[];
  readonly toldAt?: number;
}

export interface TwinWatch {
  /**
   * A connection from the outer address `by` has taken the place of one from `from`, at `address` and at the time `at` in milliseconds.
   * The outer addresses that take turns, if that is what goes on and has not been said within the hour.
   */
  takeover(address: string, by: string, from: string, at: number): readonly string[] | undefined;
}

export function watchTwins(): TwinWatch {
  const courses = new Map<string, Course>();
  return {
    takeover(address, by, from, at) {
      if (by === from) return undefined;
      const { takeovers, toldAt } = courses.get(address) ?? { takeovers: [] };
      courses.delete(address); // so that the map is in the order of the last takeover
      const recent = [...takeovers, { at, by, from }]
        .filter((each) => at - each.at < WINDOW_MS)
        .slice(-MOST_TAKEOVERS);
      const returns = recent.filter((each, i) =>
        recent.slice(0, i).some((former) => former.from === each.by),
      );
      const isNews = toldAt === undefined || at - toldAt >= NEWS_MS;
      const found = returns.length >= RETURNS && isNews;
      const told = found ? at : toldAt;
      courses.set(address, { takeovers: recent, ...(told !== undefined && { toldAt: told }) });
      for (const oldest of courses.keys()) {
        if (courses.size <= MOST) break;
        courses.delete(oldest);
      }
      return found ? [...new Set(returns.flatMap((each) => [each.from, each.by]))].sort() : undefined;
    },
  };
}
