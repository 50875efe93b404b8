import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './child.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const FLAGS = ['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE'];
const PREFIX = dirname(dirname(process.execPath));
const INCLUDE = [join(PREFIX, 'include/node'), '/usr/include/node'].find((each) => existsSync(each))!;

/** CC compiles, and RUNNER runs what it makes, for another processor: programs with their first words, e.g. "qemu-arm-static -L ROOT". */
const [COMPILER, ...COMPILING] = (process.env.CC ?? 'gcc').split(' ');
const RUNNER = (process.env.RUNNER ?? 'setarch -R').split(' ');

/** Compiles `test/native/NAME.c` with those `parts` of the addon under a sanitizer (none: '') and runs it with these words; what became of it. */
export async function runParts(
  name: string,
  parts: readonly string[],
  sanitizer: string,
  libraries: readonly string[] = [],
  words: readonly string[] = [],
) {
  const folder = mkdtempSync(join(tmpdir(), 'enf-parts-'));
  const program = join(folder, basename(name));
  const sources = [here(`${name}.c`), ...parts.map((part) => here(`../../native/${part}.c`))];
  const flags = [
    ...FLAGS,
    '-iquote',
    here('../../native'),
    `-I${INCLUDE}`,
    ...(sanitizer === '' ? [] : [`-fsanitize=${sanitizer}`]),
  ];
  try {
    execFileSync(COMPILER!, [...COMPILING, ...flags, ...sources, ...libraries, '-lpthread', '-o', program], {
      env: { ...process.env, LD_PRELOAD: '' },
    });
    // Without address randomisation: older ThreadSanitizers do not find their memory otherwise.
    return await run('env', '-u', 'LD_PRELOAD', ...RUNNER, program, ...words);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
