import { createRequire } from 'node:module';

/**
 * node:http, required instead of imported: an import reads all its properties, and in Node 22 one of them (WebSocket) brings
 * up a parser in WebAssembly, which the service does not support (--jitless): the unhandled rejection would end it.
 */
export const { createServer, request, STATUS_CODES } = createRequire(import.meta.url)(
  'node:http',
) as typeof import('node:http');
