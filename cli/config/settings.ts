import { parse as parseToml, TomlError } from 'smol-toml';
import { Failure } from '../../protocol/failure.ts';
import { nearest } from '../program.ts';
import type { Key } from './key-types.ts';
import { isRefusal, type Refusal } from './refusal.ts';

/** A configuration file in TOML, read and written by one table that has each key's section, name, type, bounds, default and meaning. */

/** All keys of a program, by section. */
export type Schema = Readonly<Record<string, Readonly<Record<string, Key<unknown>>>>>;

type Camel<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : S;
type Value<K> = K extends { read(value: unknown): infer R } ? Exclude<R, Refusal> : never;

/** The checked values of a schema; `listen-port` is `listenPort`, durations are milliseconds. */
export type Settings<S> = {
  readonly [Section in keyof S]: {
    readonly [K in keyof S[Section] & string as Camel<K>]: Value<S[Section][K]>;
  };
};

/** What failures name: the file that was read, and where its keys are explained. */
export interface Source {
  readonly path: string;
  readonly manual: string;
}

/**
 * Reads a configuration's text, with the default of each key that is not in it.
 * @throws Failure `config.bad-toml`, `config.unknown-key`, `config.missing-key`, `config.bad-value`
 */
export function readSettings<S extends Schema>(schema: S, text: string, source: Source): Settings<S> {
  const document = readToml(text, source.path);
  refuseUnknown(document, Object.keys(schema), source, (name) => `section [${name}]`);
  const settings: Record<string, Record<string, unknown>> = {};
  for (const [section, keys] of Object.entries(schema)) {
    const given = document[section] ?? {};
    if (typeof given !== 'object' || Array.isArray(given) || given instanceof Date) {
      throw badValue(source, section, 'a section', given);
    }
    const values = given as Record<string, unknown>;
    refuseUnknown(values, Object.keys(keys), source, (name) => `key ${section}.${name}`);
    settings[section] = Object.fromEntries(
      Object.entries(keys).map(([name, key]) => [
        camel(name),
        readKey(source, `${section}.${name}`, key, values[name]),
      ]),
    );
  }
  return settings as Settings<S>;
}

/** The settings as TOML, every key with its value. */
export function writeSettings<S extends Schema>(schema: S, settings: Settings<S>): string {
  const values = settings as unknown as Record<string, Record<string, unknown>>;
  return Object.entries(schema)
    .map(([section, keys]) => {
      const lines = Object.entries(keys).map(
        ([name, key]) => `${name} = ${key.write(values[section]![camel(name)])}`,
      );
      return `[${section}]\n${lines.join('\n')}\n`;
    })
    .join('\n');
}

/** The failure of a key that has to be there. */
export function missingKey({ path, manual }: Source, name: string, why: string): Failure {
  return new Failure('config.missing-key', 'operator', `${path}: ${name} ${why}`, {
    action: `Set ${name}; see ${manual}.`,
  });
}

function readToml(text: string, path: string): Record<string, unknown> {
  try {
    return parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const summary = error.message.split('\n')[0];
    throw new Failure('config.bad-toml', 'operator', `${path}, line ${error.line}: ${summary}`, {
      action: `Correct line ${error.line}; text goes in quotes, and each key stands under its [section].`,
      cause: error,
    });
  }
}

function readKey(source: Source, name: string, key: Key<unknown>, given: unknown): unknown {
  if (given === undefined && key.default === undefined) throw missingKey(source, name, 'is required');
  const value = given ?? parseToml(`value = ${key.default}`).value;
  const read = key.read(value);
  if (isRefusal(read)) throw badValue(source, name, read.expected, key.secret ? SECRET : value);
  return read;
}

function refuseUnknown(
  given: Record<string, unknown>,
  known: readonly string[],
  { path }: Source,
  describe: (name: string) => string,
): void {
  const name = Object.keys(given).find((each) => !known.includes(each));
  if (name === undefined) return;
  const near = nearest(name, known);
  throw new Failure('config.unknown-key', 'operator', `${path}: unknown ${describe(name)}`, {
    action: near ? `Did you mean ${describe(near)}?` : `Known here: ${known.join(', ')}.`,
  });
}

const SECRET = 'something that is not shown';

function badValue({ path, manual }: Source, name: string, expected: string, got: unknown): Failure {
  const shown =
    JSON.stringify(got, (_, value) => (typeof value === 'bigint' ? String(value) : value)) ?? 'nothing';
  const refused = `${path}: ${name}: expected ${expected}`;
  return new Failure('config.bad-value', 'operator', `${refused}, got ${shown.slice(0, 80)}`, {
    action: `Correct ${name}; see ${manual}.`,
    publicMessage: refused,
  });
}

const camel = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
