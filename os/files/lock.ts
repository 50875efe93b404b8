import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Who holds or waits for a lock in this process: they take turns without asking the kernel. */
const turns = new Map<string, Promise<unknown>>();
const PAUSE_MS = { least: 2, most: 20 };

/**
 * Does `work` while no other program of this host does work under the same `path`; undefined if it is not this caller's turn within
 * `waitMs`. Symbolic links lead to one lock. The kernel takes the lock back when a program ends, however it ends: it is a name of an abstract socket,
 * so it is one of the host's (more exactly: of its network namespace), and leaves no file.
 */
export async function withLock<T>(
  path: string,
  waitMs: number,
  work: () => Promise<T>,
): Promise<{ readonly result: T } | undefined> {
  const name = lockName(await realPathOf(path));
  const before = turns.get(name) ?? Promise.resolve();
  const turn = before.then(() => holding(name, waitMs, work));
  const settled = turn.catch(() => {});
  turns.set(name, settled);
  void settled.then(() => {
    if (turns.get(name) === settled) turns.delete(name);
  });
  return turn;
}

const lockName = (path: string): string =>
  `\0enf-${createHash('sha256').update(path).digest('hex').slice(0, 40)}`;

/** The path without links, also of what is not there yet. */
async function realPathOf(path: string): Promise<string> {
  const whole = resolve(path);
  try {
    return await realpath(whole);
  } catch {
    const folder = await realpath(dirname(whole)).catch(() => dirname(whole));
    return join(folder, basename(whole));
  }
}

async function holding<T>(
  name: string,
  waitMs: number,
  work: () => Promise<T>,
): Promise<{ readonly result: T } | undefined> {
  const deadline = performance.now() + waitMs;
  let lock = await take(name);
  while (lock === undefined) {
    if (performance.now() >= deadline) return undefined;
    await sleep(PAUSE_MS.least + Math.random() * (PAUSE_MS.most - PAUSE_MS.least));
    lock = await take(name);
  }
  try {
    return { result: await work() };
  } finally {
    await new Promise((closed) => lock.close(closed));
  }
}

function take(name: string): Promise<Server | undefined> {
  return new Promise((settle, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') settle(undefined);
      else reject(error);
    });
    server.listen(name, () => settle(server));
  });
}
