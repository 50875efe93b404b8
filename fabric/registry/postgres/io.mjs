// @ts-check
// The thread that talks to PostgreSQL. The registry's code runs statements that answer before they return (link.ts waits for them), and
// begins and ends transactions without waiting.
import { workerData } from 'node:worker_threads';
import { fence } from './fence.mjs';

/**
 * @typedef {'write' | 'read' | 'listen' | 'replica'} Name
 * @typedef {{ id: number, name: Name, sql: string, statement?: string, values?: (string | null)[], transaction?: number, begins?: number, waits: boolean }} Request
 * @typedef {{ id: number, sql: string, values?: (string | null)[] }} Beside
 * @typedef {{ client: import('pg').Client, transaction: number | undefined, server: string }} Connection
 */

/** @type {Parameters<typeof fence>[0] & { pauseMs: number, sendMs: number, lookMs: number, answers: import('node:worker_threads').MessagePort, events: import('node:worker_threads').MessagePort, signal: SharedArrayBuffer }} */
const { pauseMs, sendMs, lookMs, answers, events, signal } = workerData;
const flag = new Int32Array(signal);

/** @type {Map<Name, Promise<Connection>>} */
const connections = new Map();
/** Those that are made. @type {Map<Name, Connection>} */
const ready = new Map();
/** Why a name cannot be used. Until it can, nobody waits for the next attempt, which is made in the background. @type {Map<Name, unknown>} */
const refused = new Map();
/** How often a connection was given up: what was asked before is not done on the next one. @type {Map<Name, number>} */
const losses = new Map();
/** Those that were made once. @type {Set<Name>} */
const before = new Set();
/** What was asked last. @type {Map<Name, Promise<unknown>>} */
const turns = new Map();
let ended = false;

const servers = fence(
  workerData,
  (adopted) => events.postMessage({ adopted }),
  (looked) => events.postMessage({ servers: looked }),
);

/** @param {string} message */
const lost = (message) => Object.assign(new Error(message), { code: '08006' });

/** Between two of what is told of changes: each has the other side ask for all there are, and whoever may connect may notify as often as it likes. */
const NEWS_MS = 10;
/** What is still to be told after the pause. @type {boolean | undefined} */
let untold;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let pause;

/** Tells of changes. @param {boolean} anew */
function tell(anew) {
  untold = anew || untold === true;
  if (pause === undefined) tellNow();
}

function tellNow() {
  pause = undefined;
  if (untold === undefined || ended) return;
  events.postMessage({ change: true, anew: untold });
  untold = undefined;
  pause = setTimeout(tellNow, NEWS_MS).unref();
}

/** @param {Name} name @returns {Promise<Connection>} */
function connection(name) {
  if (refused.has(name)) return Promise.reject(refused.get(name));
  return connections.get(name) ?? attempt(name);
}

/** @param {Name} name @returns {Promise<Connection>} */
function attempt(name) {
  const made = connect(name);
  connections.set(name, made);
  made.then(
    (there) => {
      if (ended) return void there.client.end().catch(() => {});
      ready.set(name, there);
      // It says nothing of the server that takes changes.
      if (name === 'replica') return void refused.delete(name);
      // A server is there again: for the other names, too, it is worth waiting.
      refused.clear();
      // Before it was made something may have changed. What is read may come from a server that lacks what the former one had last.
      if (name === 'listen' || before.has(name)) tell(name === 'read');
      before.add(name);
    },
    (error) => {
      connections.delete(name);
      // Whoever wants it asks again, seldom.
      if (name === 'replica') return void refused.delete(name);
      refused.set(name, error);
      setTimeout(renew, pauseMs, name).unref();
    },
  );
  return made;
}

/** Makes a connection in the background, unless that is under way. @param {Name} name */
function renew(name) {
  if (!ended && !connections.has(name)) attempt(name).catch(() => {});
}

/** @param {Name} name @returns {Promise<Connection>} */
async function connect(name) {
  /** @type {Connection | undefined} */
  let made;
  const { found } = await servers.connect(name, (client) => {
    const there = { client, transaction: undefined, server: '' };
    made = there;
    client.on('error', () => forget(name, there));
    client.on('end', () => forget(name, there));
    if (name === 'listen') client.on('notification', () => tell(false));
  });
  const there = /** @type {Connection} */ (/** @type {unknown} */ (made));
  there.server = `${found.system} ${found.timeline}`;
  if (found.timeline !== undefined) leaveOthers(there.server);
  return there;
}

/** Connections to a standby that was read meanwhile, or to a server that was replaced, are of no use any more. @param {string} server */
function leaveOthers(server) {
  for (const [name, there] of ready) if (there.server !== server) renewNow(name);
}

/** @param {Name} name @param {Connection} which */
async function forget(name, which) {
  if ((await connections.get(name)?.catch(() => undefined)) !== which) return;
  if (name !== 'replica') servers.lost();
  connections.delete(name);
  ready.delete(name);
  // Whoever listens asks nothing.
  if (name === 'listen') renew(name);
}

/** Gives up a connection that does not answer in time, and makes another; nobody waits for that. @param {Name} name */
function lose(name) {
  losses.set(name, lossesOf(name) + 1);
  refused.set(name, lost('it does not answer'));
  if (name !== 'replica') servers.lost();
  renewNow(name);
}

/** Gives up a connection, if there is one, and makes another. @param {Name} name */
function renewNow(name) {
  const there = ready.get(name);
  if (there !== undefined) {
    connections.delete(name);
    ready.delete(name);
    there.client.connection.stream.destroy();
  }
  renew(name);
}

/** @param {Name} name */
const lossesOf = (name) => losses.get(name) ?? 0;

/** Asks on a connection that is made for that: what is asked meanwhile does not wait behind it. @param {Beside} asked */
async function askBeside({ sql, values }) {
  const { client } = await servers.connect('beside', (made) => void made.on('error', () => {}));
  const late = setTimeout(() => client.connection.stream.destroy(), sendMs);
  try {
    return rowsOf(await client.query({ text: sql, values, rowMode: 'array' }));
  } finally {
    clearTimeout(late);
    client.end().catch(() => {});
  }
}

/** @param {Request} request @param {number} losses how many there were when it was asked */
async function perform({ name, sql, statement, values, transaction, begins, waits }, losses) {
  // Nobody waits for a connection that another one can do without.
  if (name === 'replica' && waits && !ready.has(name)) throw lost('there is no connection');
  const there = await connection(name);
  if (lossesOf(name) !== losses) throw lost('the connection was given up');
  if (transaction !== undefined && there.transaction !== transaction)
    throw lost('the connection was lost in a transaction');
  if (begins !== undefined) there.transaction = begins;
  const result = await there.client
    .query({ text: sql, ...(statement && { name: statement }), values, rowMode: 'array' })
    .catch((error) => {
      // A later version of the fabric has changed a table: the plans of this connection are of the former one.
      if (error.code !== '0A000' || !statement) throw error;
      lose(name);
      throw lost(error.message);
    });
  // Several statements at once: the last one answers.
  const last = Array.isArray(result) ? result.at(-1) : result;
  // What the server says instead of an error if a statement before had failed.
  if (sql === 'COMMIT' && last.command !== 'COMMIT')
    throw Object.assign(new Error('nothing was committed: a statement had failed'), { code: '25P02' });
  return rowsOf(last);
}

/** @param {import('pg').QueryArrayResult} result */
const rowsOf = ({ rows, fields, rowCount }) => ({
  rows,
  fields: fields?.map(({ name, dataTypeID }) => [name, dataTypeID]),
  count: rowCount ?? 0,
});

/** What is asked of each connection is done in order, one after the other. @param {Request} request @returns {ReturnType<typeof perform>} */
function inTurn(request) {
  const losses = lossesOf(request.name);
  const done = (turns.get(request.name) ?? Promise.resolve()).then(() => perform(request, losses));
  turns.set(
    request.name,
    done.catch(() => {}),
  );
  return done;
}

/** @param {number} id @param {Promise<ReturnType<typeof rowsOf>>} asked */
async function answerTo(id, asked) {
  try {
    return { id, ...(await asked) };
  } catch (error) {
    const { code, message, detail } = /** @type {{ code?: string, message: string, detail?: string }} */ (
      error
    );
    return { id, error: { code: code ?? '08006', message, detail } };
  }
}

/** @param {Request} request */
async function serve(request) {
  // link.ts sees itself to what it waits for.
  const late = request.waits ? undefined : setTimeout(lose, sendMs, request.name);
  const answer = await answerTo(request.id, inTurn(request));
  clearTimeout(late);
  if (!request.waits) return events.postMessage(answer);
  answers.postMessage(answer);
  Atomics.add(flag, 0, 1);
  Atomics.notify(flag, 0);
}

/**
 * Looks for a server that has replaced the one that is used, which may not know that, as long as somebody listens. Behind a single address there may be
 * another one by now, while connections to the former one stay.
 */
async function lookForNewer() {
  if (ended || !(await servers.isReplaced())) return;
  servers.lost();
  for (const name of ready.keys()) renewNow(name);
}

/** @typedef {{ beside: Beside } | { lose: Name } | { listen: true } | { seen: Parameters<typeof servers.seen>[0] } | { giveUp: true } | { end: true }} Order */

events.on('message', async (/** @type {Request | Order} */ message) => {
  if ('sql' in message) return void serve(message);
  if ('beside' in message)
    return events.postMessage(await answerTo(message.beside.id, askBeside(message.beside)));
  if ('listen' in message) {
    setInterval(lookForNewer, lookMs).unref();
    return renew('listen');
  }
  if ('lose' in message) return lose(message.lose);
  if ('seen' in message) return servers.seen(message.seen);
  if ('giveUp' in message) {
    servers.giveUp();
    return refused.clear();
  }
  ended = true;
  for (const { client } of ready.values()) client.end().catch(() => {});
  events.close();
});
