/** A map of bounded size. */
export interface NewestMap<K, V> {
  get(key: K): V | undefined;
  /** The entry is the newest one then; if there are too many the oldest one goes. */
  set(key: K, value: V): void;
  delete(key: K): boolean;
  readonly size: number;
}

/** A map that holds the `most` entries that were set last. */
export function newestMap<K, V>(most: number): NewestMap<K, V> {
  const entries = new Map<K, V>();
  // It stands before the oldest entry, and is kept: a new one would have to pass over all that were deleted since the map grew last.
  let oldest = entries.keys();

  function removeOldest(): void {
    let next = oldest.next();
    if (next.done) {
      oldest = entries.keys();
      next = oldest.next();
    }
    entries.delete(next.value!);
  }

  return {
    get: (key) => entries.get(key),
    set(key, value) {
      entries.delete(key);
      entries.set(key, value);
      if (entries.size > most) removeOldest();
    },
    delete: (key) => entries.delete(key),
    get size() {
      return entries.size;
    },
  };
}
