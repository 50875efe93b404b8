import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end inside a network namespace; never throws for an exit code. */
export async function runIn(
  namespace: string,
  command: readonly string[],
  timeoutMs = 60_000,
): Promise<Outcome> {
  try {
    const { stdout, stderr } = await execute('ip', ['netns', 'exec', namespace, ...command], {
      timeout: timeoutMs,
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout?: string; stderr?: string };
    return {
      code: typeof code === 'number' ? code : -1,
      stdout: stdout ?? '',
      stderr: stderr ?? String(error),
    };
  }
}

/** A long-running program in a namespace, with its stderr in a file. */
export interface Running {
  readonly pid: number;
  readonly logFile: string;
  /** Everything it has written to stdout so far. */
  output(): string;
  signal(signal: NodeJS.Signals): void;
  readonly gone: boolean;
  stop(signal?: NodeJS.Signals): Promise<number>;
}

/** Starts a program in a namespace; undefined: in this host's own. */
export function startIn(
  namespace: string | undefined,
  command: readonly string[],
  logFile: string,
  environment: Record<string, string> = {},
): Running {
  // `ip netns exec` replaces itself by the program, so the pid is the program's own.
  const [program, ...argv] =
    namespace === undefined ? command : ['ip', 'netns', 'exec', namespace, ...command];
  const child: ChildProcess = spawn(program!, argv, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  const log = createWriteStream(logFile, { flags: 'a' });
  let output = '';
  child.stdout!.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr!.pipe(log);
  const exited = new Promise<number>((resolve) => {
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal === 'SIGKILL' ? 9 : 15)));
    child.on('error', () => resolve(127));
  });
  return {
    pid: child.pid ?? -1,
    logFile,
    output: () => output,
    signal: (signal) => void child.kill(signal),
    get gone() {
      return child.exitCode !== null || child.signalCode !== null;
    },
    async stop(signal = 'SIGTERM') {
      if (!this.gone) child.kill(signal);
      const patience = setTimeout(() => child.kill('SIGKILL'), 10_000);
      const code = await exited;
      clearTimeout(patience);
      return code;
    },
  };
}

/** Polls until `probe` gives a value; says what it waited for when it gives up. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined>,
  timeoutMs = 30_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < end) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}${last === undefined ? '' : `; last: ${String(last)}`}`);
}
