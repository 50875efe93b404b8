import type { Server } from 'node:net';
import { createServer } from 'node:net';
import type { Acceptor, AcceptorEvent, AcceptorOptions } from '../../os/net/acceptor.ts';
import { peerAddress } from '../../os/net/peer.ts';
import { concat } from '../../protocol/bytes.ts';
import {
  type Connection,
  type ConnectionTable,
  connectionTable,
  type Phase,
  refuse,
} from './portable-connections.ts';

const HEADER_LENGTH = 4;
const NOTHING = new Uint8Array(0);

/**
 * An acceptor on `node:net`, for builds without the addon: the same behaviour, some kilobytes for each connection. Returns
 * the server, which is still to be bound.
 */
export function portableAcceptor(options: AcceptorOptions): {
  readonly server: Server;
  readonly acceptor: Acceptor;
} {
  const connections = connectionTable(options);
  const exchange = exchanges(connections, options);
  // Half-open: a peer that has sent everything may shut down its side and still gets its answer.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {});
    const source = peerAddress(socket.remoteAddress);
    const connection = connections.add(socket, source);
    if (connection === undefined) refuse(socket, source, options);
    else exchange.serve(connection);
  });
  return {
    server,
    acceptor: {
      answer: exchange.answer,
      finish: exchange.finish,
      stopAccepting() {
        server.close();
        connections.endAll('hello');
      },
      close() {
        server.close();
        connections.endAll();
      },
      get open() {
        return connections.open;
      },
    },
  };
}

interface Exchanges extends Pick<Acceptor, 'answer' | 'finish'> {
  /** Awaits the first message. */
  serve(connection: Connection): void;
}

/** Reads messages, reports what happens and keeps the timeouts. */
function exchanges(connections: ConnectionTable, options: AcceptorOptions): Exchanges {
  function serve(connection: Connection): void {
    const { socket } = connection;
    socket.once('close', () => {
      if (waits(connection) && socket.bytesRead > 0) report(connection, 'closed');
      connections.end(connection);
    });
    socket.on('readable', () => read(connection));
    socket.on('end', () => {
      if (!waits(connection)) return;
      if (socket.bytesRead === 0) connections.end(connection);
      else report(connection, endOf(connection));
    });
    enter(connection, 'hello', options.helloMs);
  }

  function enter(connection: Connection, phase: Phase, timeoutMs: number): void {
    clearTimeout(connection.timer);
    connections.enter(connection, phase);
    connection.timer = setTimeout(() => {
      if (phase === 'closing') connections.end(connection);
      else if (connection.socket.bytesRead > 0) report(connection, 'timeout');
      else finish(connection.id, options.refusal);
    }, timeoutMs);
  }

  function report(connection: Connection, kind: AcceptorEvent['kind'], bytes: Uint8Array = NOTHING): void {
    clearTimeout(connection.timer);
    connections.enter(connection, 'working');
    connection.header = undefined;
    const { id, source, tag, answered } = connection;
    options.onEvent({ kind, id, source, tag, answered, bytes });
  }

  function answer(id: number, message: Uint8Array, tag: number): void {
    const connection = connections.find(id);
    if (connection === undefined || connection.socket.destroyed) return;
    connection.tag = tag;
    connection.answered = true;
    connection.socket.write(message);
    enter(connection, 'claim', options.claimMs);
    read(connection);
    if (connection.socket.readableEnded && waits(connection)) report(connection, endOf(connection));
  }

  function finish(id: number, lastMessage: Uint8Array): void {
    const connection = connections.find(id);
    if (connection === undefined || connection.phase === 'closing') return;
    enter(connection, 'closing', options.lingerMs);
    // Unread bytes would turn the close into a reset, which may overtake our last message.
    read(connection);
    connection.socket.end(lastMessage);
  }

  function read(connection: Connection): void {
    const { socket } = connection;
    if (connection.phase === 'closing') {
      while (socket.read() !== null);
      return;
    }
    if (!waits(connection)) return;
    // Before the end of the stream read(n) gives n bytes or null; after it, what is left.
    connection.header ??= socket.read(HEADER_LENGTH) ?? undefined;
    const { header } = connection;
    if (header === undefined || header.length < HEADER_LENGTH) return;
    const length = announcedLength(options.headers, header);
    if (length === undefined) {
      report(connection, 'bad-header', new Uint8Array(header));
      return;
    }
    const rest = length - HEADER_LENGTH;
    const body: Buffer | null = rest === 0 ? header.subarray(0, 0) : socket.read(rest);
    if (body?.length === rest) report(connection, 'message', concat(header, body));
  }

  return { serve, answer, finish };
}

/** The length that a known header announces; undefined for any other. */
function announcedLength(headers: Uint8Array, header: Uint8Array): number | undefined {
  for (let i = 0; i < headers.length; i += HEADER_LENGTH) {
    if (header.every((byte, j) => byte === headers[i + j])) return (header[1]! << 8) | header[2]!;
  }
  return undefined;
}

/** What the end of what a peer sends is, while a message is awaited. */
const endOf = ({ phase, header }: Connection): 'left' | 'closed' =>
  phase === 'claim' && header === undefined ? 'left' : 'closed';

/** True while a message is awaited. */
function waits(connection: Connection): boolean {
  return connection.phase === 'hello' || connection.phase === 'claim';
}
