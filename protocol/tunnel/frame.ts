import { readU16 } from '../bytes.ts';
import { Failure } from '../failure.ts';
import { FRAME_HEADER_LENGTH, MAX_PACKET } from './wire.ts';

/*
 * The stream inside TLS is frames back to back and nothing else (enftun.md §4):
 *
 *    0               1               2
 *   +---------------+---------------+----------------- - -
 *   | length, u16 big-endian        | packet, `length` bytes
 *   +---------------+---------------+----------------- - -
 *
 * `length` counts the packet only. 0 is legal and means nothing; more than 1,496 ends the connection.
 */

/** One whole frame, 2 + packet bytes. A packet above `MAX_PACKET` is a mistake of the caller: a plain Error. */
export function encodeFrame(packet: Uint8Array): Uint8Array {
  if (packet.length > MAX_PACKET) {
    throw new Error(`a frame carries at most ${MAX_PACKET} bytes, not ${packet.length}`);
  }
  const frame = new Uint8Array(FRAME_HEADER_LENGTH + packet.length);
  frame[0] = packet.length >>> 8;
  frame[1] = packet.length & 0xff;
  frame.set(packet, FRAME_HEADER_LENGTH);
  return frame;
}

/** Cuts a byte stream into packets, whatever its chunks are. */
export interface FrameReader {
  /**
   * The packets that `bytes` completes, in order; empty ones are dropped. They may be views of `bytes` and
   * are valid as long as it is; what is left over is copied.
   * @throws Failure `tunnel.oversized-frame`, then and ever after: the stream cannot be resynchronised.
   */
  push(bytes: Uint8Array): Uint8Array[];
}

/** A reader with room for one unfinished frame; the length a peer announces never sizes an allocation. */
export function frameReader(): FrameReader {
  const partial = new Uint8Array(FRAME_HEADER_LENGTH + MAX_PACKET);
  let held = 0;
  let broken: number | undefined;

  const announced = (bytes: Uint8Array, offset: number): number => {
    const length = readU16(bytes, offset);
    if (length > MAX_PACKET) {
      broken = length;
      throw oversized(length);
    }
    return length;
  };

  return {
    push(bytes) {
      const chunk = plain(bytes);
      if (broken !== undefined) throw oversized(broken);
      const packets: Uint8Array[] = [];
      let offset = 0;
      while (held > 0 && offset < chunk.length) {
        const wanted =
          held < FRAME_HEADER_LENGTH ? FRAME_HEADER_LENGTH : FRAME_HEADER_LENGTH + announced(partial, 0);
        const taken = Math.min(wanted - held, chunk.length - offset);
        partial.set(chunk.subarray(offset, offset + taken), held);
        held += taken;
        offset += taken;
        if (held < FRAME_HEADER_LENGTH) break;
        const end = FRAME_HEADER_LENGTH + announced(partial, 0);
        if (held < end) continue;
        if (end > FRAME_HEADER_LENGTH) packets.push(partial.slice(FRAME_HEADER_LENGTH, end));
        held = 0;
      }
      while (chunk.length - offset >= FRAME_HEADER_LENGTH) {
        const start = offset + FRAME_HEADER_LENGTH;
        const end = start + announced(chunk, offset);
        if (end > chunk.length) break;
        if (end > start) packets.push(chunk.subarray(start, end));
        offset = end;
      }
      if (offset < chunk.length) {
        partial.set(chunk.subarray(offset));
        held = chunk.length - offset;
      }
      return packets;
    },
  };
}

/**
 * The packets of a batch of whole frames, as the TUN gives them: views of `bytes`, empty ones dropped. A packet may
 * be longer than `MAX_PACKET` here; it must not be sent.
 * @throws Failure `tunnel.torn-batch` if the batch does not end with a frame
 */
export function* frames(bytes: Uint8Array): Generator<Uint8Array> {
  const batch = plain(bytes);
  let offset = 0;
  while (offset < batch.length) {
    const start = offset + FRAME_HEADER_LENGTH;
    const end = start <= batch.length ? start + readU16(batch, offset) : start;
    if (end > batch.length) {
      throw new Failure(
        'tunnel.torn-batch',
        'retry',
        `a batch: expected a whole frame of ${end - offset} bytes at ${offset}, got ${batch.length - offset}`,
        { action: 'Report this: the TUN reader and the program do not belong together.' },
      );
    }
    if (end > start) yield batch.subarray(start, end);
    offset = end;
  }
}

/** Sockets give Buffers, whose `slice` does not copy, although the type says so: a packet kept by `slice()` must last. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function oversized(length: number): Failure {
  return new Failure(
    'tunnel.oversized-frame',
    'retry',
    `a frame's length: expected at most ${MAX_PACKET} bytes, got ${length}`,
    {
      action: 'Nothing to do here: the connection is closed and made again. The peer uses another framing.',
    },
  );
}
