import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../protocol/failure.ts';

export interface Swtpm {
  /** TCTI string for `openTpm`, e.g. `swtpm:host=127.0.0.1,port=4321`. */
  readonly tcti: string;
  /** Data port; the control port is the next one. */
  readonly port: number;
  /** Folder of the TPM's non-volatile state. */
  readonly state: string;
  /** Orderly end. A state folder that startSwtpm made is removed. */
  stop(): Promise<void>;
  /** A power cut: SIGKILL. The state folder stays, for the next start. */
  kill(): Promise<void>;
}

export interface SwtpmOptions {
  readonly state?: string;
  readonly port?: number;
  /** Network namespace to run in; its ports are its own, so without `port` it is 2321. */
  readonly namespace?: string;
}

const NAMESPACE_PORT = 2321;
const START_ATTEMPTS = 5;
const ANSWER_ATTEMPTS = 200;
const ANSWER_PAUSE_MS = 25;

/**
 * Starts a software TPM on two neighbouring loopback ports and waits until it answers. Without `state` it is a fresh
 * TPM in a temporary folder; the same `state` again is the same TPM. It ends with this process.
 * @throws Failure `swtpm.not-installed`, `swtpm.no-start`
 */
export async function startSwtpm(options: SwtpmOptions = {}): Promise<Swtpm> {
  const made = options.state === undefined;
  const state = options.state ?? mkdtempSync(join(tmpdir(), 'enf-swtpm-'));
  mkdirSync(state, { recursive: true, mode: 0o700 });
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (options.namespace === undefined ? await freePortPair() : NAMESPACE_PORT);
    const started = await launch(state, port, options.namespace);
    if (!(started instanceof Failure)) return manage(started, port, state, made);
    if (started.code === 'swtpm.not-installed' || attempt === START_ATTEMPTS || options.port !== undefined) {
      if (made) rmSync(state, { recursive: true, force: true });
      throw started;
    }
  }
}

async function launch(state: string, port: number, namespace?: string): Promise<ChildProcess | Failure> {
  const where = (offset: number) => `type=tcp,port=${port + offset},bindaddr=127.0.0.1`;
  const inside = namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace];
  const [program, ...args] = [
    ...inside,
    'swtpm',
    'socket',
    '--tpm2',
    '--tpmstate',
    `dir=${state}`,
    '--server',
    where(0),
    '--ctrl',
    where(1),
    '--flags',
    'not-need-init,startup-clear',
  ];
  const child = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  let ended: Error | number | undefined;
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-500);
  });
  child.once('error', (error) => {
    ended = error;
  });
  child.once('exit', (code) => {
    ended ??= code ?? -1;
  });
  for (let attempt = 0; ended === undefined && attempt < ANSWER_ATTEMPTS; attempt++) {
    if (await (namespace === undefined ? answers(port) : listens(namespace, port))) return child;
    await sleep(ANSWER_PAUSE_MS);
  }
  child.kill('SIGKILL');
  const absent = (ended as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
  if (absent || complaint.includes('exec of "swtpm" failed')) {
    return new Failure('swtpm.not-installed', 'operator', 'the program swtpm was not found', {
      action: 'Install it: apt-get install swtpm',
    });
  }
  return new Failure(
    'swtpm.no-start',
    'operator',
    `swtpm did not answer on 127.0.0.1:${port}: ${complaint.trim() || String(ended ?? 'silence')}`,
    { action: `Check that the port is free and ${state} is writable.` },
  );
}

/** In a namespace that this process is not in, somebody there has to knock. */
async function listens(namespace: string, port: number): Promise<boolean> {
  const knock = `exec 3<>/dev/tcp/127.0.0.1/${port}`;
  const child = spawn('ip', ['netns', 'exec', namespace, 'bash', '-c', knock], { stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  return code === 0;
}

/** GetCapability(manufacturer): only an answer shows that the TPM behind the port is up. */
const QUESTION = Buffer.from('8001000000160000017a000000060000010500000001', 'hex');

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(QUESTION);
    return await answered(socket);
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function answered(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once('data', (data) => resolve(data.length >= 10 && data.readUInt16BE(0) === 0x8001));
    socket.once('close', () => resolve(false));
    socket.once('error', () => resolve(false));
    socket.setTimeout(2000, () => resolve(false));
  });
}

/** What ends with this process. */
const ending = new Set<() => void>();
process.once('exit', () => {
  for (const end of ending) end();
});

function manage(child: ChildProcess, port: number, state: string, made: boolean): Swtpm {
  const atExit = () => {
    child.kill('SIGKILL');
    if (made) rmSync(state, { recursive: true, force: true });
  };
  ending.add(atExit);
  child.unref();
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  return {
    tcti: `swtpm:host=127.0.0.1,port=${port}`,
    port,
    state,
    kill: () => end('SIGKILL'),
    stop: async () => {
      await end('SIGTERM');
      ending.delete(atExit);
      if (made) rmSync(state, { recursive: true, force: true });
    },
  };
}

/** Two neighbouring free ports; somebody may take them meanwhile, then the start is tried again. */
async function freePortPair(): Promise<number> {
  for (;;) {
    const first = await listen(0);
    const port = (first.address() as { port: number }).port;
    const second = port < 65535 ? await listen(port + 1).catch(() => undefined) : undefined;
    await Promise.all([first, second].map((server) => server && once(server.close(), 'close')));
    if (second !== undefined) return port;
  }
}

async function listen(port: number): Promise<Server> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
