// @ts-check
// The thread that talks to PostgreSQL. The registry's code runs statements that answer before they return (link.ts waits for them), and
// begins and ends transactions without waiting.
import { workerData } from 'node:worker_threads';
import pg from 'pg';

/**
 * @typedef {'write' | 'read' | 'listen'} Name
 * @typedef {{ id: number, name: Name, sql: string, statement?: string, values?: (string | null)[], transaction?: number, begins?: number, waits: boolean }} Request
 * @typedef {{ client: pg.Client, transaction: number | undefined }} Connection
 */

/** @type {{ urls: readonly string[], settings: string, connectMs: number, pauseMs: number, answers: import('node:worker_threads').MessagePort, events: import('node:worker_threads').MessagePort, signal: SharedArrayBuffer }} */
const { urls, settings, connectMs, pauseMs, answers, events, signal } = workerData;
const flag = new Int32Array(signal);

/** @type {Map<Name, Promise<Connection>>} */
const connections = new Map();
/** Who could not be reached is not asked again at once: whoever waits would wait each time. @type {Map<Name, { at: number, error: unknown }>} */
const refused = new Map();

/** All values stay the texts that the server sends; link.ts knows what they are. */
const types = { getTypeParser: () => (/** @type {unknown} */ value) => value };

/** @param {Name} name @returns {Promise<Connection>} */
function connection(name) {
  const there = connections.get(name);
  if (there !== undefined) return there;
  const last = refused.get(name);
  if (last !== undefined && performance.now() - last.at < pauseMs) return Promise.reject(last.error);
  const made = connect(name);
  connections.set(name, made);
  made.then(
    () => refused.delete(name),
    (error) => {
      connections.delete(name);
      refused.set(name, { at: performance.now(), error });
    },
  );
  return made;
}

/** The first server that answers; to write and to hear of changes, the first that is no standby. @param {Name} name */
async function connect(name) {
  /** @type {unknown} */
  let failure;
  for (const url of urls) {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: connectMs,
      keepAlive: true,
      options: settings,
      types,
      application_name: `enf-fabric ${name}`,
    });
    try {
      await client.connect();
      if (name !== 'read') await requirePrimary(client);
      const made = { client, transaction: undefined };
      const lost = () => forget(name, made);
      client.on('error', lost);
      client.on('end', lost);
      if (name === 'listen') {
        client.on('notification', () => events.postMessage({ change: true }));
        await client.query('LISTEN enf_change');
      }
      return made;
    } catch (error) {
      failure ??= error;
      client.on('error', () => {});
      client.end().catch(() => {});
    }
  }
  throw failure;
}

/** @param {pg.Client} client */
async function requirePrimary(client) {
  const { rows } = await client.query({ text: 'SELECT pg_is_in_recovery()', rowMode: 'array' });
  if (rows[0]?.[0] === 't') throw Object.assign(new Error('it is a standby'), { code: '25006' });
}

/** @param {Name} name @param {Connection} which */
async function forget(name, which) {
  if ((await connections.get(name)?.catch(() => undefined)) !== which) return;
  connections.delete(name);
  if (name === 'listen') listen();
}

/** @param {Request} request */
async function perform({ name, sql, statement, values, transaction, begins }) {
  const there = await connection(name);
  if (transaction !== undefined && there.transaction !== transaction)
    throw Object.assign(new Error('the connection was lost in a transaction'), { code: '08006' });
  if (begins !== undefined) there.transaction = begins;
  const result = await there.client.query({
    text: sql,
    ...(statement && { name: statement }),
    values,
    rowMode: 'array',
  });
  // Several statements at once: the last one answers.
  const last = Array.isArray(result) ? result.at(-1) : result;
  return {
    rows: last.rows,
    fields: last.fields?.map((/** @type {{ name: string, dataTypeID: number }} */ { name, dataTypeID }) => [
      name,
      dataTypeID,
    ]),
    count: last.rowCount ?? 0,
  };
}

/** @param {Request} request */
async function serve(request) {
  let answer;
  try {
    answer = { id: request.id, ...(await perform(request)) };
  } catch (error) {
    const { code, message, detail } = /** @type {{ code?: string, message: string, detail?: string }} */ (
      error
    );
    answer = { id: request.id, error: { code: code ?? '08006', message, detail } };
  }
  if (!request.waits) return events.postMessage(answer);
  answers.postMessage(answer);
  Atomics.add(flag, 0, 1);
  Atomics.notify(flag, 0);
}

/** Hears of changes, again and again: after a loss something may have changed. */
function listen() {
  connection('listen').then(
    () => events.postMessage({ change: true }),
    () => setTimeout(listen, pauseMs).unref(),
  );
}

events.on('message', (/** @type {Request | { lose: Name } | { listen: true } | { end: true }} */ message) => {
  if ('sql' in message) return void serve(message);
  if ('listen' in message) return listen();
  if ('end' in message) {
    for (const made of connections.values()) made.then(({ client }) => client.end()).catch(() => {});
    connections.clear();
    return events.close();
  }
  // What does not answer in time is given up.
  connections
    .get(message.lose)
    ?.then((made) => {
      forget(message.lose, made);
      made.client.connection.stream.destroy();
    })
    .catch(() => {});
});
