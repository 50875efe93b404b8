import type { Socket } from 'node:net';
import type { AcceptorOptions } from '../../os/net/acceptor.ts';
import { type Backlog, backlog, payerOf } from './backlog.ts';
import { connectionCounter } from './limits.ts';

const NOTHING = new Uint8Array(0);

/** Who has been in a phase for so long may be closed for a newcomer of the same source, or of the crowd that it is of. */
const LATE_MS: Readonly<Record<Phase, number>> = {
  hello: 1_000,
  claim: 5_000,
  working: Infinity,
  closing: Infinity,
};

export type Phase = 'hello' | 'claim' | 'working' | 'closing';

/** A connection of the acceptor on `node:net`. */
export interface Connection {
  readonly id: number;
  readonly socket: Socket;
  readonly source: string;
  /** Frees its place within the limits, once. */
  readonly leave: () => void;
  phase: Phase;
  /** Since when, on the clock of performance.now(). */
  since: number;
  /** Of the message whose rest is still to come. */
  header: Buffer | undefined;
  tag: number;
  answered: boolean;
  timer: NodeJS.Timeout | undefined;
}

export interface ConnectionTable {
  /**
   * Adds a connection, and closes another one for it if need be: native/acceptor/connections.h says which. Undefined if it is
   * one too many nevertheless.
   */
  add(socket: Socket, source: string): Connection | undefined;
  find(id: number): Connection | undefined;
  /** Moves it to another phase. */
  enter(connection: Connection, phase: Phase): void;
  /** Closes it at once. */
  end(connection: Connection): void;
  /** Closes all connections of this phase; of every phase if undefined. */
  endAll(phase?: Phase): void;
  readonly open: number;
}

const isLate = ({ phase, since }: Connection): boolean => performance.now() - since >= LATE_MS[phase];

/** The same as native/acceptor/connections.h. */
export function connectionTable(options: AcceptorOptions): ConnectionTable {
  const counter = connectionCounter(options);
  const connections = new Map<number, Connection>();
  const phases: Record<Phase, Backlog<Connection>> = {
    hello: backlog(),
    claim: backlog(),
    working: backlog(),
    closing: backlog(),
  };
  let lastId = 0;

  function enter(connection: Connection, phase: Phase): void {
    phases[connection.phase].remove(connection);
    connection.phase = phase;
    connection.since = performance.now();
    phases[phase].add(connection, connection.source);
  }

  function end(connection: Connection): void {
    clearTimeout(connection.timer);
    phases[connection.phase].remove(connection);
    connection.phase = 'closing';
    connections.delete(connection.id);
    connection.leave();
    connection.socket.destroy();
  }

  function payerOfSource(source: string): Connection | undefined {
    return [phases.hello.of(source), phases.claim.of(source)].find(
      (oldest) => oldest !== undefined && isLate(oldest),
    );
  }

  function payerOfAll(source: string): Connection | undefined {
    const payers = payerOf([phases.hello, phases.closing, phases.claim], options.total);
    const payer = payers?.crowded();
    const spared = payers === phases.claim && payers.isCrowded(source) && !isLate(payer!);
    return spared ? undefined : payer;
  }

  /** Closes a connection for a new one of this source. False if none can be. */
  function makeRoom(source: string): boolean {
    const payer = counter.crowded(source) ? payerOfSource(source) : payerOfAll(source);
    if (payer === undefined) return false;
    // A device that has computed its part meanwhile is told, so that it comes again soon.
    if (payer.phase === 'claim') refuse(payer.socket, payer.source, options);
    end(payer);
    return true;
  }

  return {
    add(socket, source) {
      let leave = counter.enter(source);
      if (leave === undefined && makeRoom(source)) leave = counter.enter(source);
      if (leave === undefined) return undefined;
      const connection: Connection = {
        id: ++lastId,
        socket,
        source,
        leave,
        phase: 'hello',
        since: performance.now(),
        header: undefined,
        tag: 0,
        answered: false,
        timer: undefined,
      };
      connections.set(connection.id, connection);
      return connection;
    },
    find: (id) => connections.get(id),
    enter,
    end,
    endAll(phase) {
      for (const connection of connections.values())
        if (phase === undefined || connection.phase === phase) end(connection);
    },
    get open() {
      return counter.open;
    },
  };
}

/** Tells a peer that there is no room for it, and the caller whose connection that was. */
export function refuse(socket: Socket, source: string, { refusal, onEvent }: AcceptorOptions): void {
  onEvent({ kind: 'over-limit', id: 0, source, tag: 0, answered: false, bytes: NOTHING });
  socket.resume();
  socket.end(refusal, () => socket.destroy());
}
