import { execFile } from 'node:child_process';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Failure } from '../../protocol/failure.ts';

const SOURCES = fileURLToPath(
  new URL(import.meta.url.endsWith('.mjs') ? '../test/bench/' : '.', import.meta.url),
);
const FLAGS = ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror'];
const execute = promisify(execFile);

/**
 * Compiles a C program of the benchmarks, `tunnel/wan` for test/bench/tunnel/wan.c, into a folder and returns its path.
 * @throws Failure `bench.no-compiler`
 */
export async function compile(
  name: string,
  folder: string,
  libraries: readonly string[] = [],
): Promise<string> {
  const program = join(folder, basename(name));
  try {
    await execute('gcc', [...FLAGS, '-o', program, join(SOURCES, `${name}.c`), ...libraries]);
  } catch (cause) {
    throw new Failure('bench.no-compiler', 'operator', `cannot compile ${name}.c: ${String(cause)}`, {
      action: 'Install gcc, libc6-dev and libssl-dev.',
      cause,
    });
  }
  return program;
}
