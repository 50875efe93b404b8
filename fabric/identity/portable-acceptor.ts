import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Door, DoorOptions, Knock } from '../../os/net/acceptor.ts';
import { peerAddress } from '../../os/net/peer.ts';
import { concat } from '../../protocol/bytes.ts';
import { connectionCounter } from './limits.ts';

const HEADER_LENGTH = 4;
const NOTHING = new Uint8Array(0);

type Phase = 'hello' | 'claim' | 'working' | 'parting';

interface Visit {
  readonly socket: Socket;
  readonly source: string;
  /** Gives the place back, once. */
  readonly leave: () => void;
  phase: Phase;
  /** Of the message whose rest is still to come. */
  header: Buffer | undefined;
  note: number;
  answered: boolean;
  timer: NodeJS.Timeout | undefined;
}

/**
 * A door on `node:net`, for builds without the addon: the same behaviour, some kilobytes for each connection. Returns the
 * server, which is still to be bound.
 */
export function portableDoor(options: DoorOptions): { readonly server: Server; readonly door: Door } {
  const counter = connectionCounter(options);
  const visits = new Map<number, Visit>();
  let lastId = 0;

  // Half-open: a peer that has said all it has to say may shut down its side and still gets its answer.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => {});
    const source = peerAddress(socket.remoteAddress);
    let leave = counter.enter(source);
    if (leave === undefined && counter.open >= options.total && makeRoom()) leave = counter.enter(source);
    if (leave === undefined) {
      options.onKnock({ event: 'crowded', id: 0, source, note: 0, answered: false, bytes: NOTHING });
      socket.resume();
      socket.end(options.refusal, () => socket.destroy());
      return;
    }
    const id = ++lastId;
    const visit: Visit = {
      socket,
      source,
      leave,
      phase: 'hello',
      header: undefined,
      note: 0,
      answered: false,
      timer: undefined,
    };
    visits.set(id, visit);
    socket.once('close', () => {
      if (waits(visit) && socket.bytesRead > 0) knock(id, visit, 'gone');
      end(id, visit);
    });
    socket.on('readable', () => read(id, visit));
    socket.on('end', () => {
      if (!waits(visit)) return;
      if (socket.bytesRead === 0) end(id, visit);
      else knock(id, visit, 'gone');
    });
    expect(id, visit, 'hello', options.helloMs);
  });

  function end(id: number, visit: Visit): void {
    clearTimeout(visit.timer);
    visit.phase = 'parting';
    visits.delete(id);
    visit.leave();
    visit.socket.destroy();
  }

  /** Closes the one that has been silent the longest; true if there is one. */
  function makeRoom(): boolean {
    for (const [id, visit] of visits) {
      if (visit.phase !== 'hello') continue;
      end(id, visit);
      return true;
    }
    return false;
  }

  function expect(id: number, visit: Visit, phase: Phase, ms: number): void {
    clearTimeout(visit.timer);
    visit.phase = phase;
    visit.timer = setTimeout(() => {
      if (phase === 'parting') end(id, visit);
      else if (visit.socket.bytesRead > 0) knock(id, visit, 'late');
      else part(id, options.refusal);
    }, ms);
  }

  function knock(id: number, visit: Visit, event: Knock['event'], bytes: Uint8Array = NOTHING): void {
    clearTimeout(visit.timer);
    visit.phase = 'working';
    visit.header = undefined;
    options.onKnock({ event, id, source: visit.source, note: visit.note, answered: visit.answered, bytes });
  }

  function part(id: number, lastWords: Uint8Array): void {
    const visit = visits.get(id);
    if (visit === undefined || visit.phase === 'parting') return;
    expect(id, visit, 'parting', options.lingerMs);
    // Unread bytes would turn the close into a reset, which may overtake our last words.
    read(id, visit);
    visit.socket.end(lastWords);
  }

  function read(id: number, visit: Visit): void {
    const { socket } = visit;
    if (visit.phase === 'parting') {
      while (socket.read() !== null);
      return;
    }
    if (!waits(visit)) return;
    // Before the end of the stream read(n) gives n bytes or null; after it, what is left.
    visit.header ??= socket.read(HEADER_LENGTH) ?? undefined;
    const { header } = visit;
    if (header === undefined || header.length < HEADER_LENGTH) return;
    const length = announced(header);
    if (length === undefined) {
      knock(id, visit, 'bad-header', new Uint8Array(header));
      return;
    }
    const rest = length - HEADER_LENGTH;
    const body: Buffer | null = rest === 0 ? header.subarray(0, 0) : socket.read(rest);
    if (body?.length === rest) knock(id, visit, 'message', concat(header, body));
  }

  function announced(header: Uint8Array): number | undefined {
    const { headers } = options;
    for (let i = 0; i < headers.length; i += HEADER_LENGTH) {
      if (header.every((byte, j) => byte === headers[i + j])) return (header[1]! << 8) | header[2]!;
    }
    return undefined;
  }

  return {
    server,
    door: {
      answer(id, message, note) {
        const visit = visits.get(id);
        if (visit === undefined || visit.socket.destroyed) return;
        visit.note = note;
        visit.answered = true;
        visit.socket.write(message);
        expect(id, visit, 'claim', options.claimMs);
        read(id, visit);
        if (visit.socket.readableEnded && waits(visit)) knock(id, visit, 'gone');
      },
      part,
      shut() {
        server.close();
        for (const [id, visit] of visits) if (visit.phase === 'hello') end(id, visit);
      },
      close() {
        server.close();
        for (const [id, visit] of visits) end(id, visit);
      },
      get open() {
        return counter.open;
      },
    },
  };
}

/** True while a message is awaited. */
function waits(visit: Visit): boolean {
  return visit.phase === 'hello' || visit.phase === 'claim';
}
