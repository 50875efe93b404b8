import { type ChildProcess, fork } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Log } from '../../os/service/log.ts';
import { Failure } from '../../protocol/failure.ts';
import { packAnswers, unpackQuestions } from './codec.ts';
import type { Books } from './handshake.ts';
import {
  type Answer,
  arrivedFailure,
  collector,
  failureText,
  IDENTITY_PROCESS,
  type Orders,
  type Question,
  type ToFabric,
  type ToProcess,
} from './messages.ts';

/** A process that ends by itself is replaced, but not in a frenzy. */
const RESTART_MS = 1_000;
/** How long a process may take beyond the grace it was given before it is killed. */
const PATIENCE_MS = 2_000;

/** Identity processes at work on one listening socket. */
export interface Crew {
  readonly native: boolean;
  /** Their process ids. */
  readonly pids: readonly number[];
  /** A group changed. */
  forget(): void;
  close(graceMs: number): Promise<void>;
}

export interface CrewOptions {
  readonly processes: number;
  /** The listening socket; taken over. */
  readonly descriptor: number;
  readonly orders: Orders;
  /** The registry: this process is the only one that writes. */
  readonly books: Books;
  readonly log: Log;
  /** The program's script; the running one. */
  readonly script?: string;
}

interface Member {
  readonly child: ChildProcess;
  readonly ready: Promise<boolean>;
  readonly drained: Promise<void>;
}

/**
 * Starts identity processes that share the listening socket. Both messages of a handshake come over one connection, and a
 * connection stays with the process that accepted it: cookies are each process's own, and spent there.
 * @throws Failure of the first process that cannot begin
 */
export async function startCrew(options: CrewOptions): Promise<Crew> {
  const { log } = options;
  const members = new Set<Member>();
  let closing = false;

  function hire(): Member {
    const member = engage(options);
    members.add(member);
    member.child.once('exit', (code, signal) => {
      members.delete(member);
      if (closing) return;
      log('error', `identity process ${member.child.pid} ended (${signal ?? code}), starting another one`);
      setTimeout(() => {
        if (!closing) hire().ready.catch((error: Error) => log('error', error.message));
      }, RESTART_MS);
    });
    return member;
  }

  async function close(graceMs: number): Promise<void> {
    closing = true;
    closeSync(options.descriptor);
    await Promise.all([...members].map((member) => dismiss(member, graceMs)));
  }

  const hired = Array.from({ length: options.processes }, hire);
  let native: readonly boolean[];
  try {
    native = await Promise.all(hired.map(({ ready }) => ready));
  } catch (error) {
    await close(0);
    throw error;
  }
  return {
    native: native.every(Boolean),
    get pids() {
      return [...members].map(({ child }) => child.pid!);
    },
    forget() {
      for (const { child } of members) say(child, { kind: 'forget' });
    },
    close,
  };
}

function engage({ descriptor, orders, books, script = process.argv[1]! }: CrewOptions): Member {
  const child = fork(script, [IDENTITY_PROCESS], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc', descriptor],
  });
  const reply = collector<Answer>((answers) =>
    say(child, { kind: 'answers', answers: packAnswers(answers) }),
  );
  const drained = open<void>();
  const ready = open<boolean>();
  child.on('message', (message: ToFabric) => {
    if (message.kind === 'ready') ready.resolve(message.native);
    else if (message.kind === 'failed') ready.reject(arrivedFailure(message.failure));
    else if (message.kind === 'drained') drained.resolve();
    else for (const question of unpackQuestions(message.questions)) void answer(books, question).then(reply);
  });
  // Besides 'exit', which follows: a process that cannot be started at all.
  child.on('error', (error) => ready.reject(unstartable(error.message)));
  child.once('exit', (code, signal) => {
    drained.resolve();
    ready.reject(unstartable(`it ended at once (${signal ?? code})`));
  });
  say(child, { kind: 'orders', orders });
  return { child, ready: ready.promise, drained: drained.promise };
}

/** A promise that is settled from outside. */
function open<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let [resolve, reject] = [(_: T): void => {}, (_: Error): void => {}];
  const promise = new Promise<T>((yes, no) => {
    [resolve, reject] = [yes, no];
  });
  // Whoever waits for it hears of it; nobody has to.
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** Asks a process to let its handshakes end; kills it if it does not. */
async function dismiss({ child, drained }: Member, graceMs: number): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs + PATIENCE_MS);
  say(child, { kind: 'drain', graceMs });
  await drained;
  const gone = child.exitCode !== null || child.signalCode !== null;
  const exited = gone ? undefined : new Promise((resolve) => child.once('exit', resolve));
  if (child.connected) child.disconnect();
  await exited;
  clearTimeout(timer);
}

async function answer(books: Books, question: Question): Promise<Answer> {
  const { id } = question;
  try {
    if (question.ask === 'openGroup') return { id, value: await books.openGroup(question.gid) };
    if (question.ask === 'admit') return { id, value: await books.admit(question.applicant) };
    await books.refused(question.handshake);
    return { id, value: undefined };
  } catch (error) {
    return { id, failure: failureText(error) };
  }
}

function say(child: ChildProcess, message: ToProcess): void {
  // A process that is just ending is replaced or not missed.
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
