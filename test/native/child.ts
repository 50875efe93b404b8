import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The addon under test: the sanitizer build sets ENF_ADDON. */
export const ADDON = process.env.ENF_ADDON ?? fileURLToPath(new URL('../../dist/enf.node', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs CommonJS source in a node of its own, where `addon` is the addon and `argv` the arguments. */
export function runChild(source: string, ...argv: readonly string[]): Promise<Outcome> {
  const prologue = `const addon = require(${JSON.stringify(ADDON)}); const argv = ${JSON.stringify(argv)};`;
  return run(process.execPath, '--expose-gc', '-e', `${prologue}\n${source}`);
}

/** Runs a program to its end. */
export function run(program: string, ...argv: readonly string[]): Promise<Outcome> {
  return outcome(spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** What a started child ends with; for pipes as stdout and perhaps stderr. */
export function outcome(child: ChildProcess): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** How many descriptors this process has open; a few come and go with other tests' sockets. */
export function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
