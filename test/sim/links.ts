/** Lists in which each item is at most once, in one of them: first in, first out, and any item leaves in constant time. */
export interface Lists {
  push(list: number, item: number): void;
  remove(list: number, item: number): void;
  /** -1 if it is empty. */
  first(list: number): number;
  count(list: number): number;
}

const NONE = -1;

/** `items` and `lists` are how many there are of each; all memory is taken here. */
export function linkedLists(items: number, lists: number): Lists {
  const next = new Int32Array(items).fill(NONE);
  const before = new Int32Array(items).fill(NONE);
  const head = new Int32Array(lists).fill(NONE);
  const tail = new Int32Array(lists).fill(NONE);
  const counts = new Int32Array(lists);
  return {
    push(list, item) {
      const last = tail[list]!;
      before[item] = last;
      next[item] = NONE;
      if (last === NONE) head[list] = item;
      else next[last] = item;
      tail[list] = item;
      counts[list]!++;
    },
    remove(list, item) {
      const after = next[item]!;
      const prior = before[item]!;
      if (prior === NONE) head[list] = after;
      else next[prior] = after;
      if (after === NONE) tail[list] = prior;
      else before[after] = prior;
      counts[list]!--;
    },
    first: (list) => head[list]!,
    count: (list) => counts[list]!,
  };
}

/** One timer for each item, in steps of time that are counted from 0. */
export interface Wheel {
  /** Sets the timer of the item, in place of the one that it has. One behind the last step never ends. */
  set(item: number, step: number): void;
  clear(item: number): void;
  isSet(item: number): boolean;
  /** How many are set. */
  readonly count: number;
  /** Calls `each` for the items whose timers end in this step; they may set timers of later steps. */
  end(step: number, each: (item: number) => void): void;
}

export function timerWheel(items: number, steps: number): Wheel {
  const lists = linkedLists(items, steps + 1);
  const at = new Int32Array(items).fill(NONE);
  let count = 0;
  const clear = (item: number): void => {
    const step = at[item]!;
    if (step === NONE) return;
    lists.remove(step, item);
    at[item] = NONE;
    count--;
  };
  return {
    set(item, step) {
      clear(item);
      const kept = Math.min(step, steps);
      lists.push(kept, item);
      at[item] = kept;
      count++;
    },
    clear,
    isSet: (item) => at[item] !== NONE,
    get count() {
      return count;
    },
    end(step, each) {
      for (let item = lists.first(step); item !== NONE; item = lists.first(step)) {
        clear(item);
        each(item);
      }
    },
  };
}
