import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { parseStat } from '../processes.ts';

/** The connections of many clients to one server, in a process of their own (callers.c). */
export interface Callers {
  /** Opens a connection from an IPv4 address of this machine and says `first`, or nothing if it is empty. */
  call(from: string, first: Uint8Array): Line;
  /** CPU seconds of the process so far. */
  cpu(): number;
  /** How long what was heard since the last time had lain there when it was looked at, milliseconds. */
  delays(): number[];
  end(): Promise<void>;
}

/** A client's end of its connection. */
export interface Line {
  /** The next `length` bytes; undefined if what comes instead is an Error message. Rejects once the connection is over. */
  read(length: number): Promise<Uint8Array | undefined>;
  say(message: Uint8Array): void;
  /** Resolves when the other end has closed. */
  readonly over: Promise<void>;
  hangUp(): void;
}

const ORDER = 12;
const HEARD = 16;
const OPEN = 1;
const SAY = 2;
const CLOSE = 3;
const ERROR = Buffer.from([0x41, 0x00, 0x04, 0x01]);
/** Nobody waits longer for an answer. */
const PATIENCE_MS = 20_000;
const NOTHING = Buffer.alloc(0);

/** Between `performance.now()` and the clock of what is heard. */
const CLOCK_MS = clockOffset();

/** What a connection hears, told by the process. */
interface Ear {
  heard(bytes: Buffer): void;
  ended(): void;
  readonly since: number;
}

/** Starts `program` (callers.c, compiled) for the server on `port`. */
export function startCallers(program: string, port: number): Callers {
  const child = spawn(program, [String(port)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const ears = new Map<number, Ear>();
  let last = 0;
  let lain: number[] = [];

  // The orders of one turn of the event loop go as one piece.
  let orders: Buffer[] = [];
  function order(kind: number, id: number, address: number, bytes: Uint8Array): void {
    if (orders.length === 0) {
      setImmediate(() => {
        child.stdin.write(Buffer.concat(orders));
        orders = [];
      });
    }
    const record = Buffer.alloc(ORDER + Math.ceil(bytes.length / 4) * 4);
    record.writeUInt32LE(id, 0);
    record.writeUInt32LE(address, 4);
    record.writeUInt16LE(bytes.length, 8);
    record.writeUInt16LE(kind, 10);
    record.set(bytes, ORDER);
    orders.push(record);
  }

  let rest: Buffer = NOTHING;
  child.stdout.on('data', (chunk: Buffer) => {
    const input = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const now = performance.now();
    let at = 0;
    while (at + HEARD <= input.length) {
      const length = input.readUInt32LE(at + 4);
      const next = at + HEARD + Math.ceil(length / 8) * 8;
      if (next > input.length) break;
      const ear = ears.get(input.readUInt32LE(at));
      lain.push(now + CLOCK_MS - Number(input.readBigUInt64LE(at + 8)) / 1e6);
      if (length > 0) ear?.heard(input.subarray(at + HEARD, at + HEARD + length));
      else ear?.ended();
      at = next;
    }
    rest = input.subarray(at);
  });

  const impatience = setInterval(() => {
    const now = performance.now();
    for (const [id, ear] of ears) {
      if (now - ear.since <= PATIENCE_MS) continue;
      ear.ended();
      order(CLOSE, id, 0, NOTHING);
    }
  }, 1_000);

  function call(from: string, first: Uint8Array): Line {
    const id = ++last;
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

    ears.set(id, {
      since: performance.now(),
      heard(bytes) {
        have = have.length === 0 ? bytes : Buffer.concat([have, bytes]);
        settle();
      },
      ended() {
        gone = true;
        ears.delete(id);
        settle();
        leave();
      },
    });
    order(OPEN, id, addressNumber(from), first);
    return {
      over,
      read: (length) =>
        new Promise((resolve, reject) => {
          wanted = length;
          waiting = { resolve, reject };
          settle();
        }),
      say: (message) => order(SAY, id, 0, message),
      hangUp() {
        if (ears.delete(id)) order(CLOSE, id, 0, NOTHING);
      },
    };
  }

  return {
    call,
    cpu: () => parseStat(readFileSync(`/proc/${child.pid}/stat`, 'latin1')).own,
    delays() {
      const seen = lain;
      lain = [];
      return seen;
    },
    async end() {
      clearInterval(impatience);
      child.stdin.end();
      await ended;
    },
  };
}

const addressNumber = (text: string): number =>
  text.split('.').reduce((number, part) => number * 256 + Number(part), 0);

function clockOffset(): number {
  const before = performance.now();
  const monotonic = Number(process.hrtime.bigint()) / 1e6;
  return monotonic - (before + performance.now()) / 2;
}
