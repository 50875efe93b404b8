import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { assetPath } from '../../../os/files/asset.ts';
import { toHex } from '../../../protocol/bytes.ts';
import type { ServerState } from '../alarms.ts';
import type { AuditHead } from '../records.ts';
import { postgresFailure, type ServerError, unreachable } from './failures.ts';
import { heldJobs, heldStatements } from './held.ts';
import { serverPlace } from './servers.ts';
import { CONNECT_MS, LOCK_MS, LOOK_MS, PATIENCE_MS, PAUSE_MS, SEND_MS, STATEMENT_MS } from './times.ts';

/** The connections to the server: changes, what is read beside them, and news of others' changes; what is read of a standby while there is a primary. */
export type Name = 'write' | 'read' | 'listen' | 'replica';

export interface Answer {
  readonly rows: readonly (readonly (string | null)[])[];
  /** Name and type (pg_type.oid) of each column. */
  readonly fields: readonly (readonly [string, number])[];
  /** Rows that were written or read. */
  readonly count: number;
}

export interface Query {
  readonly sql: string;
  /** The server keeps its plan under this name. */
  readonly statement?: string;
  readonly values?: readonly (string | null)[];
  /** The number of the transaction that it is part of: it fails if the connection was lost since. */
  readonly transaction?: number;
  /** The number of the transaction that it begins. */
  readonly begins?: number;
  /** For how long it is waited for, in milliseconds, if that is not a few seconds: the schema of many devices changes. */
  readonly patienceMs?: number;
}

/** What a node knows of the servers, which decides which of them it uses (fence.mjs). */
export interface Known {
  /** The newest audit entry that it has seen; its hash in hex. */
  readonly seq: number;
  readonly hash: string;
  /** When it last was the newest one, in milliseconds since 1970. */
  readonly at: number;
  /** The server that had it: the system identifier that it has in common with its standbys, and how often they were promoted. */
  readonly system?: string;
  readonly timeline?: number;
}

/** The server whose trail counts from now on. */
export interface Adopted {
  readonly known: Known;
  /** The number of the newest entry that was seen before, if it has lost that: it was promoted without. */
  readonly lost?: number;
}

/** What talks to the server. */
export interface Link {
  /** Waits for the answer: nothing else is done in this thread meanwhile, for some seconds at most; what has taken too long is not asked again at once (held.ts). @throws Failure see failures.ts */
  ask(name: Name, query: Query): Answer;
  /** What is waited for in jobs took too long in the last seconds: nothing else of them should. */
  isCautious(): boolean;
  /** As `ask`, without waiting. */
  send(name: Name, query: Query): Promise<Answer>;
  /** Calls back when somebody has recorded a change, or may have; `anew`: it is read from another connection, maybe from a server that lacks the last ones. */
  listen(changed: (anew: boolean) => void): void;
  /** Calls back when another server than the last one is used, before anything is read there. */
  onAdopted(call: (adopted: Adopted) => void): void;
  /** What was seen on the servers; undefined before one was used. */
  readonly known: Known | undefined;
  /** All servers at the last look of whoever listens, if there are several. */
  readonly servers: readonly ServerState[];
  /** The newest entry on the server that is used: one that lacks it is not used any more. */
  seen(head: AuditHead): void;
  /** Whichever server is there is used from now on, whatever it lacks. */
  giveUp(): void;
  close(): void;
}

const SETTINGS = [
  `statement_timeout=${STATEMENT_MS}`,
  `lock_timeout=${LOCK_MS}`,
  // A process that hangs keeps nobody else from writing.
  `idle_in_transaction_session_timeout=${PATIENCE_MS}`,
  'search_path=enf',
  'bytea_output=hex',
  // An identity must survive a power cut once the device has it.
  'synchronous_commit=on',
  // Statements are small, and their plans do not depend on the values.
  'plan_cache_mode=force_generic_plan',
  'jit=off',
  // The turn to write is waited for in the first statement: what is read after it must be newer.
  'default_transaction_isolation=read\\ committed',
]
  .map((setting) => `-c ${setting}`)
  .join(' ');

/** That there may be changes. */
interface News {
  readonly change: true;
  readonly anew: boolean;
}

/** That another server is used; the number counts these. */
interface Adoption {
  readonly adopted: Adopted & { readonly era: number };
}

/** That all servers were looked at. */
interface Looked {
  readonly servers: readonly ServerState[];
}

type Message = { readonly id: number } & (Answer | { readonly error: ServerError });

/**
 * `urls`: the servers, `postgres://user@host/database`, of which one takes changes. They are connected to when something is asked. `fence`: none that lacks
 * what is known is used; otherwise any.
 */
export function openLink(urls: readonly string[], fence?: { readonly known: Known | undefined }): Link {
  const waiting = new Map<number, { resolve: (answer: Answer) => void; reject: (error: unknown) => void }>();
  let changed: ((anew: boolean) => void) | undefined;
  let adopted: ((adopted: Adopted) => void) | undefined;
  let known = fence?.known;
  let servers: readonly ServerState[] = [];
  let era = 0;
  let last = 0;
  let thread: Thread | undefined;

  function received(message: Message | News | Adoption | Looked): void {
    if ('servers' in message) {
      servers = message.servers;
      return;
    }
    if ('adopted' in message) {
      ({ era, known } = message.adopted);
      adopted?.(message.adopted);
      return;
    }
    if ('change' in message) {
      changed?.(message.anew);
      return;
    }
    const caller = waiting.get(message.id);
    waiting.delete(message.id);
    if (waiting.size === 0) thread?.events.unref();
    if ('error' in message) caller?.reject(postgresFailure(message.error));
    else caller?.resolve(message);
  }

  /** The thread; another one if it has ended, by an error of its own. */
  function running(): Thread {
    if (thread !== undefined) return thread;
    const started = startThread({ urls, fenced: fence !== undefined, known }, received, (error) => {
      if (thread === started) thread = undefined;
      era = 0;
      servers = [];
      const callers = [...waiting.values()];
      waiting.clear();
      for (const caller of callers) caller.reject(unreachable('the thread that asks it has ended', error));
    });
    thread = started;
    if (changed !== undefined) started.events.postMessage({ listen: true });
    return started;
  }

  function post(name: Name, query: Query, waits: boolean): number {
    last++;
    running().events.postMessage({ ...query, id: last, name, waits });
    return last;
  }

  const answerOf = (id: number): Promise<Answer> =>
    new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      running().events.ref();
    });

  const held = {
    read: heldStatements(({ sql, values }) => {
      last++;
      running().events.postMessage({ beside: { id: last, sql, values } });
      return answerOf(last);
    }),
    write: heldJobs(),
  };

  function answerTo(name: Name, { patienceMs = PATIENCE_MS, ...query }: Query): Answer {
    const { answers, events, flag } = running();
    let seen = Atomics.load(flag, 0);
    const id = post(name, query, true);
    const until = performance.now() + patienceMs;
    for (;;) {
      const got = receiveMessageOnPort(answers) as { message: Message } | undefined;
      if (got?.message.id === id) {
        if ('error' in got.message) throw postgresFailure(got.message.error);
        return got.message;
      }
      // The answer to what was given up before.
      if (got !== undefined) continue;
      if (Atomics.wait(flag, 0, seen, Math.max(0, until - performance.now())) === 'timed-out') {
        events.postMessage({ lose: name });
        throw unreachable(`it does not answer within ${patienceMs / 1_000} seconds`);
      }
      seen = Atomics.load(flag, 0);
    }
  }

  return {
    ask(name, query) {
      if (name !== 'read' && name !== 'write') return answerTo(name, query);
      held[name].refuse(query);
      try {
        return answerTo(name, query);
      } catch (error) {
        held[name].failed(query, error);
        throw error;
      }
    },
    isCautious: held.write.isCautious,
    send: (name, query) => answerOf(post(name, query, false)),
    listen(call) {
      changed = call;
      running().events.postMessage({ listen: true });
    },
    onAdopted(call) {
      adopted = call;
    },
    get known() {
      return known;
    },
    get servers() {
      return servers;
    },
    seen({ seq, hash }) {
      if (known === undefined || seq < known.seq) return;
      // A clock that is set back does not have this node forget what was given up since.
      const seen = { seq, hash: toHex(hash), at: Math.max(known.at, Date.now()) };
      known = { ...known, ...seen };
      thread?.events.postMessage({ seen: { ...seen, era } });
    },
    giveUp() {
      known = undefined;
      running().events.postMessage({ giveUp: true });
    },
    close() {
      thread?.events.postMessage({ end: true });
      thread?.answers.close();
      thread?.events.close();
    },
  };
}

/** What io.mjs runs in: `flag` counts the answers that came on `answers`. */
interface Thread {
  readonly answers: MessagePort;
  readonly events: MessagePort;
  readonly flag: Int32Array;
}

function startThread(
  servers: { readonly urls: readonly string[]; readonly fenced: boolean; readonly known: Known | undefined },
  received: (message: Message | News | Adoption | Looked) => void,
  failed: (error: unknown) => void,
): Thread {
  const answers = new MessageChannel();
  const events = new MessageChannel();
  const signal = new SharedArrayBuffer(4);
  const worker = new Worker(assetPath(import.meta.url, 'enf-fabric-postgres.mjs', './io.mjs'), {
    workerData: {
      ...{ ...servers, places: servers.urls.map(serverPlace), settings: SETTINGS, signal },
      ...{ connectMs: CONNECT_MS, pauseMs: PAUSE_MS, sendMs: SEND_MS, lookMs: LOOK_MS },
      ...{ answers: answers.port2, events: events.port2 },
    },
    transferList: [answers.port2, events.port2],
    // What is in argv is none of its business.
    argv: [],
    execArgv: [],
  });
  worker.on('error', failed);
  worker.unref();
  events.port1.on('message', received);
  events.port1.unref();
  return { answers: answers.port1, events: events.port1, flag: new Int32Array(signal) };
}
