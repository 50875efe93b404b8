import type { DiskEvent, Recording } from './disk.ts';

/** A moment in a recording at which the power goes off. */
export interface Cut {
  /** How many events have happened. */
  readonly position: number;
  /** With which probability a block that was not flushed survives. */
  readonly keep: number;
  readonly seed: number;
}

/** Every third cut loses the whole cache, the others a part of it. */
const KEEP = [0, 0.3, 0.7] as const;

/** So many cuts, each right after a random write or mark; `since`: only from this mark on. */
export function cutsOf({ events }: Recording, count: number, random: () => number, since?: string): Cut[] {
  const isMark = (event: DiskEvent): boolean => event.kind === 'mark' && event.name === since;
  const first = since === undefined ? 0 : events.findIndex(isMark);
  const places = events.flatMap((event, index) =>
    index >= first && (event.kind === 'write' || event.kind === 'mark') ? [index + 1] : [],
  );
  return Array.from({ length: count }, (_, n) => ({
    position: places[Math.floor(random() * places.length)]!,
    keep: KEEP[n % KEEP.length]!,
    seed: Math.floor(random() * 2 ** 32),
  }));
}

/** Numbers from 0 to below 1, the same ones for the same purpose and seed (mulberry32). */
export function seeded(purpose: string, seed: number): () => number {
  let state = [...purpose].reduce((sum, letter) => Math.imul(sum, 31) + letter.charCodeAt(0), seed) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
