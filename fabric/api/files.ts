import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** Name with the hash of the content, as esbuild makes it: what it names never changes. */
const HASHED = /-[A-Z2-7]{8}\.\w+$/;

/** Serves the files that are in the folder now, each at its name, and `index.html` at `/`; none if there is no such folder. */
export async function addFiles(app: FastifyInstance, folder: string | undefined): Promise<void> {
  if (folder === undefined || !existsSync(join(folder, 'index.html'))) return;
  await app.register(fastifyStatic, {
    root: folder,
    wildcard: false,
    decorateReply: false,
    cacheControl: false,
    preCompressed: true,
    setHeaders(response, path) {
      response.setHeader('cache-control', cacheOf(path.replace(/\.(?:br|gz)$/, '')));
    },
  });
}

function cacheOf(path: string): string {
  if (path.endsWith('.html')) return 'no-store';
  return HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache';
}
