/** Changed copies of good inputs, the same for the same number: a finding is named by it. */

/** mulberry32: uniform in [0, 1). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Bytes at which decoders go wrong: ends of ranges, and lengths of DER. */
const TELLING = [0, 1, 0x1f, 0x30, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x88, 0xc0, 0xfe, 0xff] as const;
const MOST_CHANGES = 6;
const LONGEST = 65_536;

/** A copy of one of `seeds` with a few changes. */
export function mutated(seeds: readonly Uint8Array[], seed: number): Uint8Array {
  const random = randomOf(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const one = <T>(list: readonly T[]): T => list[below(list.length)]!;
  let bytes = Uint8Array.from(one(seeds));
  const splice = (at: number, remove: number, put: Uint8Array): void => {
    const joined = [bytes.subarray(0, at), put, bytes.subarray(at + remove)];
    bytes = new Uint8Array(Buffer.concat(joined).subarray(0, LONGEST));
  };
  const part = (of: Uint8Array): Uint8Array => {
    const from = below(of.length + 1);
    return of.slice(from, from + 1 + below(64));
  };
  for (let changes = 1 + below(MOST_CHANGES); changes > 0; changes--) {
    const at = below(bytes.length + 1);
    switch (below(7)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << below(8);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = one(TELLING);
        break;
      case 2:
        splice(
          at,
          0,
          Uint8Array.from({ length: 1 + below(8) }, () => below(256)),
        );
        break;
      case 3:
        splice(at, 1 + below(16), new Uint8Array(0));
        break;
      case 4:
        splice(at, 0, part(bytes));
        break;
      case 5:
        splice(at, below(64), part(one(seeds)));
        break;
      default:
        bytes = bytes.slice(0, at);
    }
  }
  return bytes;
}
