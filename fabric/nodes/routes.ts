/*
 * A node whose routes reach no other node: devices there are not reached from elsewhere, so they are to leave it, as long as another node is better off.
 */

/** How often it is looked at. */
export const LOOK_MS = 2_000;
/** For so long it has to be so before devices leave, or may stay again: BGP sessions that flap move nobody. */
export const SETTLED_MS = 5_000;

/** Times are milliseconds of a monotonic clock. */
export interface RoutesState {
  /** No other node learns of the routes here. */
  readonly lost: boolean;
  /** Since when that is so, or not. */
  readonly since: number;
  /** Devices are to leave. */
  readonly leaving: boolean;
}

/** What it begins with. */
export const REACHED: RoutesState = { lost: false, since: 0, leaving: false };

/** What is so at a look. `elsewhere`: another node serves, and its routes reach others. Without one nobody is sent away. */
export function judgeRoutes(
  before: RoutesState,
  { lost, elsewhere }: { readonly lost: boolean; readonly elsewhere: boolean },
  now: number,
): RoutesState {
  const since = lost === before.lost ? before.since : now;
  const wanted = now - since >= SETTLED_MS ? lost : before.leaving;
  return { lost, since, leaving: wanted && elsewhere };
}
