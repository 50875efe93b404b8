import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../../protocol/failure.ts';
import type { Stage } from './stage.ts';

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

/** Compiles them into the stage's folder. @throws Failure `bench.no-compiler` */
export async function compileTools(stage: Stage): Promise<Tools> {
  const folder = join(stage.folder, 'tools');
  mkdirSync(folder);
  const compile = async (name: string, ...libraries: readonly string[]): Promise<string> => {
    const program = join(folder, name);
    try {
      const source = join(SOURCES, `${name}.c`);
      await stage.run(undefined, ['gcc', ...FLAGS, '-o', program, source, ...libraries]);
    } catch (cause) {
      throw new Failure('bench.no-compiler', 'operator', `cannot compile ${name}.c: ${String(cause)}`, {
        action: 'Install gcc, libc6-dev and libssl-dev.',
        cause,
      });
    }
    return program;
  };
  const [bulk, blast, echo, wan, tlsbulk] = await Promise.all([
    compile('bulk'),
    compile('blast'),
    compile('echo'),
    compile('wan'),
    compile('tlsbulk', '-lssl', '-lcrypto'),
  ]);
  return { bulk, blast, echo, wan, tlsbulk };
}
