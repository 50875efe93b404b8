import { chmod, mkdir, rm } from 'node:fs/promises';
import type { IncomingMessage, Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { createServer, request as httpRequest } from './http.ts';

/**
 * HTTP with JSON bodies over a unix socket: how a command line talks to its running program. Every process that may
 * write to the socket (mode 0660) may send requests; there is no other authentication.
 */

/** A request; `path` without a query. */
export interface Question {
  readonly method: string;
  readonly path: string;
  readonly query?: URLSearchParams;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignal;
}

/** A request as it is sent, with a JSON value as its body. */
export interface Sent extends Question {
  readonly body?: unknown;
}

/** A request as it was received. */
export interface Received extends Question {
  readonly query: URLSearchParams;
  /** Reads the body, at most 64 KiB unless the server takes longer ones. @throws Failure `control.bad-question` */
  json(): Promise<unknown>;
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

/** A JSON value that is sent part by part, the next one when the reader has taken those before. */
export class JsonParts {
  readonly parts: AsyncIterable<string>;

  constructor(parts: AsyncIterable<string>) {
    this.parts = parts;
  }
}

/** Answers a request with a JSON value, in parts or whole, or a TextAnswer; undefined becomes a 404. A thrown Failure becomes a 500 with its code. */
export type Answerer = (question: Received) => unknown;

export interface Control {
  /** Accepts no more requests, and waits up to `graceMs` (0 unless given) for those under way to be answered. */
  close(graceMs?: number): Promise<void>;
}

const TIMEOUT_MS = 5_000;
const LONGEST_ANSWER = 4_194_304;
const LONGEST_QUESTION = 65_536;

/** An answer with another status than 200. */
export class StatusError extends Error {
  readonly status: number;

  constructor(status: number, body: string) {
    super(`${status}: ${body.slice(0, 200)}`);
    this.status = status;
  }
}

/** What the kernel takes as the path of a Unix socket, in bytes (unix(7)); a longer one would be cut without a word. */
const LONGEST_PATH = 107;

const isTooLong = (path: string): boolean => Buffer.byteLength(path) > LONGEST_PATH;

/**
 * Listens on `path`, making its folder if it is missing. A socket that a killed program has left behind is
 * replaced. `longest`: bytes of a body. @throws Failure `control.in-use`, `control.cannot-listen`, `control.path-too-long`
 */
export async function serveControl(
  path: string,
  answer: Answerer,
  longest = LONGEST_QUESTION,
): Promise<Control> {
  if (isTooLong(path)) {
    throw new Failure(
      'control.path-too-long',
      'operator',
      `the path of a socket has at most ${LONGEST_PATH} bytes, ${path} is longer`,
      { action: 'Use a folder with a shorter path (agent: control.socket; fabric: --data).' },
    );
  }
  if (await isAnswered(path)) {
    throw new Failure('control.in-use', 'operator', `another program already answers on ${path}`, {
      action: 'Stop it first, or give this one a socket of its own (agent: control.socket; fabric: --data).',
    });
  }
  const server = httpServer(answer, longest);
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
  return { close: (graceMs) => closed(server, graceMs) };
}

/** Where to listen on loopback. */
export interface Loopback {
  readonly host: string;
  readonly port: number;
}

/**
 * Answers on a TCP port of this machine, to every program on it: only for what everyone may read.
 * @throws Failure `control.cannot-listen`
 */
export async function serveLoopback({ host, port }: Loopback, answer: Answerer): Promise<Control & Loopback> {
  const server = httpServer(answer, LONGEST_QUESTION);
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
  return { host, port: bound, close: (graceMs) => closed(server, graceMs) };
}

const closed = (server: Server, graceMs = 0): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    // Removes a unix socket, too.
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    if (graceMs === 0) server.closeAllConnections();
    else server.closeIdleConnections();
  });

function httpServer(answer: Answerer, longest: number): Server {
  const server = createServer(
    {
      // Node looks at its own deadlines every half minute only; ours are those of `boundConnections`.
      headersTimeout: TIMEOUT_MS,
      requestTimeout: TIMEOUT_MS,
      maxHeaderSize: 8_192,
      keepAliveTimeout: 1,
    },
    (request, response) => {
      if (!connections.asks(request.socket)) return;
      const begin = (status: number, type: string): void => {
        connections.answers(request.socket);
        response.writeHead(status, { 'content-type': type, connection: 'close' });
      };
      const send = (status: number, type: string, text: string): void => {
        begin(status, type);
        response.end(text);
      };
      const sendParts = async ({ parts }: JsonParts): Promise<void> => {
        begin(200, 'application/json');
        // Each part has the deadline of an answer.
        await pipeline(
          parts,
          eachPart(() => connections.answers(request.socket)),
          response,
        );
      };
      const reply = (status: number, body: unknown): void =>
        send(status, 'application/json', `${JSON.stringify(body)}\n`);
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const [path = '/', ...rest] = (request.url ?? '/').split('?');
      const query = new URLSearchParams(rest.join('?'));
      const method = request.method ?? 'GET';
      const question = {
        method,
        path,
        query,
        signal: gone.signal,
        json: () => connections.reading(request.socket, readJson(request, longest)),
      };
      Promise.resolve(question)
        .then(answer)
        .finally(() => request.resume())
        .then((value) => {
          if (value === undefined) reply(404, { error: { code: 'control.no-such-path', message: path } });
          else if (value instanceof TextAnswer) send(200, value.type, value.text);
          else if (value instanceof JsonParts) return sendParts(value);
          else reply(200, value);
        })
        .catch((error: unknown) => {
          const { code, message } = isFailure(error) ? error : { code: 'internal', message: String(error) };
          if (!response.headersSent) reply(500, { error: { code, message } });
        });
    },
  );
  server.maxHeadersCount = 32;
  const connections = boundConnections(server, 2 * longest);
  return server;
}

/** Passes text on, part by part, and calls `taken` whenever the reader has room for the next one. */
function eachPart(taken: () => void) {
  return async function* (parts: AsyncIterable<string>): AsyncGenerator<string> {
    for await (const part of parts) {
      taken();
      yield part;
    }
  };
}

/** What the connections of one server may take together: whoever is on this machine may make as many as it likes. */
const MOST_CONNECTIONS = 32;

interface Connections {
  /** A request has arrived whole. False if the connection has had one already, and is cut. */
  asks(socket: Socket): boolean;
  /** The body of the request is being read, which has a deadline, too. */
  reading<T>(socket: Socket, body: Promise<T>): Promise<T>;
  /** The answer is about to be sent. */
  answers(socket: Socket): void;
}

/**
 * Each connection has one request, and a deadline for sending it and another for taking the answer; there is none while the answer is
 * being made. When there are too many, the oldest goes that is not waiting for its answer, else the oldest of all. `longest`: bytes of a request,
 * headers and body; one that is only somewhat too long still gets its answer.
 */
function boundConnections(server: Server, longest: number): Connections {
  interface Open {
    waiting: boolean;
    asked: boolean;
    timer: NodeJS.Timeout | undefined;
  }
  const open = new Map<Socket, Open>();

  const limit = (socket: Socket, connection: Open): void => {
    clearTimeout(connection.timer);
    connection.timer = setTimeout(() => socket.destroy(), TIMEOUT_MS);
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
      if (socket.bytesRead > longest) socket.destroy();
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
    async reading(socket, body) {
      const connection = open.get(socket);
      if (connection === undefined) return body;
      limit(socket, connection);
      try {
        return await body;
      } finally {
        clearTimeout(connection.timer);
      }
    },
    answers(socket) {
      const connection = open.get(socket);
      if (connection === undefined) return;
      connection.waiting = false;
      limit(socket, connection);
    },
  };
}

async function readJson(request: IncomingMessage, longest: number): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // The answer to one that is too long still has to leave through the same socket.
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > longest) throw badQuestion(`is longer than ${longest} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw isFailure(error) ? error : badQuestion('did not arrive whole', error);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (error) {
    throw badQuestion('is not JSON', error);
  }
}

function badQuestion(what: string, cause?: unknown): Failure {
  return new Failure('control.bad-question', 'operator', `the body of the request ${what}`, {
    action: 'Use the command line of the same version.',
    cause,
  });
}

/**
 * Asks the program listening on `path`, and waits for at most `timeoutMs` while nothing arrives. @returns the JSON of
 * the answer
 * @throws Failure `control.nobody`, `control.not-permitted`, `control.bad-answer`; the cause of the last one is a
 *   StatusError if the program answered with another status than 200
 */
export async function askControl(path: string, question: Sent, timeoutMs = TIMEOUT_MS): Promise<unknown> {
  if (isTooLong(path)) {
    throw new Failure('control.nobody', 'operator', `no program can listen on ${path}: the path is too long`);
  }
  const body = question.body === undefined ? undefined : JSON.stringify(question.body);
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const text = await new Promise<string>((resolve, reject) => {
    const request = httpRequest(
      { socketPath: path, method: question.method, path: question.path, timeout: timeoutMs, headers },
      (response) => {
        let answer = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          answer += chunk;
          if (answer.length > LONGEST_ANSWER) request.destroy(new Error('the answer is too long'));
        });
        response.on('end', () =>
          response.statusCode === 200
            ? resolve(answer)
            : reject(new StatusError(response.statusCode ?? 0, answer)),
        );
        response.on('error', reject);
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    request.on('error', reject);
    request.end(body);
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
    return new Failure('control.nobody', 'operator', `no program listens on ${path}`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new Failure('control.not-permitted', 'operator', `no permission to use ${path}`, {
      action: 'Run as root or as a member of the group that owns the socket.',
      cause: error,
    });
  }
  return new Failure('control.bad-answer', 'operator', `no usable answer on ${path}: ${message}`, {
    action: 'Check that this is the control socket of the program you mean, and that it is not hanging.',
    cause: error,
  });
}

/** True if a program listens on `path`, even one that does not answer. */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const done = (alive: boolean): void => {
      probe.destroy();
      resolve(alive);
    };
    probe.setTimeout(TIMEOUT_MS, () => done(true)); // it accepts nothing, but the socket is in use
    probe.on('connect', () => done(true));
    probe.on('error', (error: NodeJS.ErrnoException) => done(error.code === 'EAGAIN'));
  });
}
