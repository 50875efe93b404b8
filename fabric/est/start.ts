import { type ChildProcess, fork } from 'node:child_process';
import type { ListenAddress } from '../../os/net/listen.ts';
import type { Log } from '../../os/service/log.ts';
import { repeatedLine } from '../../os/service/repeats.ts';
import { Failure } from '../../protocol/failure.ts';
import { deserializeFailure, serializeFailure } from '../../protocol/failure-message.ts';
import {
  type Asked,
  type Authority,
  EST_PROCESS,
  type EstTls,
  type FromEst,
  type ToEst,
} from './messages.ts';

/** A process that ends by itself is replaced after this time, so that one that always fails is not started in a loop. */
const RESTART_MS = 1_000;

export interface EstOptions {
  readonly listen: ListenAddress;
  readonly tls: EstTls;
  readonly authority: Authority;
  readonly log: Log;
  /** The program's script; the running one. */
  readonly script?: string;
}

export interface EstServer {
  readonly port: number;
  /** What clients are shown from now on. */
  replaceTls(tls: EstTls): void;
  close(): void;
}

/**
 * Serves EST in a process of its own, and decides in this one. @throws Failure `net.…` where it cannot listen, `fabric.no-est-process`
 */
export async function startEst(options: EstOptions): Promise<EstServer> {
  const { authority, log, script = process.argv[1]! } = options;
  const logEnd = repeatedLine(log, 'error', { each: 10, subjects: 1 });
  const logRefusal = repeatedLine(log, 'notice', { each: 3, subjects: 100 });
  let { listen, tls } = options;
  let child: ChildProcess | undefined;
  let closed = false;

  async function answer(id: number, asked: Asked): Promise<ToEst> {
    try {
      return { kind: 'answer', id, certificates: await authority(asked) };
    } catch (error) {
      const failure = serializeFailure(error);
      if (!(error instanceof Failure)) logEnd('', `EST: ${(error as Error).stack}`);
      else if (asked.kind === 'certificate')
        logRefusal(asked.source, `EST: ${asked.source} gets no certificate: ${error.code}: ${error.message}`);
      return { kind: 'answer', id, failure };
    }
  }

  function start(): Promise<number> {
    const started = fork(script, [EST_PROCESS], {
      execArgv: ['--max-old-space-size=128'],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    child = started;
    return new Promise((resolve, reject) => {
      started.on('message', (message: FromEst) => {
        if (message.kind === 'listening') resolve(message.port);
        else if (message.kind === 'failed') reject(deserializeFailure(message.failure));
        else void answer(message.id, message.asked).then((reply) => send(started, reply));
      });
      started.on('error', (error) => reject(unstartable(error.message)));
      started.once('exit', (code, signal) => {
        reject(unstartable(`it ended at once (${signal ?? code})`));
        if (child === started) child = undefined;
        if (closed) return;
        logEnd('', `the process that speaks EST ended (${signal ?? code}), starting another one`);
        setTimeout(() => {
          if (!closed) start().catch((error: Error) => logEnd('', error.message));
        }, RESTART_MS);
      });
      send(started, { kind: 'config', listen, tls });
    });
  }

  const close = (): void => {
    closed = true;
    child?.kill('SIGKILL');
    logEnd.close();
    logRefusal.close();
  };
  try {
    const port = await start();
    // Another process listens where this one did.
    listen = { ...listen, port };
    return {
      port,
      replaceTls(next) {
        tls = next;
        if (child !== undefined) send(child, { kind: 'tls', tls });
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function send(child: ChildProcess, message: ToEst): void {
  // Without a callback a failure would be an 'error' event; a process that is just ending is replaced, or is to end.
  if (child.connected) child.send(message, () => {});
}

function unstartable(why: string): Failure {
  return new Failure(
    'fabric.no-est-process',
    'operator',
    `the process that speaks EST cannot be started: ${why}`,
    {
      action: 'See what it printed above; limits on processes or memory may be in the way.',
    },
  );
}
