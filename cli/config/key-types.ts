import { isRefusal, type Refusal, refuse } from './refusal.ts';

/** The kinds of settings a configuration key can have: type in words, check, and way back to TOML. */

/** One key. `read` turns a TOML value into what the program uses, or returns what was expected. */
export interface Key<T> {
  /** The type in words, as the manual prints it. */
  readonly type: string;
  /** What it is in TOML, for whoever makes a value of a command line's text. */
  readonly toml: 'text' | 'number' | 'boolean' | 'list';
  /** As TOML; undefined: the key is required. */
  readonly default: string | undefined;
  readonly doc: string;
  /** A value of it may hold a secret: it is never shown. */
  readonly secret?: true;
  read(value: unknown): T | Refusal;
  /** Back to TOML. */
  write(value: T): string;
}

/** What every kind of setting has: a default as TOML (none: required) and its line in the manual. */
export interface Meaning {
  readonly default?: string;
  readonly doc: string;
}

/** Text; `check` returns what was expected, or undefined if the value is valid. */
export function text(
  meaning: Meaning,
  check: (value: string) => string | undefined = () => undefined,
): Key<string> {
  return {
    type: 'text',
    toml: 'text',
    default: meaning.default,
    doc: meaning.doc,
    read(value) {
      if (typeof value !== 'string') return refuse('text in quotes');
      const expected = check(value);
      return expected === undefined ? value : refuse(expected);
    },
    write: (value) => JSON.stringify(value),
  };
}

/** A whole number between two bounds, both included. */
export function whole(from: number, to: number, meaning: Meaning): Key<number> {
  return {
    type: `whole number ${from} to ${to}`,
    toml: 'number',
    default: meaning.default,
    doc: meaning.doc,
    read: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to
        ? value
        : refuse(`a whole number from ${from} to ${to}`),
    write: String,
  };
}

/** A boolean. */
export function yesNo(meaning: Meaning): Key<boolean> {
  return {
    type: 'true or false',
    toml: 'boolean',
    default: meaning.default,
    doc: meaning.doc,
    read: (value) => (typeof value === 'boolean' ? value : refuse('true or false')),
    write: String,
  };
}

/** One of a few words. */
export function choice<const T extends string>(values: readonly T[], meaning: Meaning): Key<T> {
  const listed = values.map((value) => JSON.stringify(value)).join(' or ');
  return {
    type: listed,
    toml: 'text',
    default: meaning.default,
    doc: meaning.doc,
    read: (value) => values.find((each) => each === value) ?? refuse(listed),
    write: (value) => JSON.stringify(value),
  };
}

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A duration with its unit, "25s"; milliseconds inside. */
export function span(fromMs: number, toMs: number, meaning: Meaning): Key<number> {
  const bounds = `${writeSpan(fromMs)} to ${writeSpan(toMs)}`;
  return {
    type: `duration ${bounds}`,
    toml: 'text',
    default: meaning.default,
    doc: meaning.doc,
    read(value) {
      const match = typeof value === 'string' ? /^(\d{1,9}) ?(ms|s|m|h)$/.exec(value) : null;
      const ms = match ? Number(match[1]) * UNITS[match[2]!]! : Number.NaN;
      return ms >= fromMs && ms <= toMs ? ms : refuse(`a duration in quotes such as "25s", ${bounds}`);
    },
    write: (ms) => JSON.stringify(writeSpan(ms)),
  };
}

/** A duration, or one of a few words. */
export function spanOr<const W extends string>(
  words: readonly W[],
  fromMs: number,
  toMs: number,
  meaning: Meaning,
): Key<number | W> {
  const { read: readSpan, ...on } = span(fromMs, toMs, meaning);
  const listed = words.map((word) => `${JSON.stringify(word)} or `).join('');
  return {
    ...on,
    type: `${listed}${on.type}`,
    read(value) {
      const word = words.find((each) => each === value);
      if (word !== undefined) return word;
      const read = readSpan(value);
      return isRefusal(read) ? refuse(`${listed}${read.expected}`) : read;
    },
    write: (value) => (typeof value === 'string' ? JSON.stringify(value) : on.write(value)),
  };
}

/** A duration, or `"off"`: 0 inside. */
export function spanOrOff(fromMs: number, toMs: number, meaning: Meaning): Key<number> {
  const { read, write, ...rest } = spanOr(['off'], fromMs, toMs, meaning);
  return {
    ...rest,
    read(value) {
      const ms = read(value);
      return ms === 'off' ? 0 : ms;
    },
    write: (ms) => write(ms === 0 ? 'off' : ms),
  };
}

function writeSpan(ms: number): string {
  const unit = ['h', 'm', 's'].find((each) => ms >= UNITS[each]! && ms % UNITS[each]! === 0) ?? 'ms';
  return `${ms / UNITS[unit]!}${unit}`;
}

/** A list of `least` to 64 items, each written as text. */
export function list<T>(
  type: string,
  least: number,
  one: (text: string) => T | Refusal,
  write: (item: T) => string,
  meaning: Meaning,
  most = 64,
): Key<readonly T[]> {
  return {
    type: `list of ${type}`,
    toml: 'list',
    default: meaning.default,
    doc: meaning.doc,
    read(value) {
      if (!Array.isArray(value) || value.length < least || value.length > most) {
        return refuse(`a list of ${least} to ${most} ${type}, each in quotes`);
      }
      const items: T[] = [];
      for (const each of value) {
        const item = typeof each === 'string' ? one(each) : refuse(`${type} in quotes`);
        if (isRefusal(item)) return item;
        items.push(item);
      }
      return items;
    },
    write: (items) => `[${items.map((item) => JSON.stringify(write(item))).join(', ')}]`,
  };
}
