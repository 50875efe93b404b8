import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('./packetpair.c', import.meta.url));
const BUILT = fileURLToPath(new URL('../../.cache/packetpair.node', import.meta.url));

/**
 * Two connected descriptors that keep packets apart as a TUN does: what is written to one is read from the other, whole. Both are
 * non-blocking and the caller's.
 */
export function packetPair(): [number, number] {
  if (!existsSync(BUILT) || statSync(BUILT).mtimeMs < statSync(SOURCE).mtimeMs) build();
  return (createRequire(import.meta.url)(BUILT) as { packetPair(): [number, number] }).packetPair();
}

function build(): void {
  const prefix = dirname(dirname(process.execPath));
  const include = [join(prefix, 'include/node'), '/usr/include/node'].find((folder) => existsSync(folder));
  if (include === undefined) throw new Error('node_api.h not found');
  mkdirSync(dirname(BUILT), { recursive: true });
  const fresh = `${BUILT}.${process.pid}`;
  execFileSync(process.env.CC ?? 'gcc', [
    '-shared',
    '-fPIC',
    '-D_GNU_SOURCE',
    `-I${include}`,
    SOURCE,
    '-o',
    fresh,
  ]);
  renameSync(fresh, BUILT);
}
