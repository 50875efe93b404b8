import { setTimeout as wait } from 'node:timers/promises';
import type { Database } from '../sql/base/statements.ts';
import { serverDatabase } from './connection.ts';
import type { Link } from './link.ts';

/** A standby that is read, so that the server that takes changes has time for those. */
export interface StandbyDatabase {
  readonly db: Database;
  /**
   * True once it has everything that was committed when this was called: what this process has written, and what it has told others of. False if that
   * takes too long, or there is none: nobody waits long for that, and not again for some seconds.
   */
  hasAll(): Promise<boolean>;
}

/** Far more than a standby is behind that keeps up. */
const BEHIND_MS = 250;
const LOOK_MS = 5;
/** After that the other server is asked, and this one left for a while. */
const PATIENCE_MS = 2_000;
const REST_MS = 5_000;

/** Everything that anybody can see was flushed before, since each commit waits for that. */
const COMMITTED = { sql: 'SELECT pg_current_wal_flush_lsn()', statement: 'committed' };
const HAS = {
  sql: 'SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= $1::pg_lsn',
  statement: 'has',
};

/** The standby is connected to once it is asked for. */
export function standbyDatabase(link: Link): StandbyDatabase {
  let restsUntil = 0;
  const rest = (): void => {
    restsUntil = performance.now() + REST_MS;
  };

  async function catchesUp(): Promise<boolean> {
    const lsn = (await link.send('read', COMMITTED)).rows[0]![0]!;
    const late = wait(BEHIND_MS, undefined, { ref: false });
    const until = performance.now() + BEHIND_MS;
    while (performance.now() < until) {
      const answer = await Promise.race([link.send('replica', { ...HAS, values: [lsn] }), late]);
      if (answer?.rows[0]?.[0] === 't') return true;
      await wait(LOOK_MS);
    }
    return false;
  }

  return {
    db: serverDatabase({
      ask(_, query) {
        try {
          return link.ask('replica', { ...query, patienceMs: PATIENCE_MS });
        } catch (error) {
          rest();
          throw error;
        }
      },
      send: (_, query) => link.send('replica', query),
      // The link is the registry's.
      close() {},
    }),
    async hasAll() {
      if (performance.now() < restsUntil) return false;
      // Whatever is wrong with either server, the one that takes changes says it.
      const has = await catchesUp().catch(() => false);
      if (!has) rest();
      return has;
    },
  };
}
