import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { onTestFinished } from 'vitest';
import type { Server } from '../server.ts';

/**
 * How a way to a server is: it passes all, nothing, or so many statements of each connection before that is cut; or it loses the next COMMIT, or what is
 * answered to it (way.mjs). `to`: connections that are made from now on lead to the server with that socket.
 */
type State =
  | { readonly state: 'open'; readonly to?: string }
  | { readonly state: 'silent' | 'kerberos' }
  | { readonly state: 'cut'; readonly left: number; readonly drop: true }
  | { readonly state: 'unsent' | 'unanswered'; readonly next: 'open' | 'cut' };

/** Where a server listens. */
export const socketOf = (server: Server): string => join(server.folder, '.s.PGSQL.5432');

/** A way to a server that can be told to fail. */
export async function wayTo(server: Server) {
  const worker = new Worker(new URL('way.mjs', import.meta.url), { workerData: socketOf(server) });
  onTestFinished(async () => void (await worker.terminate()));
  const [port] = (await once(worker, 'message')) as [number];
  return {
    url: (database: string) => `postgres://enf@127.0.0.1:${port}/${database}`,
    async be(state: State) {
      worker.postMessage(state);
      await once(worker, 'message');
    },
  };
}
