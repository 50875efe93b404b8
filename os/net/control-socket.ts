import { chmod, mkdir, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { createServer, request as httpRequest } from './http.ts';

/**
 * HTTP with JSON bodies over a unix socket: how a command line talks to its running program. Whoever may write to
 * the socket (mode 0660) may ask; there is no other authentication.
 */

/** What is asked; `path` without a query. */
export interface Question {
  readonly method: string;
  readonly path: string;
  readonly query?: URLSearchParams;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignal;
}

/** An answer that is not JSON. */
export class TextAnswer {
  readonly type: string;
  readonly text: string;

  constructor(type: string, text: string) {
    this.type = type;
    this.text = text;
  }
}

/** Answers a question with a JSON value or a TextAnswer, or undefined: 404. A thrown Failure becomes a 500 with its code. */
export type Answerer = (question: Question) => unknown;

export interface Control {
  close(): Promise<void>;
}

const PATIENCE_MS = 5_000;
const LONGEST_ANSWER = 4_194_304;

/**
 * Listens on `path`, making its folder if it is missing. A socket nobody listens on any more (the program was
 * killed) is replaced. @throws Failure `control.in-use`, `control.cannot-listen`
 */
export async function serveControl(path: string, answer: Answerer): Promise<Control> {
  if (await isAlive(path)) {
    throw new Failure('control.in-use', 'operator', `another program already answers on ${path}`, {
      action: 'Stop it first, or give this one its own control.socket.',
    });
  }
  const server = httpServer(answer);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    await chmod(path, 0o660);
  } catch (error) {
    server.close();
    throw new Failure(
      'control.cannot-listen',
      'operator',
      `cannot listen on ${path}: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`,
      { action: `Check that ${dirname(path)} can be made and written by this user.`, cause: error },
    );
  }
  return { close: () => closed(server) };
}

/** Where to listen on loopback. */
export interface Loopback {
  readonly host: string;
  readonly port: number;
}

/**
 * Answers on a TCP port of this machine, to whoever is on it. Only for what anybody may know.
 * @throws Failure `control.cannot-listen`
 */
export async function serveLoopback({ host, port }: Loopback, answer: Answerer): Promise<Control & Loopback> {
  const server = httpServer(answer);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  }).catch((error: NodeJS.ErrnoException) => {
    throw new Failure(
      'control.cannot-listen',
      'operator',
      `cannot listen on ${host} port ${port}: ${error.code ?? 'unknown'}`,
      { action: 'Choose a free port above 1023.', cause: error },
    );
  });
  const { port: bound } = server.address() as AddressInfo;
  return { host, port: bound, close: () => closed(server) };
}

const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve()); // removes a unix socket, too
    server.closeAllConnections();
  });

function httpServer(answer: Answerer): Server {
  const server = createServer(
    {
      // Node looks at its own deadlines every half minute only; ours are those of `boundConnections`.
      headersTimeout: PATIENCE_MS,
      requestTimeout: PATIENCE_MS,
      maxHeaderSize: 8_192,
      keepAliveTimeout: 1,
    },
    (request, response) => {
      if (!connections.asks(request.socket)) return;
      const send = (status: number, type: string, text: string): void => {
        connections.answers(request.socket);
        response.writeHead(status, { 'content-type': type, connection: 'close' });
        response.end(text);
      };
      const reply = (status: number, body: unknown): void =>
        send(status, 'application/json', `${JSON.stringify(body)}\n`);
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      request.resume();
      const [path = '/', ...rest] = (request.url ?? '/').split('?');
      const query = new URLSearchParams(rest.join('?'));
      Promise.resolve({ method: request.method ?? 'GET', path, query, signal: gone.signal })
        .then(answer)
        .then((value) => {
          if (value === undefined) reply(404, { error: { code: 'control.no-such-path', message: path } });
          else if (value instanceof TextAnswer) send(200, value.type, value.text);
          else reply(200, value);
        })
        .catch((error: unknown) => {
          const { code, message } = isFailure(error) ? error : { code: 'internal', message: String(error) };
          if (!response.headersSent) reply(500, { error: { code, message } });
        });
    },
  );
  server.maxHeadersCount = 32;
  const connections = boundConnections(server);
  return server;
}

/** What the connections of one server may take together: whoever is on this machine may make as many as it likes. */
const MOST_CONNECTIONS = 32;
/** Of a request, headers and body: no question has a body of any length. */
const LONGEST_REQUEST = 16_384;

interface Connections {
  /** A request has arrived whole. False if the connection has had one already, and is cut. */
  asks(socket: Socket): boolean;
  /** The answer is about to be sent. */
  answers(socket: Socket): void;
}

/**
 * Each connection has one request, and a deadline for sending it and another for taking the answer; there is none while the answer is
 * being made. When there are too many, the oldest goes that is not waiting for its answer, else the oldest of all.
 */
function boundConnections(server: Server): Connections {
  interface Open {
    waiting: boolean;
    asked: boolean;
    timer: NodeJS.Timeout | undefined;
  }
  const open = new Map<Socket, Open>();

  const limit = (socket: Socket, connection: Open): void => {
    clearTimeout(connection.timer);
    connection.timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
  };
  const makeRoom = (): void => {
    if (open.size <= MOST_CONNECTIONS) return;
    const idle = [...open].find(([, { waiting }]) => !waiting);
    (idle ?? [...open][0]!)[0].destroy();
  };
  server.on('connection', (socket: Socket) => {
    const connection: Open = { waiting: false, asked: false, timer: undefined };
    open.set(socket, connection);
    limit(socket, connection);
    socket.on('data', () => {
      if (socket.bytesRead > LONGEST_REQUEST) socket.destroy();
    });
    socket.once('close', () => {
      clearTimeout(connection.timer);
      open.delete(socket);
    });
    makeRoom();
  });
  return {
    asks(socket) {
      const connection = open.get(socket);
      if (connection === undefined || connection.asked) {
        socket.destroy();
        return false;
      }
      connection.asked = true;
      connection.waiting = true;
      clearTimeout(connection.timer);
      return true;
    },
    answers(socket) {
      const connection = open.get(socket);
      if (connection === undefined) return;
      connection.waiting = false;
      limit(socket, connection);
    },
  };
}

/**
 * Asks the program listening on `path`. @returns the JSON of the answer
 * `patienceMs` is how long it may be silent. @throws Failure `control.nobody`, `control.not-permitted`, `control.bad-answer`
 */
export async function askControl(
  path: string,
  question: Pick<Question, 'method' | 'path'>,
  patienceMs = PATIENCE_MS,
): Promise<unknown> {
  const text = await new Promise<string>((resolve, reject) => {
    const request = httpRequest(
      { socketPath: path, method: question.method, path: question.path, timeout: patienceMs },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
          if (body.length > LONGEST_ANSWER) request.destroy(new Error('the answer is too long'));
        });
        response.on('end', () =>
          response.statusCode === 200
            ? resolve(body)
            : reject(new Error(`${response.statusCode}: ${body.slice(0, 200)}`)),
        );
        response.on('error', reject);
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer within ${patienceMs} ms`)));
    request.on('error', reject);
    request.end();
  }).catch((error: unknown) => {
    throw askFailure(path, error);
  });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw askFailure(path, error);
  }
}

function askFailure(path: string, error: unknown): Failure {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK' || code === 'ENOTDIR') {
    return new Failure('control.nobody', 'operator', `nobody listens on ${path}`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new Failure('control.not-permitted', 'operator', `no permission to ask on ${path}`, {
      action: 'Run as root or as a member of the group that owns the socket.',
      cause: error,
    });
  }
  return new Failure('control.bad-answer', 'operator', `no usable answer on ${path}: ${message}`, {
    action: 'Check that this is the control socket of the program you mean, and that it is not hanging.',
    cause: error,
  });
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const done = (alive: boolean): void => {
      probe.destroy();
      resolve(alive);
    };
    probe.setTimeout(PATIENCE_MS, () => done(true)); // it took the connection queue but hangs: still somebody's
    probe.on('connect', () => done(true));
    probe.on('error', (error: NodeJS.ErrnoException) => done(error.code === 'EAGAIN'));
  });
}
