import { prefixesOf } from '../../os/net/peer.ts';

/**
 * Things that wait, each from a source, counted by the prefixes of their sources. When there are too many, the most crowded prefix
 * pays. Only the older half is counted: what the newer half is, has the time that half of all take to arrive. The same as
 * native/backlog/backlog.h, which says more.
 */
export interface Backlog<T> {
  /** Adds the newest; one that is in it already is not to be added. */
  add(item: T, source: string): void;
  /** False if it is not in it. */
  remove(item: T): boolean;
  /**
   * The oldest, or the newest, of the most crowded prefix. Of equally crowded prefixes it is the one that has been so the
   * longest.
   */
  crowded(end?: 'oldest' | 'newest'): T | undefined;
  /** True if no prefix is more crowded than those of this source: one more of it would pay. */
  isCrowded(source: string): boolean;
  /** The oldest of a source. */
  of(source: string): T | undefined;
  readonly oldest: T | undefined;
  readonly count: number;
}

interface Entry<T> {
  readonly item: T;
  readonly source: Prefix<T>;
  /** In the older half. */
  old: boolean;
}

interface Prefix<T> {
  readonly parent: Prefix<T> | undefined;
  readonly name: string;
  /** Those below it that are in the older half. */
  old: number;
  /** When `old` changed last, in changes of the backlog. */
  changed: number;
  /** Its index in the parent's heap. */
  at: number;
  /** The prefixes below it, the most crowded first. */
  readonly heap: Prefix<T>[];
  /** Of a source. */
  readonly entries: Set<Entry<T>>;
}

export function backlog<T>(): Backlog<T> {
  const all = prefix<T>(undefined, '', 0);
  const prefixes = new Map<string, Prefix<T>>();
  const entries = new Map<T, Entry<T>>();
  /** The newer half, oldest first. */
  const recent = new Set<Entry<T>>();
  let changes = 0;

  const top = (): Prefix<T> => {
    let at = all;
    while (at.heap.length > 0) at = at.heap[0]!;
    return at;
  };

  function sourceAt(source: string): Prefix<T> {
    let at = all;
    for (const name of prefixesOf(source)) {
      let below = prefixes.get(name);
      if (below === undefined) {
        below = prefix(at, name, ++changes);
        prefixes.set(name, below);
        at.heap.push(below);
        sift(below);
      }
      at = below;
    }
    return at;
  }

  function setOld(entry: Entry<T>, old: boolean): void {
    entry.old = old;
    changes++;
    for (let at = entry.source; at.parent !== undefined; at = at.parent) {
      at.old += old ? 1 : -1;
      at.changed = changes;
      sift(at);
    }
  }

  /** Half of all are old, at least. */
  function age(): void {
    while (recent.size > entries.size / 2) {
      const entry = firstOf(recent)!;
      recent.delete(entry);
      setOld(entry, true);
    }
  }

  /** Forgets the prefixes on the way up that hold nothing any more. */
  function prune(from: Prefix<T>): void {
    let at = from;
    while (at.parent !== undefined && at.entries.size === 0 && at.heap.length === 0) {
      prefixes.delete(at.name);
      takeOut(at, at.parent.heap);
      at = at.parent;
    }
  }

  return {
    add(item, source) {
      const entry = { item, source: sourceAt(source), old: false };
      entries.set(item, entry);
      entry.source.entries.add(entry);
      recent.add(entry);
      age();
    },
    remove(item) {
      const entry = entries.get(item);
      if (entry === undefined) return false;
      if (entry.old) setOld(entry, false);
      else recent.delete(entry);
      entries.delete(item);
      entry.source.entries.delete(entry);
      prune(entry.source);
      age();
      return true;
    },
    crowded: (end = 'oldest') => (end === 'oldest' ? firstOf(top().entries) : lastOf(top().entries))?.item,
    isCrowded(source) {
      let at = all;
      for (const name of prefixesOf(source)) {
        const own = prefixes.get(name);
        if ((own?.old ?? 0) < (at.heap[0]?.old ?? 0)) return false;
        if (own === undefined) return true;
        at = own;
      }
      return true;
    },
    of: (source) => firstOf(prefixes.get(prefixesOf(source).at(-1)!)?.entries ?? [])?.item,
    get oldest() {
      return firstOf(entries.keys());
    },
    get count() {
      return entries.size;
    },
  };
}

/**
 * Which of the backlogs pays when they have `most` entries together: the first that holds more than a quarter of them, so that
 * none is squeezed out by one behind it, or else the first that holds any.
 */
export function payerOf<T>(backlogs: readonly Backlog<T>[], most: number): Backlog<T> | undefined {
  const quarter = Math.floor(most / 4);
  return backlogs.find(({ count }) => count > quarter) ?? backlogs.find(({ count }) => count > 0);
}

function prefix<T>(parent: Prefix<T> | undefined, name: string, changed: number): Prefix<T> {
  return { parent, name, old: 0, changed, at: parent?.heap.length ?? 0, heap: [], entries: new Set() };
}

const moreCrowded = <T>(one: Prefix<T>, other: Prefix<T>): boolean =>
  one.old === other.old ? one.changed < other.changed : one.old > other.old;

/** Moves a prefix to where it belongs in its parent's heap. */
function sift<T>(moved: Prefix<T>): void {
  const { heap } = moved.parent!;
  let at = moved.at;
  const put = (index: number, each: Prefix<T>): void => {
    heap[index] = each;
    each.at = index;
  };
  for (let up = (at - 1) >> 1; at > 0 && moreCrowded(moved, heap[up]!); up = (at - 1) >> 1) {
    put(at, heap[up]!);
    at = up;
  }
  for (let down = 2 * at + 1; down < heap.length; down = 2 * at + 1) {
    if (down + 1 < heap.length && moreCrowded(heap[down + 1]!, heap[down]!)) down++;
    if (!moreCrowded(heap[down]!, moved)) break;
    put(at, heap[down]!);
    at = down;
  }
  put(at, moved);
}

function takeOut<T>(gone: Prefix<T>, heap: Prefix<T>[]): void {
  const last = heap.pop()!;
  if (last === gone) return;
  last.at = gone.at;
  heap[gone.at] = last;
  sift(last);
}

function firstOf<E>(items: Iterable<E>): E | undefined {
  for (const item of items) return item;
  return undefined;
}

const lastOf = <E>(items: Iterable<E>): E | undefined => [...items].at(-1);
