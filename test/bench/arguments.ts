import { closeSync, openSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { nearest } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';

/** One option of a benchmark: `--name VALUE`, or a flag without `value`. */
export interface Option {
  readonly name: string;
  readonly value?: string;
  readonly help: string;
  readonly many?: boolean;
}

/** What was typed, checked against the options. */
export interface Given {
  flag(name: string): boolean;
  value(name: string): string | undefined;
  values(name: string): readonly string[];
  /** A whole number within bounds, or `otherwise`. @throws Failure `bench.bad-option` */
  whole(name: string, from: number, to: number, otherwise: number): number;
}

/** Reads the arguments after the script. @throws Failure `bench.bad-option` */
export function readArguments(options: readonly Option[], argv: readonly string[]): Given {
  const known = Object.fromEntries(
    options.map((option) => [
      option.name,
      {
        type: option.value === undefined ? ('boolean' as const) : ('string' as const),
        multiple: option.many ?? false,
      },
    ]),
  );
  let values: Record<string, unknown>;
  try {
    values = parseArgs({ args: [...argv], options: known }).values;
  } catch (error) {
    const typed = /'(?:-\w, )?--?([^' ]*)/.exec((error as Error).message)?.[1] ?? '';
    const near = nearest(
      typed,
      options.map((option) => option.name),
    );
    throw badOption(
      (error as Error).message.split('. ')[0]!,
      near && near !== typed ? `Did you mean "--${near}"?` : 'See --help.',
    );
  }
  const value = (name: string): string | undefined => values[name] as string | undefined;
  return {
    flag: (name) => values[name] === true,
    value,
    values: (name) => (values[name] as string[] | undefined) ?? [],
    whole(name, from, to, otherwise) {
      const text = value(name);
      if (text === undefined) return otherwise;
      const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
      if (number >= from && number <= to) return number;
      throw badOption(
        `--${name}: expected a whole number from ${from} to ${to}, got ${JSON.stringify(text)}`,
        `Give a number, e.g. --${name} ${otherwise}.`,
      );
    },
  };
}

export const badOption = (message: string, action: string): Failure =>
  new Failure('bench.bad-option', 'operator', message, { action });

/** Finds out before an hour of measuring that the results can be written. @throws Failure `bench.cannot-write` */
export function ensureWritable(file: string | undefined, option = 'json'): void {
  if (file === undefined) return;
  try {
    closeSync(openSync(file, 'a'));
  } catch (cause) {
    throw new Failure(
      'bench.cannot-write',
      'operator',
      `--${option}: cannot write ${file}: ${(cause as Error).message}`,
      {
        action: 'Give a file in a folder that exists.',
        cause,
      },
    );
  }
}

/** The options as `--help` lists them. */
export function describeOptions(options: readonly Option[]): string {
  const names = options.map((option) => `--${option.name}${option.value ? ` ${option.value}` : ''}`);
  const width = Math.max(...names.map((name) => name.length));
  return options.map((option, i) => `  ${names[i]!.padEnd(width)}  ${option.help}`).join('\n');
}
