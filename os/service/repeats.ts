import type { Level, Log } from './log.ts';

/** What passes within a period: of each of the first `subjects` subjects the first `each` items. */
export interface RepeatLimits {
  readonly each: number;
  readonly subjects: number;
  readonly periodMs: number;
}

/** Passes on the first items of each subject and sums up the others, so that nobody can cause any number of them from outside. */
export interface Repeats<Item> {
  add(subject: string, item: Item): void;
  /** Sums up what was left out so far. */
  close(): void;
}

interface Subject<Item> {
  passed: number;
  leftOut: number;
  last: Item;
}

/**
 * `pass` gets an item and how many more like it were left out before it: 0 for those that pass at once. At the end of a period the last item that
 * was left out is passed, for each subject, and one for all subjects that were too many. A period begins with the first item.
 */
export function repeats<Item>(
  pass: (item: Item, more: number) => void,
  { each, subjects, periodMs }: RepeatLimits,
): Repeats<Item> {
  const known = new Map<string, Subject<Item>>();
  let others: Subject<Item> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function sumUp(): void {
    clearTimeout(timer);
    timer = undefined;
    const left = [...known.values(), ...(others === undefined ? [] : [others])];
    known.clear();
    others = undefined;
    for (const { leftOut, last } of left) if (leftOut > 0) pass(last, leftOut - 1);
  }

  function subjectOf(name: string, item: Item): Subject<Item> {
    const found = known.get(name);
    if (found !== undefined) return found;
    if (known.size < subjects) {
      const subject = { passed: 0, leftOut: 0, last: item };
      known.set(name, subject);
      return subject;
    }
    others ??= { passed: each, leftOut: 0, last: item };
    return others;
  }

  return {
    add(name, item) {
      timer ??= setTimeout(sumUp, periodMs).unref();
      const subject = subjectOf(name, item);
      if (subject.passed < each) {
        subject.passed++;
        pass(item, 0);
        return;
      }
      subject.leftOut++;
      subject.last = item;
    },
    close: sumUp,
  };
}

/** A kind of line that an outsider can cause; the subject is whoever does: a device, a source. */
export interface RepeatedLine {
  (subject: string, message: string, cause?: unknown): void;
  close(): void;
}

const LINES: RepeatLimits = { each: 3, subjects: 100, periodMs: 60_000 };

/** Writes a kind of line at this level: at once or, beyond the limits, in a line that says how many more like it there were. Lines that the log counts itself are written at once. */
export function repeatedLine(log: Log, level: Level, limits: Partial<RepeatLimits> = {}): RepeatedLine {
  const all = { ...LINES, ...limits };
  const lines = repeats<{ readonly message: string; readonly cause: unknown }>(({ message, cause }, more) => {
    const sum = more === 0 ? '' : ` (and ${more} more like it in ${all.periodMs / 1_000} s)`;
    log(level, `${message}${sum}`, cause);
  }, all);
  function add(subject: string, message: string, cause?: unknown): void {
    if (log.counts?.(cause)) log(level, message, cause);
    else lines.add(subject, { message, cause });
  }
  return Object.assign(add, { close: lines.close });
}
