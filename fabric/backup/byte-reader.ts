import { concat } from '../../protocol/bytes.ts';
import { damaged } from './failures.ts';

/** A stream that is read in parts of a given length. */
export interface ByteReader {
  /** @throws Failure `backup.damaged` if there are fewer bytes */
  exactly(length: number): Promise<Uint8Array>;
  /** So many bytes, as they come. @throws Failure `backup.damaged` if there are fewer */
  upTo(length: number): AsyncGenerator<Uint8Array>;
  /** True if nothing follows. */
  atEnd(): Promise<boolean>;
}

/** `onRead` sees everything in order, as it is handed out. */
export function byteReader(
  source: AsyncIterable<Uint8Array>,
  onRead: (bytes: Uint8Array) => void,
): ByteReader {
  const chunks = source[Symbol.asyncIterator]();
  let held: Uint8Array = new Uint8Array(0);

  /** Something to hand out; false at the end. */
  async function fill(): Promise<boolean> {
    while (held.length === 0) {
      const { done, value } = await chunks.next();
      if (done) return false;
      held = value;
    }
    return true;
  }

  async function* upTo(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      if (!(await fill())) throw damaged('its end is missing');
      const part = held.subarray(0, left);
      held = held.subarray(part.length);
      left -= part.length;
      onRead(part);
      yield part;
    }
  }

  return {
    upTo,
    async exactly(length) {
      const parts: Uint8Array[] = [];
      for await (const part of upTo(length)) parts.push(part);
      return concat(...parts);
    },
    atEnd: async () => !(await fill()),
  };
}
