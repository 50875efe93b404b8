import { spawn } from 'node:child_process';
import { Failure } from '../../protocol/failure.ts';

/** How a program that speaks to the kernel for us ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  /** The first line of what it complained about, for people; never looked at by the program. */
  readonly complaint: string;
}

/** The two programs, and what is said when one is not there. */
const PROGRAMS = { ip: 'iproute2', nft: 'nftables' } as const;

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
 * Runs `ip` or `nft` to its end, with an empty environment and nothing to read. One that hangs is killed.
 * @throws Failure `os.no-iproute`, `os.no-nftables`, `os.command-hangs`
 */
export function runCommand(program: keyof typeof PROGRAMS, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    let timer: NodeJS.Timeout | undefined;
    const limit = (): void => {
      clearTimeout(timer);
      const ms = patienceMs;
      timer = setTimeout(() => {
        end();
        child.kill('SIGKILL');
        // Not even that ends one that waits inside the kernel: it is left behind.
        child.unref();
        child.stdout.destroy();
        child.stderr.destroy();
        reject(hangs(program, args, ms));
      }, ms);
    };
    const end = (): void => {
      clearTimeout(timer);
      running.delete(limit);
    };
    running.add(limit);
    limit();
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      end();
      reject(cannotStart(program, error));
    });
    child.on('close', (code) => {
      end();
      resolve({ code: code ?? -1, stdout, complaint: stderr.trim().split('\n')[0] ?? '' });
    });
  });
}

function hangs(program: keyof typeof PROGRAMS, args: readonly string[], ms: number): Failure {
  const what = `${program} ${args.join(' ').slice(0, 60)}`;
  return new Failure('os.command-hangs', 'retry', `"${what}" has not ended within ${ms / 1_000} s`, {
    action: `Run "${program}" by hand: it waits for a lock of another program, or the kernel does not answer it.`,
  });
}

/** Not there, not executable, or no process to be had. */
function cannotStart(program: keyof typeof PROGRAMS, error: NodeJS.ErrnoException): Failure {
  if (error.code === 'ENOENT' || error.code === 'EACCES') return notInstalled(program, error);
  return refusal(program, 'cannot be started', error.code ?? error.message);
}

function notInstalled(program: keyof typeof PROGRAMS, cause: unknown): Failure {
  const message = `the program "${program}" is not installed, or may not be run`;
  const options = { action: `Install the package ${PROGRAMS[program]}.`, cause };
  return program === 'ip'
    ? new Failure('os.no-iproute', 'operator', message, options)
    : new Failure('os.no-nftables', 'operator', message, options);
}

/** What a refusal means. @returns Failure `os.not-permitted`, `os.ip-failed`, `os.nft-failed` */
export function refusal(program: keyof typeof PROGRAMS, what: string, complaint: string): Failure {
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
