import { addon } from '../../native/index.ts';
import type { DoorEvent } from '../../native/net/net.ts';

/** One thing that happened at a door; see `DoorEvent`. */
export interface Knock {
  readonly event: DoorEvent;
  /** Names the connection until it was parted from. */
  readonly id: number;
  /** Address of the peer, without zone and port. */
  readonly source: string;
  /** What {@link Door.answer} was given, 0 before. */
  readonly note: number;
  /** True once the peer was answered. */
  readonly answered: boolean;
  /** The message, or the bad header; else empty. */
  readonly bytes: Uint8Array;
}

export interface DoorOptions {
  /** Known 4-byte headers, back to back. */
  readonly headers: Uint8Array;
  /** The last words to those who are too many, and to those who have said nothing in time. */
  readonly refusal: Uint8Array;
  readonly total: number;
  readonly perSource: number;
  readonly helloMs: number;
  readonly claimMs: number;
  readonly lingerMs: number;
  readonly onKnock: (knock: Knock) => void;
}

/**
 * Where short framed exchanges come in. Nothing is read from a connection between a knock and the `answer` or `part`
 * that must follow it.
 */
export interface Door {
  /** Says `message` and waits for the next one; `note` is 0 to 255. */
  answer(id: number, message: Uint8Array, note: number): void;
  /** Says the last words, perhaps none, and closes in order. */
  part(id: number, lastWords: Uint8Array): void;
  /** Accepts no more, and lets go of those who have not said hello. */
  shut(): void;
  /** Ends everything at once. */
  close(): void;
  /** Connections open. */
  readonly open: number;
}

/** How often late peers are looked for. */
const TICK_MS = 100;

/** True if the addon with its doors can be loaded. */
export function hasNativeDoor(): boolean {
  try {
    return typeof addon().doorOpen === 'function';
  } catch {
    return false;
  }
}

/** Opens a listening socket on a literal address. @throws Error with the `code` of the errno */
export function openListener(host: string, port: number): { descriptor: number; port: number } {
  const descriptor = addon().listenerOpen(host, port);
  return { descriptor, port: addon().listenerPort(descriptor) };
}

/** A door in the addon: some hundred bytes for each connection. It takes the listening socket over. */
export function nativeDoor(descriptor: number, options: DoorOptions): Door {
  const native = addon();
  const { headers, refusal, total, perSource, helloMs, claimMs, lingerMs, onKnock } = options;
  const door = native.doorOpen(
    descriptor,
    headers,
    refusal,
    total,
    perSource,
    helloMs,
    claimMs,
    lingerMs,
    (event, id, source, note, answered, bytes) => onKnock({ event, id, source, note, answered, bytes }),
  );
  const tick = setInterval(() => native.doorTick(door), TICK_MS);
  return {
    answer: (id, message, note) => native.doorAnswer(door, id, message, note),
    part: (id, lastWords) => native.doorPart(door, id, lastWords),
    shut: () => native.doorShut(door),
    close() {
      clearInterval(tick);
      native.doorClose(door);
    },
    get open() {
      return native.doorCount(door);
    },
  };
}
