import { type ChildProcess, fork } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { Failure } from '../../protocol/failure.ts';
import { deserializeFailure, serializeFailure } from '../../protocol/failure-message.ts';
import type { ServerKey } from '../../protocol/xtt/stateless.ts';
import { batched } from './batched.ts';
import { packResponses, unpackRequests } from './codec.ts';
import type { HandshakeRegistry } from './handshake.ts';
import {
  type FromWorker,
  IDENTITY_PROCESS,
  type Request,
  type Response,
  type ToWorker,
  type WorkerConfig,
} from './messages.ts';

/** A process that ends by itself is replaced after this time, so that one that always fails is not started in a loop. */
const RESTART_MS = 1_000;
/** How much longer than its grace period a process may take before it is killed. */
const KILL_AFTER_MS = 2_000;

/** Identity processes that serve one listening socket. */
export interface WorkerPool {
  readonly native: boolean;
  /** Their process ids. */
  readonly pids: readonly number[];
  /** A group changed: the workers drop what they have cached of groups. */
  forgetGroups(): void;
  /** The workers answer with these certificates from now on, and so do those that are started later. */
  replaceKeys(keys: readonly ServerKey[]): void;
  close(graceMs: number): Promise<void>;
}

export interface WorkerPoolOptions {
  readonly processes: number;
  /** The listening socket; taken over. */
  readonly descriptor: number;
  readonly config: WorkerConfig;
  /** This process is the only one that writes to it. */
  readonly registry: HandshakeRegistry;
  readonly log: Log;
  /** The program's script; the running one. */
  readonly script?: string;
}

interface Worker {
  readonly child: ChildProcess;
  readonly ready: Promise<boolean>;
  readonly drained: Promise<void>;
}

/**
 * Starts identity processes that share the listening socket. Both messages of a handshake come over one connection, and a
 * connection stays with the process that accepted it: each process has cookies of its own, and they are spent there.
 * @throws Failure of the first process that cannot be started
 */
export async function startWorkerPool(options: WorkerPoolOptions): Promise<WorkerPool> {
  let { config } = options;
  const logEnd = repeatedLine(options.log, 'error', { each: 10, subjects: 1 });
  const workers = new Set<Worker>();
  let closing = false;

  function start(): Worker {
    const worker = spawn({ ...options, config });
    workers.add(worker);
    worker.child.once('exit', (code, signal) => {
      workers.delete(worker);
      if (closing) return;
      logEnd('', `identity process ${worker.child.pid} ended (${signal ?? code}), starting another one`);
      setTimeout(() => {
        if (!closing) start().ready.catch((error: Error) => logEnd('', error.message));
      }, RESTART_MS);
    });
    return worker;
  }

  async function close(graceMs: number): Promise<void> {
    closing = true;
    closeSync(options.descriptor);
    await Promise.all([...workers].map((worker) => stop(worker, graceMs)));
    logEnd.close();
  }

  const started = Array.from({ length: options.processes }, start);
  let native: readonly boolean[];
  try {
    native = await Promise.all(started.map(({ ready }) => ready));
  } catch (error) {
    await close(0);
    throw error;
  }
  return {
    native: native.every(Boolean),
    get pids() {
      return [...workers].map(({ child }) => child.pid!);
    },
    forgetGroups() {
      for (const { child } of workers) send(child, { kind: 'forget-groups' });
    },
    replaceKeys(keys) {
      config = { ...config, keys };
      for (const { child } of workers) send(child, { kind: 'keys', keys });
    },
    close,
  };
}

function spawn({ descriptor, config, registry, script = process.argv[1]! }: WorkerPoolOptions): Worker {
  const child = fork(script, [IDENTITY_PROCESS], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', descriptor],
  });
  const respond = batched<Response>((responses) =>
    send(child, { kind: 'responses', responses: packResponses(responses) }),
  );
  const drained = deferred<void>();
  const ready = deferred<boolean>();
  child.on('message', (message: FromWorker) => {
    if (message.kind === 'ready') ready.resolve(message.native);
    else if (message.kind === 'failed') ready.reject(deserializeFailure(message.failure));
    else if (message.kind === 'drained') drained.resolve();
    else for (const request of unpackRequests(message.requests)) void handle(registry, request).then(respond);
  });
  // Beside 'exit', which follows: a process that cannot be started at all.
  child.on('error', (error) => ready.reject(unstartable(error.message)));
  child.once('exit', (code, signal) => {
    drained.resolve();
    ready.reject(unstartable(`it ended at once (${signal ?? code})`));
  });
  send(child, { kind: 'config', config });
  return { child, ready: ready.promise, drained: drained.promise };
}

/** A promise that is settled from outside. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let [resolve, reject] = [(_: T): void => {}, (_: Error): void => {}];
  const promise = new Promise<T>((yes, no) => {
    [resolve, reject] = [yes, no];
  });
  // Nobody has to wait for it: a rejection must not count as unhandled.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** Lets the handshakes of a process end, then ends it; kills it if it takes too long. */
async function stop({ child, drained }: Worker, graceMs: number): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs + KILL_AFTER_MS);
  send(child, { kind: 'drain', graceMs });
  await drained;
  const ended = child.exitCode !== null || child.signalCode !== null;
  const exited = ended ? undefined : new Promise((resolve) => child.once('exit', resolve));
  if (child.connected) child.disconnect();
  await exited;
  clearTimeout(timer);
}

async function handle(registry: HandshakeRegistry, request: Request): Promise<Response> {
  const { id } = request;
  try {
    if (request.method === 'openGroup') return { id, value: await registry.openGroup(request.gid) };
    if (request.method === 'admit')
      return { id, value: await registry.admit(request.applicant, request.waitedMs) };
    await registry.refused(request.handshake, request.unlisted);
    return { id, value: undefined };
  } catch (error) {
    return { id, failure: serializeFailure(error) };
  }
}

function send(child: ChildProcess, message: ToWorker): void {
  // Without a callback a failure would be an 'error' event; a process that is just ending is replaced, or is to end.
  if (child.connected) child.send(message, () => {});
}

function unstartable(why: string): Failure {
  return new Failure(
    'fabric.no-identity-process',
    'operator',
    `an identity process cannot be started: ${why}`,
    {
      action: 'See what it printed above; limits on processes or memory may be in the way.',
    },
  );
}
