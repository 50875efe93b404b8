import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Failure } from '../../../protocol/failure.ts';

/** The C programs beside this file: traffic, echo, WAN emulator, TLS bulk. */
export interface Tools {
  readonly bulk: string;
  readonly blast: string;
  readonly echo: string;
  readonly wan: string;
  readonly tlsbulk: string;
}

const SOURCES = fileURLToPath(
  new URL(import.meta.url.endsWith('.mjs') ? '../test/bench/tunnel/' : '.', import.meta.url),
);
const FLAGS = ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror'];
const LIBRARIES: Partial<Record<Name, readonly string[]>> = { tlsbulk: ['-lssl', '-lcrypto'] };
const execute = promisify(execFile);

/** One of them, or the steady flow of the soak. */
type Name = keyof Tools | 'trickle';

/** Compiles one of them into a folder and returns its path. @throws Failure `bench.no-compiler` */
export async function compileTool(name: Name, folder: string): Promise<string> {
  const program = join(folder, name);
  try {
    const source = join(SOURCES, `${name}.c`);
    await execute('gcc', [...FLAGS, '-o', program, source, ...(LIBRARIES[name] ?? [])]);
  } catch (cause) {
    throw new Failure('bench.no-compiler', 'operator', `cannot compile ${name}.c: ${String(cause)}`, {
      action: 'Install gcc, libc6-dev and libssl-dev.',
      cause,
    });
  }
  return program;
}

/** Compiles all into a folder. @throws Failure `bench.no-compiler` */
export async function compileTools(folder: string): Promise<Tools> {
  const compile = (name: keyof Tools): Promise<string> => compileTool(name, folder);
  const [bulk, blast, echo, wan, tlsbulk] = await Promise.all([
    compile('bulk'),
    compile('blast'),
    compile('echo'),
    compile('wan'),
    compile('tlsbulk'),
  ]);
  return { bulk, blast, echo, wan, tlsbulk };
}
