import { concat, readU16, readU32, u16 } from '../protocol/bytes.ts';
import { Failure } from '../protocol/failure.ts';

/** Reads a TPM structure from the front; nothing is read past its end, and it must end where its content does. */
export interface WireReader {
  u8(): number;
  u16(): number;
  u32(): number;
  /** A 2-byte length and as many bytes, at most `max`; copied. */
  sized(max: number): Uint8Array;
  /** So many bytes, copied. */
  bytes(length: number): Uint8Array;
  rest(): Uint8Array;
  /** @throws Failure `tpm.malformed` if something is left */
  end(): void;
}

/** @throws Failure `tpm.malformed` from each method, naming `what` */
export function readWire(what: string, wire: Uint8Array): WireReader {
  let offset = 0;
  const take = (length: number): number => {
    if (wire.length - offset < length) throw malformed(what, `${wire.length} bytes, too short`);
    offset += length;
    return offset - length;
  };
  const reader: WireReader = {
    u8: () => wire[take(1)]!,
    u16: () => readU16(wire, take(2)),
    u32: () => readU32(wire, take(4)),
    sized: (max) => {
      const length = reader.u16();
      if (length > max) throw malformed(what, `a field of ${length} bytes, at most ${max} expected`);
      return reader.bytes(length);
    },
    bytes: (length) => {
      const start = take(length);
      return Uint8Array.from(wire.subarray(start, start + length));
    },
    rest: () => Uint8Array.from(wire.subarray(take(wire.length - offset))),
    end: () => {
      if (offset !== wire.length) throw malformed(what, `${wire.length - offset} bytes too many`);
    },
  };
  return reader;
}

/** TPM2B: a 2-byte length and the bytes. */
export function sized(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 0xffff) throw new Error(`a TPM2B holds at most 65535 bytes, got ${bytes.length}`);
  return concat(u16(bytes.length), bytes);
}

/** What a TPM2B holds. @throws Failure `tpm.malformed` */
export function contentOf(what: string, tpm2b: Uint8Array): Uint8Array {
  const reader = readWire(what, tpm2b);
  const content = reader.sized(0xffff);
  reader.end();
  return content;
}

/** The failure for a response of the TPM, or of a layer below us, that is not the expected structure. */
export function malformed(what: string, got: string): Failure {
  return new Failure('tpm.malformed', 'retry', `the TPM's ${what} is malformed: ${got}`, {
    action: 'If this stays, the TPM or its driver is defective.',
  });
}
