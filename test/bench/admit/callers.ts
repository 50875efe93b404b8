import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { parseStat } from '../processes.ts';

/** The connections of many clients to one server, in a process of their own (callers.c). */
export interface Callers {
  /** Opens a connection from an IPv4 address of this machine and sends `first`, or nothing if it is empty. */
  call(from: string, first: Uint8Array): Connection;
  /** CPU seconds of the process so far. */
  cpu(): number;
  /** How long the bytes received since the last call had waited until they were read here, milliseconds. */
  delays(): number[];
  end(): Promise<void>;
}

/** A client's end of its connection. */
export interface Connection {
  /** The next `length` bytes; undefined if an Error message comes instead. Rejects once the connection is closed. */
  read(length: number): Promise<Uint8Array | undefined>;
  send(message: Uint8Array): void;
  /** Resolves when the other end has closed. */
  readonly over: Promise<void>;
  close(): void;
}

const COMMAND_LENGTH = 12;
const EVENT_LENGTH = 16;
const OPEN = 1;
const SEND = 2;
const CLOSE = 3;
const ERROR = Buffer.from([0x41, 0x00, 0x04, 0x01]);
/** A connection is closed after this long. */
const PATIENCE_MS = 20_000;
const NOTHING = Buffer.alloc(0);

/** Between `performance.now()` and the clock of the events. */
const CLOCK_MS = clockOffset();

/** What arrives on a connection, as the process reports it. */
interface Receiver {
  received(bytes: Buffer): void;
  closed(): void;
  readonly since: number;
}

type SendCommand = (kind: number, id: number, address: number, bytes: Uint8Array) => void;

/** Starts `program` (callers.c, compiled) for the server on `port`, with these words before it. */
export function startCallers(program: string, port: number, before: readonly string[] = []): Callers {
  const [first, ...words] = [...before, program, String(port)];
  const child = spawn(first!, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const receivers = new Map<number, Receiver>();
  const command = commandWriter((bytes) => child.stdin.write(bytes));
  let last = 0;
  let delays: number[] = [];
  let now = 0;

  const readEvents = eventReader((id, bytes, atMs) => {
    delays.push(now + CLOCK_MS - atMs);
    const receiver = receivers.get(id);
    if (bytes.length > 0) receiver?.received(bytes);
    else receiver?.closed();
  });
  child.stdout.on('data', (chunk: Buffer) => {
    now = performance.now();
    readEvents(chunk);
  });

  const patience = setInterval(() => {
    const atMs = performance.now();
    for (const [id, receiver] of receivers) {
      if (atMs - receiver.since <= PATIENCE_MS) continue;
      receiver.closed();
      command(CLOSE, id, 0, NOTHING);
    }
  }, 1_000);

  return {
    call(from, first) {
      const id = ++last;
      const { receiver, read, over } = receivingEnd(() => receivers.delete(id));
      receivers.set(id, receiver);
      command(OPEN, id, addressNumber(from), first);
      return {
        over,
        read,
        send: (message) => command(SEND, id, 0, message),
        close() {
          if (receivers.delete(id)) command(CLOSE, id, 0, NOTHING);
        },
      };
    },
    cpu: () => parseStat(readFileSync(`/proc/${child.pid}/stat`, 'latin1')).own,
    delays() {
      const seen = delays;
      delays = [];
      return seen;
    },
    async end() {
      clearInterval(patience);
      child.stdin.end();
      await ended;
    },
  };
}

/** Encodes commands; those of one turn of the event loop are written together. */
function commandWriter(write: (bytes: Buffer) => void): SendCommand {
  let pending: Buffer[] = [];
  return (kind, id, address, bytes) => {
    if (pending.length === 0) {
      setImmediate(() => {
        write(Buffer.concat(pending));
        pending = [];
      });
    }
    const record = Buffer.alloc(COMMAND_LENGTH + Math.ceil(bytes.length / 4) * 4);
    record.writeUInt32LE(id, 0);
    record.writeUInt32LE(address, 4);
    record.writeUInt16LE(bytes.length, 8);
    record.writeUInt16LE(kind, 10);
    record.set(bytes, COMMAND_LENGTH);
    pending.push(record);
  };
}

/** Decodes events: bytes of a connection, or none when it was closed. */
function eventReader(onEvent: (id: number, bytes: Buffer, atMs: number) => void): (chunk: Buffer) => void {
  let rest: Buffer = NOTHING;
  return (chunk) => {
    const input = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (at + EVENT_LENGTH <= input.length) {
      const length = input.readUInt32LE(at + 4);
      const next = at + EVENT_LENGTH + Math.ceil(length / 8) * 8;
      if (next > input.length) break;
      const bytes = input.subarray(at + EVENT_LENGTH, at + EVENT_LENGTH + length);
      onEvent(input.readUInt32LE(at), bytes, Number(input.readBigUInt64LE(at + 8)) / 1e6);
      at = next;
    }
    rest = input.subarray(at);
  };
}

/** Collects what arrives on one connection for one reader at a time. */
function receivingEnd(
  onClosed: () => void,
): { readonly receiver: Receiver } & Pick<Connection, 'read' | 'over'> {
  let have: Buffer = NOTHING;
  let wanted = 0;
  let gone = false;
  let waiting:
    | { resolve: (message: Uint8Array | undefined) => void; reject: (error: Error) => void }
    | undefined;
  let leave = (): void => {};
  const over = new Promise<void>((resolve) => {
    leave = resolve;
  });

  function settle(): void {
    if (waiting === undefined) return;
    const { resolve, reject } = waiting;
    if (have.length >= wanted) {
      waiting = undefined;
      const message = new Uint8Array(have.subarray(0, wanted));
      have = have.subarray(wanted);
      resolve(message);
    } else if (have.subarray(0, ERROR.length).equals(ERROR)) {
      waiting = undefined;
      resolve(undefined);
    } else if (gone) {
      waiting = undefined;
      reject(new Error('closed'));
    }
  }

  const receiver: Receiver = {
    since: performance.now(),
    received(bytes) {
      have = have.length === 0 ? bytes : Buffer.concat([have, bytes]);
      settle();
    },
    closed() {
      gone = true;
      onClosed();
      settle();
      leave();
    },
  };
  return {
    receiver,
    over,
    read: (length) =>
      new Promise((resolve, reject) => {
        wanted = length;
        waiting = { resolve, reject };
        settle();
      }),
  };
}

const addressNumber = (text: string): number =>
  text.split('.').reduce((number, part) => number * 256 + Number(part), 0);

function clockOffset(): number {
  const before = performance.now();
  const monotonic = Number(process.hrtime.bigint()) / 1e6;
  return monotonic - (before + performance.now()) / 2;
}
