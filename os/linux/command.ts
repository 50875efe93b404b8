import { spawn } from 'node:child_process';
import { Failure, isFailure } from '../../protocol/failure.ts';

export interface CommandOptions {
  /** Folders that are searched for the program; default `SYSTEM_PATH`. */
  readonly path?: string;
  /** The program is killed (SIGKILL) when it has not ended after this time; default: no deadline. */
  readonly timeoutMs?: number;
  /** The program is killed when this is aborted. */
  readonly signal?: AbortSignal;
  /** The program is killed when it prints more than this on one of its two outputs; default: no bound. */
  readonly maxBytes?: number;
}

export type CommandResult =
  | { readonly kind: 'exited'; readonly code: number; readonly stdout: string; readonly stderr: string }
  /** Ended by a signal: somebody else's, or ours at the deadline or the bound. */
  | { readonly kind: 'killed'; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'not-installed'; readonly cause: Error };

/** Where packages of the distribution install programs. */
const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
/** The same, after what the administrator has installed. */
const LOCAL_PATH = `/usr/local/sbin:/usr/local/bin:${SYSTEM_PATH}`;

/**
 * Runs a program to its end: in the C locale, with no environment but its path, and with an empty standard input.
 * Rejects with the error of the system if the program is there but cannot be started.
 */
export function runCommand(
  program: string,
  args: readonly string[],
  { path = SYSTEM_PATH, timeoutMs, signal, maxBytes = Number.POSITIVE_INFINITY }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: path, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // Neither a grandchild that has inherited the pipes nor a child that waits inside the kernel keeps us waiting.
    const kill = (): void => {
      child.kill('SIGKILL');
      child.unref();
      child.stdout.destroy();
      child.stderr.destroy();
      end();
      resolve({ kind: 'killed', stdout: stdout(), stderr: stderr() });
    };
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', kill);
    };
    const collect = (stream: typeof child.stdout): (() => string) => {
      const chunks: Buffer[] = [];
      let length = 0;
      stream.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > maxBytes) kill();
      });
      return () => Buffer.concat(chunks).toString();
    };
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const timer = timeoutMs === undefined ? undefined : setTimeout(kill, timeoutMs);
    signal?.addEventListener('abort', kill);
    child.on('error', (cause: NodeJS.ErrnoException) => {
      end();
      if (cause.code === 'ENOENT') resolve({ kind: 'not-installed', cause });
      else reject(cause);
    });
    child.on('close', (code) => {
      end();
      const printed = { stdout: stdout(), stderr: stderr() };
      resolve(code === null ? { kind: 'killed', ...printed } : { kind: 'exited', code, ...printed });
    });
  });
}

/** The two programs that change the kernel's network configuration, and their packages. */
const PACKAGES = { ip: 'iproute2', nft: 'nftables' } as const;
export type NetworkProgram = keyof typeof PACKAGES;

export interface NetworkResult {
  /** -1 if a signal ended the program. */
  readonly code: number;
  readonly stdout: string;
  /** The first line of the program's error output: for people, never parsed. */
  readonly complaint: string;
}

/** How long a program may take; a slow machine with many rules takes a second or two. */
export const PATIENCE_MS = 10_000;
/** The same once this program is about to end. */
const HURRY_MS = 1_000;

const running = new Set<() => void>();
let patienceMs = PATIENCE_MS;

/** This program is about to end: what is running, and what will be, gets little time. */
export function hurryCommands(): void {
  patienceMs = HURRY_MS;
  for (const hurry of running) hurry();
}

/**
 * Runs `ip` or `nft`. One that hangs is killed.
 * @throws Failure `os.no-iproute`, `os.no-nftables`, `os.command-hangs`, `os.ip-failed`, `os.nft-failed`
 */
export async function runNetworkProgram(
  program: NetworkProgram,
  args: readonly string[],
): Promise<NetworkResult> {
  const deadline = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let ms = patienceMs;
  const limit = (): void => {
    clearTimeout(timer);
    ms = patienceMs;
    timer = setTimeout(() => deadline.abort(), ms);
  };
  running.add(limit);
  limit();
  try {
    const result = await runCommand(program, args, { signal: deadline.signal });
    if (deadline.signal.aborted) throw hangs(program, args, ms);
    if (result.kind === 'not-installed') throw notInstalled(program, result.cause);
    const { stdout, stderr } = result;
    const complaint = stderr.trim().split('\n')[0] ?? '';
    return { code: result.kind === 'exited' ? result.code : -1, stdout, complaint };
  } catch (error) {
    if (isFailure(error)) throw error;
    throw cannotStart(program, error as NodeJS.ErrnoException);
  } finally {
    clearTimeout(timer);
    running.delete(limit);
  }
}

function hangs(program: NetworkProgram, args: readonly string[], ms: number): Failure {
  const what = `${program} ${args.join(' ').slice(0, 60)}`;
  return new Failure('os.command-hangs', 'retry', `"${what}" has not ended within ${ms / 1_000} s`, {
    action: `Run "${program}" by hand: it waits for a lock of another program, or the kernel does not answer it.`,
  });
}

/** Not executable, or no process can be started. */
function cannotStart(program: NetworkProgram, error: NodeJS.ErrnoException): Failure {
  if (error.code === 'EACCES') return notInstalled(program, error);
  return refusal(program, 'cannot be started', error.code ?? error.message);
}

function notInstalled(program: NetworkProgram, cause: unknown): Failure {
  const message = `the program "${program}" is not installed, or may not be run`;
  const options = { action: `Install the package ${PACKAGES[program]}.`, cause };
  return program === 'ip'
    ? new Failure('os.no-iproute', 'operator', message, options)
    : new Failure('os.no-nftables', 'operator', message, options);
}

/** The Failure for an exit code other than 0. @returns Failure `os.not-permitted`, `os.ip-failed`, `os.nft-failed` */
export function refusal(program: NetworkProgram, what: string, complaint: string): Failure {
  const message = `${program} ${what}: ${complaint}`;
  if (/not permitted/.test(complaint)) {
    return new Failure('os.not-permitted', 'operator', message, {
      action: 'Run as root or grant CAP_NET_ADMIN.',
    });
  }
  return program === 'ip'
    ? new Failure('os.ip-failed', 'retry', message)
    : new Failure('os.nft-failed', 'retry', message, {
        action:
          'Check that the kernel has nftables with the inet family and the expressions "socket" and "meta".',
      });
}

/** What a program printed that was only asked for information. */
export interface Output {
  readonly code: number;
  readonly text: string;
}

const MAX_OUTPUT = 4_194_304;

/**
 * Runs a program that only reports something. Undefined if it is not installed or cannot be started, has not ended in
 * `timeoutMs`, or prints more than 4 MiB.
 */
export async function runQuery(
  program: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<Output | undefined> {
  const options = { path: LOCAL_PATH, timeoutMs, maxBytes: MAX_OUTPUT };
  const result = await runCommand(program, args, options).catch(() => undefined);
  return result?.kind === 'exited' ? { code: result.code, text: result.stdout } : undefined;
}

/** The same where the program prints JSON; undefined also if its exit code is not 0 or what it prints is not JSON. */
export async function queryJson(
  program: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<unknown> {
  const output = await runQuery(program, args, timeoutMs);
  if (output === undefined || output.code !== 0) return undefined;
  try {
    return JSON.parse(output.text);
  } catch {
    return undefined;
  }
}
