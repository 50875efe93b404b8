// @ts-check
// Which server is used: the one that takes changes, unless it lacks what this node has seen. A primary that was replaced and runs again takes
// changes, too; what was written to it would be lost, and the audit trail would have two ends.
import pg from 'pg';
import pgpass from 'pgpass';
import { serverStates } from './server-states.mjs';

/**
 * The newest audit entry that this node has seen (`seq` 0: none), `hash` in hex, and when it last knew it to be the newest (milliseconds since 1970).
 * The server that had it: its system identifier, which a standby has in common with its primary, and its timeline, whose number grows by each promotion.
 * @typedef {{ seq: number, hash: string, at: number, system?: string, timeline?: number }} Known
 *
 * A server, as it is now. `timeline`: absent of a standby. `checkpoint`: the timeline of its last checkpoint; a standby may be farther. `log`: how far its log is on the disk, of a standby how far it has carried that out, in bytes. `head`: its newest audit entry. `has`: it has the one that is known. `restored`: when it was
 * last said that entries are given up.
 * @typedef {{ system: string, timeline?: number, checkpoint: number, log: number, head: { seq: number, hash: string }, has: boolean, restored: number }} Found
 *
 * `fits`: it is used. `promoted`: it is, too; the last entries were lost when it replaced the former one. `stale`: it was replaced, or is another one.
 * `behind`: a standby that has not got everything yet.
 * @typedef {'fits' | 'promoted' | 'stale' | 'behind'} Verdict
 *
 * @typedef {{ client: pg.Client, found: Found }} Made
 */

/** Stands where an SQLSTATE does (failures.ts). */
export const STALE = 'stale';
/** Likewise: a file that an address names, such as `sslrootcert`, cannot be read. */
const NO_FILE = 'file';
/** SQLSTATE: invalid password. */
const NO_PASSWORD = '28P01';
/** An SQLSTATE of PostgreSQL: a server has answered. What the system says has a code that begins with an E, or more signs. */
const ANSWERED = /^[^E][0-9A-Z]{4}$/;

/** @param {Found} found @param {Known | undefined} known @returns {Verdict} */
export function judge(found, known) {
  // Somebody has given up what it lacks, after this node had seen that.
  if (known === undefined || found.restored > known.at) return 'fits';
  if (found.timeline === undefined) return found.has ? 'fits' : 'behind';
  const isSame = found.system === known.system;
  if (isSame && found.timeline < /** @type {number} */ (known.timeline)) return 'stale';
  if (found.has) return 'fits';
  return isSame && found.timeline > /** @type {number} */ (known.timeline) ? 'promoted' : 'stale';
}

// The timeline of a control file is that of the last checkpoint: that of the log's file is the one of now.
const PLACE = `SELECT (SELECT system_identifier FROM pg_control_system()), to_regclass('enf.audit') IS NOT NULL,
  CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_lsn()), 8) END,
  (SELECT timeline_id FROM pg_control_checkpoint()),
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn`;
const TRAIL = `SELECT seq, encode(hash, 'hex'), (SELECT encode(hash, 'hex') FROM enf.audit WHERE seq = $1),
  (SELECT value FROM enf.counter WHERE name = 'restored') FROM enf.audit ORDER BY seq DESC LIMIT 1`;

/** @param {pg.Client} client @param {Known | undefined} known @returns {Promise<Found>} */
async function look(client, known) {
  const [[system, hasTrail, timeline, checkpoint, log]] = await rows(client, PLACE);
  const trail = hasTrail === 't' ? await rows(client, TRAIL, [String(known?.seq ?? 0)]) : [];
  const [seq = '0', hash = '', same, restored] = trail[0] ?? [];
  return {
    ...{
      system: String(system),
      checkpoint: Number(checkpoint),
      log: Number(log),
      head: { seq: Number(seq), hash: String(hash) },
      restored: Number(restored ?? 0),
    },
    ...(timeline && { timeline: Number.parseInt(timeline, 16) }),
    has: known === undefined || known.seq === 0 || same === known.hash,
  };
}

/** @param {pg.Client} client @param {string} text @param {string[]} [values] @returns {Promise<(string | null)[][]>} */
const rows = async (client, text, values) =>
  (await client.query({ text, ...(values && { values }), rowMode: 'array' })).rows;

/** All values stay the texts that the server sends; link.ts knows what they are. */
const types = { getTypeParser: () => (/** @type {unknown} */ value) => value };

/** How often a server is looked at while what is known changes. */
const MOST_LOOKS = 10;

/** @param {string} code @param {string} message */
const refusal = (code, message) => Object.assign(new Error(message), { code });

/** Where an address has no password the one of ~/.pgpass counts: that the driver looks there by itself comes to an end, as it says in a warning. @param {pg.ConnectionConfig} server @returns {Promise<string | undefined>} */
const passwordOf = ({ host = '', port = 5432, database, user }) =>
  new Promise((resolve) =>
    pgpass({ host, port, ...(database && { database }), ...(user && { user }) }, resolve),
  );

/** What the driver takes the older words for, and warns of each time. @param {string} url */
const withPlainMode = (url) =>
  /[?&]uselibpqcompat=true(&|$)/.test(url)
    ? url
    : url.replace(/([?&]sslmode=)(?:prefer|require|verify-ca)(?=&|$)/, '$1verify-full');

/** Reads the files that the address names. @param {pg.ClientConfig & { connectionString: string }} config */
function clientOf(config) {
  try {
    const client = new pg.Client({ ...config, connectionString: withPlainMode(config.connectionString) });
    const giving = /** @type {{ password: unknown }} */ (/** @type {unknown} */ (client));
    giving.password ??= passwordOf;
    return client;
  } catch (error) {
    const { syscall, message } = /** @type {NodeJS.ErrnoException} */ (error);
    throw syscall === undefined ? error : refusal(NO_FILE, message);
  }
}

/** What the driver says of this has no code. @param {pg.Client} client @param {unknown} error */
function lacksPassword(client, error) {
  const { password, saslSession } = /** @type {{ password?: string | null, saslSession?: object | null }} */ (
    client
  );
  return (
    saslSession != null && password == null && /** @type {{ code?: string }} */ (error).code === undefined
  );
}

/**
 * What is said of a server decides the more, the greater this is: least that it would do if it took changes, then that it cannot be reached, then what it says
 * itself, be it only that nobody may log in.
 * @param {{ code?: string } | undefined} error
 */
function weightOf(error) {
  if (error === undefined) return 0;
  const { code = '' } = error;
  if (code === STALE) return 3;
  return ANSWERED.test(code) ? 2 : 1;
}

/** @param {Verdict} verdict @param {Found} found @param {Known | undefined} known */
function refusalOf(verdict, { system, timeline }, known) {
  const lacks = `has no audit entry ${known?.seq}, which this node has seen`;
  if (verdict === 'behind') return refusal('25006', `it is a standby that ${lacks}`);
  if (verdict !== 'stale') return undefined;
  const isFormer = system === known?.system && Number(timeline) < Number(known?.timeline);
  return refusal(
    STALE,
    isFormer
      ? `it was replaced: it is on timeline ${timeline}, and ${known?.timeline} was used`
      : `it ${lacks}`,
  );
}

/**
 * Connections to the servers of `urls`, which messages call by their `places`. `fenced`: what is known, from the beginning and later on, decides which; else every server is used. `adopted` is
 * told of the server whose trail counts from now on: how many there were before, what is known of it, and what it has lost. `looked` is told of all servers whenever all were asked, if there are several.
 * @param {{ urls: readonly string[], places: readonly string[], settings: string, connectMs: number, fenced: boolean, known?: Known }} options
 * @param {(adopted: { era: number, known: Known, lost?: number }) => void} adopted
 * @param {(states: readonly import('../alarms.ts').ServerState[]) => void} looked
 */
export function fence({ urls, places, settings, connectMs, fenced, known: before }, adopted, looked) {
  const statesOf = serverStates();
  let known = before;
  let era = 0;
  /** The one that is used, until a connection is lost. @type {string | undefined} */
  let chosen;
  /** All servers are asked. @type {ReturnType<typeof askAll> | undefined} */
  let asked;

  /** The system has no words for it if a name has several addresses. @param {string} url @param {Error & { code?: string }} error */
  const ofServer = (url, error) => `${places[urls.indexOf(url)]}: ${error.message || error.code}`;

  /** @param {string} url @param {unknown} error */
  function named(url, error) {
    const { code, detail } = /** @type {{ code?: string, detail?: string }} */ (error);
    return Object.assign(new Error(ofServer(url, /** @type {Error} */ (error))), { code, detail });
  }

  /** @param {string} url @param {string} purpose @param {(client: pg.Client) => void} [prepare] @returns {Promise<Made>} */
  async function open(url, purpose, prepare = (client) => void client.on('error', () => {})) {
    const client = clientOf({
      connectionString: url,
      connectionTimeoutMillis: connectMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      options: settings,
      types,
      application_name: `enf-fabric ${purpose}`,
    });
    // From the beginning: an error that nobody listens to ends the thread.
    prepare(client);
    // What is asked first must be answered in time, too.
    const late = setTimeout(() => client.connection.stream.destroy(), 2 * connectMs);
    try {
      await client.connect();
      if (purpose === 'listen') await client.query('LISTEN enf_change');
      // What a replica lacks is looked at whenever it is read.
      const found = purpose === 'replica' ? await look(client, undefined) : await lookUntilKnown(client);
      return { client, found };
    } catch (error) {
      client.end().catch(() => {});
      throw lacksPassword(client, error)
        ? refusal(NO_PASSWORD, 'it asks for a password, and there is none in the address or in ~/.pgpass')
        : error;
    } finally {
      clearTimeout(late);
    }
  }

  /** What is known may change while a server is asked for it. @param {pg.Client} client */
  async function lookUntilKnown(client) {
    for (let left = MOST_LOOKS; left > 0; left--) {
      const [of, begun] = [known, era];
      const found = await look(client, of);
      const isKnownServer = found.system === known?.system && found.timeline === known?.timeline;
      if (of === known || (found.has && begun === era && isKnownServer)) return found;
    }
    throw refusal('08006', 'other servers come and go');
  }

  /** @param {Found} found */
  const verdictOn = (found) => (fenced ? judge(found, known) : 'fits');

  /** @param {Found} found @param {Verdict} verdict */
  function adopt({ system, timeline, head, has, restored }, verdict) {
    if (!fenced || timeline === undefined || head.seq === 0) return;
    if (known?.system === system && known.timeline === timeline && has) return;
    const lost = verdict === 'promoted' ? /** @type {Known} */ (known).seq : undefined;
    // What was given up before now was, also if the clock here is behind that of whoever has said so.
    known = { ...head, at: Math.max(Date.now(), restored), system, timeline };
    adopted({ era: ++era, known, ...(lost !== undefined && { lost }) });
  }

  /** @param {string} url @param {string} purpose @param {boolean} mayBeStandby @param {(client: pg.Client) => void} prepare */
  async function use(url, purpose, mayBeStandby, prepare) {
    const made = await open(url, purpose, prepare).catch((error) => {
      throw named(url, error);
    });
    const { client, found } = made;
    const verdict = verdictOn(found);
    const refused =
      found.timeline === undefined && !mayBeStandby
        ? refusal('25006', 'it is a standby')
        : refusalOf(verdict, found, known);
    if (refused !== undefined) {
      client.end().catch(() => {});
      throw named(url, refused);
    }
    adopt(found, verdict);
    return made;
  }

  /** Asks all servers: which to use for changes, which only to read, in this order. */
  async function askAll() {
    const answers = await Promise.all(
      urls.map(async (url) => {
        try {
          const { client, found } = await open(url, 'look');
          client.end().catch(() => {});
          const verdict = verdictOn(found);
          return { url, found, error: refusalOf(verdict, found, known) };
        } catch (error) {
          return { url, error: /** @type {Error & { code?: string }} */ (error) };
        }
      }),
    );
    const there = answers.flatMap(({ url, found, error }) => (found && !error ? [{ url, ...found }] : []));
    const primaries = there.filter(({ timeline }) => timeline !== undefined);
    // Of two that take changes the one that was promoted last has replaced the other.
    const primary = primaries
      .filter(({ system }) => system === primaries[0]?.system)
      .reduce(
        (one, other) => (Number(other.timeline) > Number(one?.timeline ?? 0) ? other : one),
        primaries[0],
      );
    const seen = answers.map(({ url, found, error }) => ({
      place: String(places[urls.indexOf(url)]),
      used: url === primary?.url,
      ...(found ?? { why: error?.message || error?.code || '' }),
    }));
    if (urls.length > 1) looked(statesOf(seen, Date.now()));
    return {
      primary,
      standbys: there.filter(({ timeline }) => timeline === undefined).map(({ url }) => url),
      failure: failureOf(answers),
    };
  }

  /** What each server says, or the way to it, and the code of the one that decides, which is named last. @param {{ url: string, error?: Error & { code?: string } }[]} answers */
  function failureOf(answers) {
    const failures = answers.map(({ url, error }) => ({
      url,
      error: error ?? refusal('25006', 'it is a standby'),
      weight: weightOf(error),
    }));
    const ordered = failures.sort((one, other) => one.weight - other.weight);
    const message = ordered.map(({ url, error }) => ofServer(url, error)).join('; ');
    return refusal(ordered.at(-1)?.error.code ?? '08006', message);
  }

  /**
   * A standby of the server that is used: of another timeline places in the log would say nothing of what it has. After a promotion that is known
   * of one that was there before once it has made a checkpoint of its own.
   * @param {(client: pg.Client) => void} prepare @returns {Promise<Made>}
   */
  async function useStandby(prepare) {
    for (const url of urls.length > 1 ? urls : []) {
      const made = await open(url, 'replica', prepare).catch(() => undefined);
      if (made === undefined) continue;
      const { system, timeline, checkpoint } = made.found;
      const follows = system === known?.system && checkpoint >= Number(known?.timeline);
      if (timeline === undefined && follows) return made;
      made.client.end().catch(() => {});
    }
    throw refusal('25006', 'there is no standby of it');
  }

  function askOnce() {
    asked ??= askAll().finally(() => {
      asked = undefined;
    });
    return asked;
  }

  return {
    /**
     * The server that takes changes; to read, also beside, a standby that has all that is known if there is none; as a replica, a standby alone. `prepare` is given the client before it connects.
     * @param {string} purpose @param {(client: pg.Client) => void} prepare @returns {Promise<Made>}
     */
    async connect(purpose, prepare) {
      if (purpose === 'replica') return useStandby(prepare);
      const reads = purpose === 'read' || purpose === 'beside';
      if (urls.length === 1) return use(/** @type {string} */ (urls[0]), purpose, reads, prepare);
      if (chosen !== undefined) {
        const url = chosen;
        // Until it is used again all are asked.
        chosen = undefined;
        const made = await use(url, purpose, false, prepare);
        chosen = url;
        return made;
      }
      const { primary, standbys, failure } = await askOnce();
      if (primary !== undefined) {
        const made = await use(primary.url, purpose, false, prepare);
        chosen = primary.url;
        return made;
      }
      for (const url of reads ? standbys : []) {
        const made = await use(url, purpose, true, prepare).catch(() => undefined);
        if (made !== undefined) return made;
      }
      throw failure;
    },
    /** A connection was lost: the next one may be to another server. */
    lost() {
      chosen = undefined;
    },
    /** True if another server was promoted since the one that is used: it has to be used instead. */
    async isReplaced() {
      const { primary } = await askOnce();
      return (
        primary?.timeline !== undefined &&
        known?.timeline !== undefined &&
        primary.system === known.system &&
        primary.timeline > known.timeline
      );
    },
    /** A newer audit entry was seen on the server of that number. @param {{ era: number, seq: number, hash: string, at: number }} seen */
    seen({ era: of, seq, hash, at }) {
      if (of === era && known !== undefined && seq >= known.seq)
        known = { ...known, seq, hash, at: Math.max(known.at, at) };
    },
    /** Whichever server is there is used, and its trail counts. */
    giveUp() {
      known = undefined;
    },
  };
}
