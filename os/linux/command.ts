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

/**
 * Runs `ip` or `nft` to its end, with an empty environment and nothing to read.
 * @throws Failure `os.no-iproute`, `os.no-nftables`
 */
export function runCommand(program: keyof typeof PROGRAMS, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? notInstalled(program, error) : error);
    });
    child.on('close', (code) => {
      resolve({ code: code ?? -1, stdout, complaint: stderr.trim().split('\n')[0] ?? '' });
    });
  });
}

function notInstalled(program: keyof typeof PROGRAMS, cause: unknown): Failure {
  const message = `the program "${program}" is not installed`;
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
