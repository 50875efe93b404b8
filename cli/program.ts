import { type ParseArgsConfig, parseArgs } from 'node:util';
import { Failure } from '../protocol/failure.ts';

/** One option of a command: `--name VALUE`, or a flag without `value`. */
export interface Option {
  readonly name: string;
  /** Another name that means the same. */
  readonly alias?: string;
  /** Placeholder of the value in the help, e.g. `FILE`; absent for a flag. */
  readonly value?: string;
  readonly help: string;
  readonly default?: string;
  readonly many?: boolean;
  /** It has to be given: always, or in the case that the text names, e.g. `with --station`. */
  readonly required?: true | string;
}

/** What a command gets: checked options, positionals, and where to print. */
export interface Invocation {
  readonly positionals: readonly string[];
  /** The value of `--name`, its default, or undefined. */
  option(name: string): string | undefined;
  /** The value of an option that has a default, or is marked as required. @throws Failure `cli.missing-option` */
  required(name: string): string;
  options(name: string): readonly string[];
  flag(name: string): boolean;
  /** Prints `value` as JSON with `--json`, else `text()`. */
  print(value: unknown, text: () => string): void;
}

export interface Command {
  /** One or two words, e.g. `group create`. */
  readonly name: string;
  readonly summary: string;
  /** Positionals in the usage line, e.g. `<prefix/64>`. */
  readonly arguments?: string;
  readonly options?: readonly Option[];
  readonly examples?: readonly string[];
  /** Returns the exit code; undefined is 0. */
  run(invocation: Invocation): Promise<number | undefined>;
}

/** Commands of one subject, under its heading in the help. */
export interface Section {
  readonly title: string;
  readonly commands: readonly Command[];
}

export interface Program {
  readonly name: string;
  readonly summary: string;
  readonly version: string;
  readonly sections: readonly Section[];
}

export const commandsOf = ({ sections }: Pick<Program, 'sections'>): readonly Command[] =>
  sections.flatMap(({ commands }) => commands);

/**
 * Exit codes of all programs: 0 done, 1 failed (the Failure is printed), 2 wrong usage, 78 the configuration is
 * unusable (EX_CONFIG: a retry is useless until a person corrects it, and the service manager makes none).
 */
export const EXIT = { ok: 0, failed: 1, usage: 2, config: 78 } as const;

/** What each exit code means, for help texts and man pages. */
const EXIT_MEANING: Record<keyof typeof EXIT, string> = {
  ok: 'done',
  failed: 'failed',
  usage: 'wrong usage',
  config: 'unusable configuration',
};

/** `PROGRAM help --json`: everything in the help texts, from which man pages and completions are generated. */
export interface Description {
  readonly name: string;
  readonly summary: string;
  readonly version: string;
  readonly commands: readonly (Omit<Command, 'run'> & { readonly section: string })[];
  readonly exits: readonly { readonly code: number; readonly meaning: string }[];
}

/** Parses `argv` (without node and script), runs the command and returns the exit code. Never throws. */
export async function runProgram(program: Program, argv: readonly string[]): Promise<number> {
  try {
    return await dispatch(program, argv);
  } catch (error) {
    return report(program.name, error, argv.includes('--json'));
  }
}

async function dispatch(program: Program, argv: readonly string[]): Promise<number> {
  const first = argv[0];
  if (first === '--version' || first === '-V') {
    process.stdout.write(`${program.name} ${program.version}\n`);
    return EXIT.ok;
  }
  if (first === 'help' && argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify(describe(program), null, 2)}\n`);
    return EXIT.ok;
  }
  if (first === undefined || first === '--help' || first === '-h' || first === 'help') {
    (first === undefined ? process.stderr : process.stdout).write(programHelp(program));
    return first === undefined ? EXIT.usage : EXIT.ok;
  }
  const inGroup = commandsOf(program).filter((command) => command.name.startsWith(`${first} `));
  if (inGroup.length > 0 && (argv.length === 1 || argv[1] === '--help' || argv[1] === '-h')) {
    (argv.length === 1 ? process.stderr : process.stdout).write(groupHelp(program, first, inGroup));
    return argv.length === 1 ? EXIT.usage : EXIT.ok;
  }
  const command = findCommand(program, argv);
  const rest = argv.slice(command.name.split(' ').length);
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(commandHelp(program, command));
    return EXIT.ok;
  }
  return (await command.run(invocation(program, command, rest))) ?? EXIT.ok;
}

function findCommand(program: Program, argv: readonly string[]): Command {
  for (const words of [2, 1]) {
    const name = argv.slice(0, words).join(' ');
    const found = commandsOf(program).find((command) => command.name === name);
    if (found) return found;
  }
  const typed = argv
    .slice(0, 2)
    .filter((word) => !word.startsWith('-'))
    .join(' ');
  const near = nearest(
    typed,
    commandsOf(program).map((command) => command.name),
  );
  throw new Failure('cli.unknown-command', 'operator', `unknown command ${JSON.stringify(typed)}`, {
    action: near ? `Did you mean "${program.name} ${near}"?` : `See "${program.name} --help".`,
  });
}

/** The options of a command, and the one that all have. */
const optionsOf = (command: Pick<Command, 'options'>): readonly Option[] => [
  ...(command.options ?? []),
  { name: 'json', help: 'print JSON' },
];

const UNKNOWN = 'ERR_PARSE_ARGS_UNKNOWN_OPTION';

/** The first option in the arguments that is not one of `options`. */
function firstUnknown(
  args: readonly string[],
  options: NonNullable<ParseArgsConfig['options']>,
): string | undefined {
  const { tokens } = parseArgs({
    args: [...args],
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  return tokens.flatMap((token) =>
    token.kind === 'option' && !Object.hasOwn(options, token.name) ? [token.name] : [],
  )[0];
}

function invocation(program: Program, command: Command, args: readonly string[]): Invocation {
  const known = optionsOf(command);
  const config = Object.fromEntries(
    known.flatMap((option) => {
      const type = option.value === undefined ? ('boolean' as const) : ('string' as const);
      const form = { type, multiple: option.many ?? false };
      return [option.name, ...(option.alias === undefined ? [] : [option.alias])].map((name) => [name, form]);
    }),
  );
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: [...args], options: config, allowPositionals: true });
  } catch (error) {
    const unknown = (error as NodeJS.ErrnoException).code === UNKNOWN && firstUnknown(args, config);
    const near = unknown ? nearest(unknown, Object.keys(config)) : undefined;
    throw new Failure('cli.bad-option', 'operator', (error as Error).message.split('. ')[0]!, {
      action: near ? `Did you mean "--${near}"?` : `See "${program.name} ${command.name} --help".`,
    });
  }
  const expected = (command.arguments ?? '').split(' ').filter((word) => word !== '');
  const least = expected.filter((word) => word.startsWith('<')).length;
  const most = expected.some((word) => word.endsWith('…')) ? Number.POSITIVE_INFINITY : expected.length;
  if (parsed.positionals.length < least || parsed.positionals.length > most) {
    throw new Failure(
      'cli.bad-arguments',
      'operator',
      `expected ${command.arguments ?? 'no arguments'}, got ${parsed.positionals.length === 0 ? 'nothing' : parsed.positionals.join(' ')}`,
      { action: `See "${program.name} ${command.name} --help".` },
    );
  }
  const values = byName(known, parsed.values);
  const option = (name: string): string | undefined =>
    (values[name] as string | undefined) ?? known.find((each) => each.name === name)?.default;
  const missing = (name: string): Failure =>
    new Failure('cli.missing-option', 'operator', `--${name} is required`, {
      action: `See "${program.name} ${command.name} --help".`,
    });
  const absent = known.find((each) => each.required === true && option(each.name) === undefined);
  if (absent !== undefined) throw missing(absent.name);
  return {
    positionals: parsed.positionals,
    option,
    required(name) {
      const { required, default: usual } = known.find((each) => each.name === name) ?? {};
      if (required === undefined && usual === undefined)
        throw new Error(`the help of ${command.name} does not say that it requires --${name}`);
      const value = option(name);
      if (value === undefined) throw missing(name);
      return value;
    },
    options: (name) => (values[name] as string[] | undefined) ?? [],
    flag: (name) => values[name] === true,
    print(value, text) {
      process.stdout.write(
        values.json === true ? `${JSON.stringify(value, null, 2)}\n` : `${text().replace(/\n$/, '')}\n`,
      );
    },
  };
}

/** The values by the names of options; an alias and its option together would be two answers. @throws Failure `cli.bad-option` */
function byName(
  known: readonly Option[],
  { ...values }: ReturnType<typeof parseArgs>['values'],
): ReturnType<typeof parseArgs>['values'] {
  for (const { name, alias } of known) {
    if (alias === undefined || values[alias] === undefined) continue;
    if (values[name] !== undefined) {
      throw new Failure('cli.bad-option', 'operator', `--${alias} is --${name}`, {
        action: 'Give one of them.',
      });
    }
    values[name] = values[alias];
  }
  return values;
}

function programHelp(program: Program): string {
  const width = widthOf(commandsOf(program));
  const sections = program.sections.map(
    ({ title, commands }) => `${title}:\n${commandLines(commands, width)}\n\n`,
  );
  return `${program.name} – ${program.summary}\n\n${sections.join('')}"${program.name} COMMAND --help" explains one; all take --json.\nExit codes: ${exits()
    .map(({ code, meaning }) => `${code} ${meaning}`)
    .join(', ')}.\n`;
}

/** The commands that begin with one word. */
const groupHelp = (program: Program, word: string, commands: readonly Command[]): string =>
  `Commands of ${program.name} ${word}:\n${commandLines(commands)}\n\n"${program.name} ${word} COMMAND --help" explains one.\n`;

const widthOf = (commands: readonly Command[]): number =>
  Math.max(...commands.map((command) => command.name.length));

function commandLines(commands: readonly Command[], width = widthOf(commands)): string {
  return commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`).join('\n');
}

const exits = (): Description['exits'] =>
  (Object.keys(EXIT) as (keyof typeof EXIT)[]).map((name) => ({
    code: EXIT[name],
    meaning: EXIT_MEANING[name],
  }));

function describe(program: Program): Description {
  const { name, summary, version, sections } = program;
  return {
    name,
    summary,
    version,
    commands: sections.flatMap(({ title, commands }) =>
      commands.map(({ run: _, ...rest }) => ({ section: title, ...rest, options: optionsOf(rest) })),
    ),
    exits: exits(),
  };
}

/** `--name VALUE`. */
export const optionText = ({ name, value }: Option): string => (value ? `--${name} ${value}` : `--${name}`);

/** What an option means, whether it has to be given, and what holds without it. */
export function optionHelp({ help, required, default: usual }: Option): string {
  const when = required === true ? ' (required)' : required === undefined ? '' : ` (required ${required})`;
  return `${help}${when}${usual ? ` (default ${usual})` : ''}`;
}

/** How a command is called: what has to be given, and that there is more. */
export function usageOf(program: string, command: Pick<Command, 'name' | 'arguments' | 'options'>): string {
  const needed = (command.options ?? []).filter(({ required }) => required === true).map(optionText);
  return [program, command.name, command.arguments, ...needed, '[options]'].filter(Boolean).join(' ');
}

function commandHelp(program: Program, command: Command): string {
  const all = optionsOf(command);
  const names = all.map(optionText);
  const width = Math.max(8, ...names.map((name) => name.length));
  const options = all.map((each, i) => `  ${names[i]!.padEnd(width)}  ${optionHelp(each)}`);
  const examples = (command.examples ?? []).map((example) => `  ${example}`);
  return [
    `${command.summary}\n`,
    `Usage: ${usageOf(program.name, command)}`,
    '',
    'Options:',
    ...options,
    ...(examples.length > 0 ? ['', 'Examples:', ...examples] : []),
    '',
  ].join('\n');
}

/** Prints an error to stderr and returns its exit code. */
export function report(name: string, error: unknown, json = false): number {
  if (!(error instanceof Failure)) {
    process.stderr.write(`${name}: internal error: ${(error as Error)?.stack ?? String(error)}\n`);
    return EXIT.failed;
  }
  if (json) {
    const { code, remedy, message, action } = error;
    process.stderr.write(`${JSON.stringify({ error: { code, remedy, message, action } })}\n`);
  } else {
    process.stderr.write(
      `${name}: ${error.message} [${error.code}]\n${error.action ? `  → ${error.action}\n` : ''}`,
    );
  }
  if (error.area === 'cli') return EXIT.usage;
  return error.area === 'config' ? EXIT.config : EXIT.failed;
}

/** The known name closest to what was typed, if it is close enough to be a typing error. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    const distance = editDistance(typed.toLowerCase(), name.toLowerCase());
    if (
      distance <= Math.max(2, Math.floor(name.length / 3)) &&
      (best === undefined || distance < best.distance)
    ) {
      best = { name, distance };
    }
  }
  return best?.name;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
