import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { encodeFrame, frameReader, frames } from '../../../protocol/tunnel/frame.ts';
import { MAX_PACKET } from '../../../protocol/tunnel/wire.ts';

const packet = fc.uint8Array({ minLength: 1, maxLength: MAX_PACKET });
const packets = fc.array(packet, { maxLength: 8 });

/** Cuts `bytes` into chunks whose lengths cycle through `sizes`. */
function split(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let offset = 0, i = 0; offset < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    chunks.push(bytes.slice(offset, offset + size));
    offset += size;
  }
  return chunks;
}

/** What a reader makes of chunks; packets are copied as they come, since they are views. */
function readAll(chunks: readonly Uint8Array[]): Uint8Array[] {
  const reader = frameReader();
  return chunks.flatMap((chunk) => {
    const found = reader.push(chunk).map((view) => view.slice());
    chunk.fill(0xee);
    return found;
  });
}

describe('frame', () => {
  it('is the big-endian length and the packet', () => {
    expect(encodeFrame(fromHex('6000aa'))).toEqual(fromHex('00036000aa'));
    expect(encodeFrame(new Uint8Array(MAX_PACKET)).subarray(0, 2)).toEqual(fromHex('05d8'));
  });

  it('carries 1,496 bytes and refuses to be made with one more', () => {
    expect(encodeFrame(new Uint8Array(1496))).toHaveLength(1498);
    expect(() => encodeFrame(new Uint8Array(1497))).toThrow(/at most 1496/);
  });

  it('comes out of any splitting of the stream as it went in', () => {
    fc.assert(
      fc.property(
        packets,
        fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 6 }),
        (sent, sizes) => {
          const stream = concat(...sent.map(encodeFrame));
          expect(readAll(split(stream, sizes))).toEqual(sent);
        },
      ),
    );
  });

  it('comes out of a stream that arrives byte by byte', () => {
    const sent = [Uint8Array.of(0x60), new Uint8Array(300).fill(7), new Uint8Array(MAX_PACKET).fill(9)];
    expect(readAll(split(concat(...sent.map(encodeFrame)), [1]))).toEqual(sent);
  });

  it('is ignored if its length is 0, however it is split', () => {
    const stream = concat(
      fromHex('0000'),
      encodeFrame(Uint8Array.of(1)),
      fromHex('00000000'),
      encodeFrame(Uint8Array.of(2)),
    );
    for (const size of [1, 2, 3, 5, 100]) {
      expect(readAll(split(stream, [size]))).toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
    }
  });

  it('ends the stream if it announces 1,497 bytes or more, as soon as the length is there', () => {
    for (const length of ['05d9', 'ffff']) {
      for (const size of [1, 2, 100]) {
        const reader = frameReader();
        expect(() => {
          for (const chunk of split(fromHex(length), [size])) reader.push(chunk);
        }).toThrowError(expect.objectContaining({ code: 'tunnel.oversized-frame', remedy: 'retry' }));
        expect(() => reader.push(encodeFrame(Uint8Array.of(1)))).toThrowError(/at most 1496/);
      }
    }
    expect(frameReader().push(fromHex('05d8'))).toEqual([]);
  });

  it('reads any bytes without a crash, and what it accepts are the bytes that came', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (chunks) => {
        const reader = frameReader();
        const found: Uint8Array[] = [];
        try {
          for (const chunk of chunks) found.push(...reader.push(chunk).map((view) => view.slice()));
        } catch (error) {
          expect(isFailure(error, 'tunnel.oversized-frame')).toBe(true);
          return;
        }
        const withoutEmpty = stripEmpty(concat(...chunks));
        const encoded = concat(...found.map(encodeFrame));
        expect(withoutEmpty.subarray(0, encoded.length)).toEqual(encoded);
      }),
    );
  });
});

/** The whole frames of a stream, empty ones left out: an independent, slow reading. */
function stripEmpty(stream: Uint8Array): Uint8Array {
  const kept: number[] = [];
  for (let offset = 0; offset + 2 <= stream.length; ) {
    const end = offset + 2 + stream[offset]! * 256 + stream[offset + 1]!;
    if (end > stream.length) break;
    if (end > offset + 2) kept.push(...stream.subarray(offset, end));
    offset = end;
  }
  return Uint8Array.from(kept);
}

describe('a packet', () => {
  it('is a plain byte array, so that slice() copies it, also if the chunk was a Buffer', () => {
    const chunk = Buffer.from('0001aa', 'hex');
    for (const packet of [frameReader().push(chunk)[0]!, [...frames(chunk)][0]!]) {
      const kept = packet.slice();
      chunk[2] = 0xee;
      expect(kept).toEqual(Uint8Array.of(0xaa));
      chunk[2] = 0xaa;
    }
  });
});

describe('a batch of frames', () => {
  it('gives its packets and drops empty ones', () => {
    fc.assert(
      fc.property(packets, (sent) => {
        expect([...frames(concat(...sent.map(encodeFrame)))]).toEqual(sent);
      }),
    );
    expect([...frames(fromHex('0000000161'))]).toEqual([fromHex('61')]);
  });

  it('may hold packets that are too long to send', () => {
    const long = concat(fromHex('07d0'), new Uint8Array(2000));
    expect([...frames(long)].map((view) => view.length)).toEqual([2000]);
  });

  it('is refused if it does not end with a frame', () => {
    for (const torn of ['00', '000161ff', '0002ff']) {
      expect(() => [...frames(fromHex(torn))]).toThrowError(
        expect.objectContaining({ code: 'tunnel.torn-batch' }),
      );
    }
  });
});
