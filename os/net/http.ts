import { createRequire } from 'node:module';

/**
 * node:http, required instead of imported: an import reads all its properties, and in Node 22 one of them (WebSocket) brings
 * up a parser in WebAssembly, which the service does not have (--jitless): a rejection that nobody handles ends it.
 */
export const { createServer, request } = createRequire(import.meta.url)(
  'node:http',
) as typeof import('node:http');
