// @ts-check
// What is seen of the servers beside which one is used, whenever all are asked: for alarms (fabric/alarms/servers.ts).

/**
 * @typedef {import('./server-states.mjs').There} There
 * @typedef {import('../alarms.ts').ServerState} ServerState
 */

/** @type {typeof import('./server-states.mjs').serverStates} */
export function serverStates() {
  /** Since when there is no connection. @type {Map<number, number>} */
  const lost = new Map();
  /** What a standby lacks, and since when: a place in the log of the server that is used. @type {Map<number, { log: number, since: number }>} */
  const lacking = new Map();
  /** The one that was used at the last look. */
  let former = -1;

  /** @param {number} which @param {There} standby @param {There} primary @param {number} now @returns {ServerState['behind']} */
  function behind(which, { system, log }, primary, now) {
    const follows = system === primary.system;
    const mark = lacking.get(which);
    // It has to come to the place of then: one that keeps up is seldom at the newest one.
    const hasMark = follows && (mark === undefined || log >= mark.log);
    const since = mark === undefined || hasMark ? now : mark.since;
    if (hasMark && log >= primary.log) {
      lacking.delete(which);
      return undefined;
    }
    if (since === now) lacking.set(which, { log: primary.log, since });
    return { since, ...(follows && { bytes: primary.log - log }) };
  }

  return (seen, now) => {
    const used = seen.findIndex((each) => each.used);
    // Places in the log of another one are others.
    if (used !== former) lacking.clear();
    former = used;
    const primary = seen[used];
    return seen.map((each, which) => {
      const state = { place: each.place, at: now, used: each.used };
      if ('why' in each) {
        const since = lost.get(which) ?? now;
        lost.set(which, since);
        // What it lacks once it is back counts from then on.
        lacking.delete(which);
        return { ...state, primary: false, lost: { since, why: each.why } };
      }
      lost.delete(which);
      if (each.timeline !== undefined) return { ...state, primary: true };
      const late = primary === undefined || 'why' in primary ? undefined : behind(which, each, primary, now);
      return { ...state, primary: false, ...(late && { behind: late }) };
    });
  };
}
