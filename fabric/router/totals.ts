import type { RouterCounters } from '../../tunnel/router.ts';
import { ownTurn } from '../registry/turns.ts';
import { addCounters } from './counters.ts';

/** What connections have counted since the start, those that have ended included. */
export interface Totals<Connection> {
  begin(connection: Connection): void;
  /** Returns false if it has not begun. */
  end(connection: Connection): boolean;
  /** The sum; undefined if there were none. */
  now(): RouterCounters | undefined;
  /** The same, a few connections in a turn of the event loop. Who asks meanwhile gets the same sum. */
  inTurns(): Promise<RouterCounters | undefined>;
}

/** Connections whose counters are read in one turn: a millisecond. */
const READ_AT_ONCE = 100;

/** A sum that is being made: of those that had ended, and of the open ones up to the number `reached`. */
interface Sum {
  total: RouterCounters | undefined;
  reached: number;
}

export function connectionTotals<Connection>(
  counted: (connection: Connection) => RouterCounters,
): Totals<Connection> {
  /** Open ones with their numbers, in the order of these. */
  const open = new Map<Connection, number>();
  const past: Sum = { total: undefined, reached: -1 };
  let underway: { readonly sum: Sum; readonly done: Promise<RouterCounters | undefined> } | undefined;
  let begun = 0;

  const add = (sum: Sum, counters: readonly RouterCounters[]): void => {
    sum.total = addCounters(sum.total === undefined ? counters : [sum.total, ...counters]);
  };

  async function addOpen(sum: Sum): Promise<RouterCounters | undefined> {
    await ownTurn();
    let part: RouterCounters[] = [];
    for (const [connection, number] of open) {
      part.push(counted(connection));
      sum.reached = number;
      if (part.length < READ_AT_ONCE) continue;
      add(sum, part);
      part = [];
      await ownTurn();
    }
    add(sum, part);
    return sum.total;
  }

  return {
    begin: (connection) => void open.set(connection, begun++),
    end(connection) {
      const number = open.get(connection);
      if (number === undefined) return false;
      open.delete(connection);
      const last = [counted(connection)];
      add(past, last);
      // Otherwise a sum in the making would miss it.
      if (underway !== undefined && number > underway.sum.reached) add(underway.sum, last);
      return true;
    },
    now() {
      const sum = { ...past };
      add(sum, Array.from(open.keys(), counted));
      return sum.total;
    },
    async inTurns() {
      if (underway === undefined) {
        const sum = { ...past };
        const done = addOpen(sum).finally(() => {
          underway = undefined;
        });
        underway = { sum, done };
      }
      return underway.done;
    },
  };
}
