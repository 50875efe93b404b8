import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { STATUS_CODES } from './http.ts';

/**
 * What is wrong with a request that no handler of an HTTP server gets: it is no HTTP, has no end of headers, comes too slowly, expects what is not done, or
 * wants a tunnel (CONNECT).
 */
export type Broken = 'malformed' | 'headers-too-large' | 'too-slow' | 'expectation' | 'connect';

/** An answer that is known whole. */
export interface WholeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** How long whoever has been answered may go on sending: closing at once would make its kernel throw the answer away unread. */
export const LINGER_MS = 2_000;

/** Answers such requests in place of node, which says nothing in them. */
export interface BrokenRequests {
  /** For `clientError`. */
  clientError(error: NodeJS.ErrnoException, socket: Duplex): void;
  /** Attaches the others, after the handlers of the server. */
  watch(server: Server): void;
}

export function brokenRequests(answer: (what: Broken) => WholeAnswer): BrokenRequests {
  /** The answer that is under way on a connection, and connections that have got their last. */
  const answers = new WeakMap<Duplex, ServerResponse>();
  const over = new WeakSet<Duplex>();

  function end(socket: Duplex, what: Broken): void {
    if (over.has(socket)) return;
    over.add(socket);
    if (answers.get(socket)?.headersSent || !socket.writable) return void socket.destroy();
    socket.on('error', () => {});
    socket.end(textOf(answer(what)));
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('end', () => socket.destroy()).once('close', () => clearTimeout(timer));
    socket.resume();
  }

  function answering({ socket }: IncomingMessage, response: ServerResponse): void {
    answers.set(socket, response);
    response.once('close', () => {
      if (answers.get(socket) === response) answers.delete(socket);
    });
  }

  return {
    clientError(error, socket) {
      const what = brokenOf(error);
      // A connection that is gone, or was never one of TLS.
      if (what === undefined) socket.destroy();
      else end(socket, what);
    },
    watch(server) {
      for (const event of ['request', 'checkContinue'])
        if (server.listenerCount(event) > 0) server.prependListener(event, answering);
      server.on('checkExpectation', (_incoming: IncomingMessage, response: ServerResponse) => {
        const { status, headers, body } = answer('expectation');
        const length = Buffer.byteLength(body);
        response.writeHead(status, { ...headers, 'content-length': length, connection: 'close' }).end(body);
      });
      server.on('connect', (_incoming: IncomingMessage, socket: Duplex) => end(socket, 'connect'));
    },
  };
}

function brokenOf({ code = '' }: NodeJS.ErrnoException): Broken | undefined {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'too-slow';
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers-too-large';
  return code.startsWith('HPE_') ? 'malformed' : undefined;
}

function textOf({ status, headers, body }: WholeAnswer): string {
  const all = { ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`;
}
