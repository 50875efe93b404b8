import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import type { BlockDevice } from './nbd.ts';

/** Block size of the disk in bytes: what flash writes at once, and what ext4 assumes. */
const BLOCK = 4096;
/** What a disk of the old kind writes at once, in bytes: of a block that was not flushed, some sectors survive. */
export const SECTOR = 512;
/** Bytes; ext4 with a journal, as a gateway has it for its state. */
const STATE_SIZE = 64 << 20;

/** Files that change beside the disk, by path: the TPM's memory, the fabric's registry. Without bytes: not there. */
export type ExternalState = ReadonlyMap<string, Buffer | undefined>;

/** What happened on a disk, in order. `around`: from here on it was like this beside the disk. */
export type DiskEvent =
  | { readonly kind: 'write'; readonly offset: number; readonly data: Buffer; readonly durable: boolean }
  | { readonly kind: 'flush' }
  | { readonly kind: 'around'; readonly files: ExternalState }
  | { readonly kind: 'mark'; readonly name: string };

/** A part of a disk: bytes from `from` up to `to`. */
export interface Region {
  readonly from: number;
  readonly to: number;
}

/** A disk at its beginning and what was done to it. */
export interface Recording {
  readonly start: Buffer;
  readonly around: ExternalState;
  readonly events: readonly DiskEvent[];
}

/**
 * A disk with a volatile write cache, in memory: what was written and not flushed may be lost at a power cut, block by
 * block. Killing QEMU alone loses nothing that the guest has handed over, and so would never show a missing fsync.
 */
export class VolatileDisk implements BlockDevice {
  readonly size: number;
  #durable: Buffer;
  #cache = new Map<number, Buffer>();
  #events: DiskEvent[] = [];
  #start: { bytes: Buffer; around: ExternalState } | undefined;
  #stampSeen = '';
  #plug: { writesLeft: number; readonly where: Region; readonly pull: () => void } | undefined;
  #dead = false;
  readonly #watched: readonly string[];

  /** `content` is what it has at first, a whole number of blocks. `watched` are recorded with it. */
  constructor(content: Buffer, watched: readonly string[]) {
    this.#watched = watched;
    this.#durable = content;
    this.size = content.length;
  }

  read(offset: number, length: number): Buffer {
    const bytes = Buffer.from(this.#durable.subarray(offset, offset + length));
    for (let block = Math.floor(offset / BLOCK); block * BLOCK < offset + length; block++) {
      const skipped = Math.max(0, offset - block * BLOCK);
      this.#cache.get(block)?.copy(bytes, Math.max(0, block * BLOCK - offset), skipped);
    }
    return bytes;
  }

  write(offset: number, data: Buffer, durable: boolean): void {
    if (this.#dead) return;
    this.#writes++;
    const whole = this.#wholeBlocks(offset, data);
    for (let at = 0; at < whole.data.length; at += BLOCK)
      this.#cache.set((whole.offset + at) / BLOCK, whole.data.subarray(at, at + BLOCK));
    if (durable)
      this.#settle((block) => (block + 1) * BLOCK > offset && block * BLOCK < offset + data.length);
    this.#note({ kind: 'write', ...whole, durable });
    const plug = this.#plug;
    if (plug !== undefined && offset >= plug.where.from && offset < plug.where.to && --plug.writesLeft <= 0)
      plug.pull();
  }

  /** A firmware and its boot loader write sectors; the rest of their blocks stays as it is. */
  #wholeBlocks(offset: number, data: Buffer): { offset: number; data: Buffer } {
    const from = Math.floor(offset / BLOCK) * BLOCK;
    const to = Math.ceil((offset + data.length) / BLOCK) * BLOCK;
    if (to - from === data.length) return { offset, data };
    const bytes = this.read(from, to - from);
    data.copy(bytes, offset - from);
    return { offset: from, data: bytes };
  }

  flush(): void {
    if (this.#dead) return;
    this.#settle(() => true);
    this.#note({ kind: 'flush' });
  }

  /** How often it was written to, ever. */
  get writes(): number {
    return this.#writes;
  }
  #writes = 0;

  /** From now on everything is recorded. */
  record(): void {
    this.#start = { bytes: this.contents(), around: this.#around() };
    this.#stampSeen = this.#stamp();
    this.#events = [];
  }

  /** Remembers that something has been seen by now, such as "online". */
  mark(name: string): void {
    this.#note({ kind: 'mark', name });
  }

  /** What was recorded; it goes on no longer. */
  recorded(): Recording {
    if (this.#start === undefined) throw new Error('nothing was recorded');
    const { bytes, around } = this.#start;
    this.#start = undefined;
    return { start: bytes, around, events: this.#events };
  }

  /**
   * The power goes off after `writes` further writes (in a part of the disk, if it is given); resolves then. Each block that was not flushed survives with the
   * probability `keep`. Nothing is taken until `powerUp`.
   */
  powerCut(
    writes: number,
    keep: number,
    random: () => number,
    where: Region = { from: 0, to: this.size },
  ): Promise<{ lost: number; kept: number }> {
    return new Promise((resolve) => {
      const pull = (): void => resolve(this.#cutNow(keep, random));
      if (writes > 0) this.#plug = { writesLeft: writes, where, pull };
      else pull();
    });
  }

  powerUp(): void {
    this.#dead = false;
  }

  /** The whole content, including what is only in the cache. */
  contents(): Buffer {
    return this.read(0, this.size);
  }

  #cutNow(keep: number, random: () => number): { lost: number; kept: number } {
    this.#plug = undefined;
    this.#dead = true;
    const total = this.#cache.size;
    this.#settle(() => random() < keep);
    const lost = this.#cache.size;
    this.#cache.clear();
    return { lost, kept: total - lost };
  }

  #settle(which: (block: number) => boolean): void {
    for (const [block, data] of this.#cache) {
      if (!which(block)) continue;
      data.copy(this.#durable, block * BLOCK);
      this.#cache.delete(block);
    }
  }

  #note(event: DiskEvent): void {
    if (this.#start === undefined) return;
    const stamp = this.#stamp();
    if (stamp !== this.#stampSeen) {
      this.#stampSeen = stamp;
      this.#events.push({ kind: 'around', files: this.#around() });
    }
    this.#events.push(event);
  }

  #around(): ExternalState {
    return new Map(
      this.#watched.map((path) => [path, existsSync(path) ? readFileSync(path) : undefined] as const),
    );
  }

  #stamp(): string {
    const stats = this.#watched.map((path) => statSync(path, { bigint: true, throwIfNoEntry: false }));
    return stats.map((each) => `${each?.mtimeNs} ${each?.size}`).join();
  }
}

/** A file system of 64 MiB, with what is in the folder `tree` or empty. `scratch` is a path to use for a moment. */
export function fileSystem(scratch: string, tree?: string): Buffer {
  writeFileSync(scratch, '');
  truncateSync(scratch, STATE_SIZE);
  const now = 'lazy_itable_init=0,lazy_journal_init=0';
  const from = tree === undefined ? [] : ['-d', tree];
  const options = ['-t', 'ext4', '-b', String(BLOCK), '-m', '0', '-L', 'state', '-E', now];
  execFileSync('mke2fs', ['-q', ...options, ...from, scratch]);
  const bytes = readFileSync(scratch);
  rmSync(scratch);
  return bytes;
}

/** What a power cut has left, and what had been seen until then. */
export interface PowerCut {
  readonly disk: Buffer;
  readonly around: ExternalState;
  readonly marks: readonly string[];
}

/**
 * What is left when the power goes off after so many events: of each block that was not flushed one of the contents that it was given
 * since, with the probability `keep`. `unit`: how many bytes are written at once, a block or a `SECTOR`.
 */
export function afterPowerCut(
  { start, around, events }: Recording,
  position: number,
  keep: number,
  random: () => number,
  unit = BLOCK,
): PowerCut {
  const disk = Buffer.from(start);
  const marks: string[] = [];
  let beside = around;
  /** What was written to each place since the last flush, oldest first. */
  const cache = new Map<number, Buffer[]>();
  for (const event of events.slice(0, position)) {
    if (event.kind === 'around') beside = event.files;
    else if (event.kind === 'mark') marks.push(event.name);
    else if (event.kind === 'flush') {
      for (const [at, contents] of cache) contents.at(-1)!.copy(disk, at);
      cache.clear();
    } else
      for (let at = 0; at < event.data.length; at += unit) {
        const bytes = event.data.subarray(at, at + unit);
        const place = event.offset + at;
        if (event.durable) {
          bytes.copy(disk, place);
          cache.delete(place);
        } else cache.set(place, [...(cache.get(place) ?? []), bytes]);
      }
  }
  for (const [at, contents] of cache)
    if (random() < keep) contents[Math.floor(random() * contents.length)]!.copy(disk, at);
  return { disk, around: beside, marks };
}
