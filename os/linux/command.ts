import { spawn } from 'node:child_process';
import { Failure } from '../../protocol/failure.ts';

export interface CommandOptions {
  /** Folders that are searched for the program; default `SYSTEM_PATH`. */
  readonly path?: string;
  /** The program is killed (SIGKILL) when it has not ended after this time; default: no deadline. */
  readonly timeoutMs?: number;
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
  { path = SYSTEM_PATH, timeoutMs, maxBytes = Number.POSITIVE_INFINITY }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: path, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // A grandchild that inherited the pipes must not keep us waiting.
    const kill = (): void => {
      child.kill('SIGKILL');
      child.stdout.destroy();
      child.stderr.destroy();
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
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      if (cause.code === 'ENOENT') resolve({ kind: 'not-installed', cause });
      else reject(cause);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
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

/** Runs `ip` or `nft`. @throws Failure `os.no-iproute`, `os.no-nftables` */
export async function runNetworkProgram(
  program: NetworkProgram,
  args: readonly string[],
): Promise<NetworkResult> {
  const result = await runCommand(program, args);
  if (result.kind === 'not-installed') throw notInstalled(program, result.cause);
  const { stdout, stderr } = result;
  const complaint = stderr.trim().split('\n')[0] ?? '';
  return { code: result.kind === 'exited' ? result.code : -1, stdout, complaint };
}

function notInstalled(program: NetworkProgram, cause: unknown): Failure {
  const message = `the program "${program}" is not installed`;
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
