import { Failure } from '../../protocol/failure.ts';

/** Checks one field of an input. @throws Failure `fabric.bad-input` */
export type Field<Value> = (name: string, value: unknown) => Value;

/**
 * The fields of a JSON object, which has these and no others.
 * @throws Failure `fabric.bad-input` for an unknown, a missing or a wrong one
 */
export function fields<Input extends object>(
  input: unknown,
  shape: { readonly [K in keyof Input]-?: Field<Input[K]> },
): Input {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw badInput('the input', 'is not an object');
  }
  const unknown = Object.keys(input).find((name) => !Object.hasOwn(shape, name));
  if (unknown !== undefined) throw badInput(unknown.slice(0, 40), 'is not known');
  const checked = Object.entries<Field<unknown>>(shape).map(([name, field]) => [
    name,
    field(name, (input as Record<string, unknown>)[name]),
  ]);
  return Object.fromEntries(checked) as Input;
}

/** Control characters move a terminal's cursor; half a surrogate pair is no character and changes when it is stored. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** Printable text of up to `most` characters. */
export function text(most: number): Field<string> {
  return (name, value) => {
    if (value === undefined) throw badInput(name, 'is missing');
    if (typeof value !== 'string') throw badInput(name, 'is not text');
    if (value.length > most) throw badInput(name, `has more than ${most} characters`);
    if (UNPRINTABLE.test(value)) throw badInput(name, 'has control characters');
    return value;
  };
}

/** A whole number within bounds. */
export function whole(least: number, most: number): Field<number> {
  return (name, value) => {
    if (value === undefined) throw badInput(name, 'is missing');
    if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) {
      return value as number;
    }
    throw badInput(name, `is not a whole number from ${least} to ${most}`);
  };
}

/** One of a few words. */
export function oneOf<Word extends string>(...words: readonly Word[]): Field<Word> {
  return (name, value) => {
    if (value === undefined) throw badInput(name, 'is missing');
    if (words.includes(value as Word)) return value as Word;
    throw badInput(name, `is none of ${words.join(', ')}`);
  };
}

/** A list of at most so many values. */
export function list<Value>(each: Field<Value>, most: number): Field<readonly Value[]> {
  return (name, value) => {
    if (value === undefined) throw badInput(name, 'is missing');
    if (!Array.isArray(value)) throw badInput(name, 'is not a list');
    if (value.length > most) throw badInput(name, `has more than ${most} values`);
    return value.map((one) => each(name, one));
  };
}

/** A field that may be absent. */
export function optional<Value>(field: Field<Value>): Field<Value | undefined> {
  return (name, value) => (value === undefined ? undefined : field(name, value));
}

/** Any JSON value, checked elsewhere. */
export const anything: Field<unknown> = (_, value) => value;

/** A field that is not what the operation needs. */
export function badInput(name: string, what: string): Failure {
  return new Failure('fabric.bad-input', 'operator', `the operation cannot be run: ${name} ${what}`, {
    action:
      'Correct the input; a command line and a fabric of different versions may not understand each other.',
  });
}
