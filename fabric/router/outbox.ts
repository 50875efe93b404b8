import { FRAME_HEADER_LENGTH } from '../../protocol/tunnel/frame.ts';

/** The longest block, in bytes, that one TLS write takes: a slow peer shows progress block by block. */
const BLOCK_LENGTH = 65_536;
const FIRST_BLOCK_LENGTH = 4_096;

/**
 * Frames that wait for one peer, joined to blocks so that small packets share TLS records. Packets are copied in:
 * a queued packet never keeps the buffer alive that it arrived in. Bounded: what does not fit is refused.
 */
export interface Outbox {
  /** Appends the packet as a frame; false if it does not fit. The packet is at most 65,535 bytes. */
  push(packet: Uint8Array): boolean;
  /** The oldest block, whole frames; undefined if nothing waits. */
  take(): Uint8Array | undefined;
  /** Waiting bytes, frame headers included. */
  readonly waiting: number;
  clear(): void;
}

/** An outbox that holds at most `limit` bytes. It allocates nothing while it is empty. */
export function outbox(limit: number): Outbox {
  const full: Uint8Array[] = [];
  let open = new Uint8Array(0);
  let used = 0;
  let waiting = 0;

  const seal = (): void => {
    if (used > 0) full.push(open.subarray(0, used));
    open = new Uint8Array(0);
    used = 0;
  };

  const makeRoom = (length: number): void => {
    if (used + length <= open.length) return;
    if (used + length > BLOCK_LENGTH) seal();
    if (used + length <= open.length) return;
    const grown = new Uint8Array(
      Math.max(used + length, Math.min(BLOCK_LENGTH, 2 * open.length), FIRST_BLOCK_LENGTH),
    );
    grown.set(open.subarray(0, used));
    open = grown;
  };

  return {
    push(packet) {
      const length = FRAME_HEADER_LENGTH + packet.length;
      if (waiting + length > limit) return false;
      makeRoom(length);
      open[used] = packet.length >>> 8;
      open[used + 1] = packet.length & 0xff;
      open.set(packet, used + FRAME_HEADER_LENGTH);
      used += length;
      waiting += length;
      return true;
    },
    take() {
      if (full.length === 0) seal();
      const block = full.shift();
      waiting -= block?.length ?? 0;
      return block;
    },
    get waiting() {
      return waiting;
    },
    clear() {
      full.length = 0;
      open = new Uint8Array(0);
      used = 0;
      waiting = 0;
    },
  };
}
