import { type Description, optionHelp, optionText } from '../cli/program.ts';
import type { About, Schema, Term } from './about.ts';
import { entry, example, heading, roff, section } from './roff.ts';

/** Man pages generated from the tables that the program itself runs on, so that pages and program cannot differ. */

type DescribedCommand = Description['commands'][number];

/** PROGRAM(1) from the command table. `date` is YYYY-MM-DD. */
export function programPage(program: Description, about: About, date: string): string {
  const { name, summary, version, commands, exits } = program;
  return [
    heading(name, 1, date, version),
    section('NAME', `${roff(name)} \\- ${roff(summary)}\n`),
    section(
      'SYNOPSIS',
      commands
        .map(
          (command) =>
            `.B ${roff(name)} ${roff(command.name)}\n${roff([command.arguments, '[options]'].filter(Boolean).join(' '))}\n.br\n`,
        )
        .join(''),
    ),
    ...[...new Set(commands.map((command) => command.section))].map((title) =>
      section(
        `"COMMANDS: ${roff(title.toUpperCase())}"`,
        commands
          .filter((command) => command.section === title)
          .map(commandPart)
          .join(''),
      ),
    ),
    section('EXIT STATUS', exits.map(({ code, meaning }) => entry(String(code), `${meaning}.`)).join('')),
    terms('FILES', about.files),
    terms('ENVIRONMENT', about.environment),
    seeAlso(about.seeAlso),
  ].join('');
}

function commandPart(command: DescribedCommand): string {
  const title = `.SS ${roff([command.name, command.arguments].filter(Boolean).join(' '))}\n${roff(sentence(command.summary))}\n`;
  const options = (command.options ?? []).map((option) =>
    entry(optionText(option), `${optionHelp(option)}${option.many ? '; may be repeated' : ''}.`),
  );
  const examples = command.examples ?? [];
  return title + options.join('') + (examples.length === 0 ? '' : `.PP\nFor example:\n${example(examples)}`);
}

/** With one full stop at its end. */
const sentence = (text: string): string => `${text.replace(/\.$/, '')}.`;

/** A section of terms, if there are any. */
const terms = (title: string, list: readonly Term[]): string =>
  list.length === 0
    ? ''
    : section(title, list.map(([term, explanation]) => entry(term, explanation)).join(''));

/** Other pages, each as `name(section)`. */
const seeAlso = (pages: readonly string[]): string =>
  section(
    'SEE ALSO',
    `${pages.map((page) => `.BR ${roff(page.replace(/\(.*/, ''))} ${/\(.*/.exec(page)![0]}`).join(',\n')}\n`,
  );

/** PROGRAM.toml(5) from the table of settings. `date` is YYYY-MM-DD. */
export function configurationPage(
  name: string,
  { path, schema, example: lines }: NonNullable<About['configuration']>,
  version: string,
  date: string,
): string {
  return [
    heading(`${name}.toml`, 5, date, version),
    section('NAME', `${roff(`${name}.toml`)} \\- configuration of ${roff(name)}\n`),
    section('SYNOPSIS', `.B ${roff(path)}\n`),
    section('DESCRIPTION', `${roff(introduction(name, schema))}\n`),
    ...Object.entries(schema).map(([title, keys]) =>
      section(
        `"SECTION [${title.toUpperCase()}]"`,
        Object.entries(keys)
          .map(([key, setting]) =>
            entry(
              `${title}.${key}`,
              `${setting.doc} (${setting.type}; ${setting.default === undefined ? 'required' : `default ${setting.default}`})`,
            ),
          )
          .join(''),
      ),
    ),
    section('EXAMPLE', example(lines).replace('.PP\n', '')),
    seeAlso([`${name}(1)`]),
  ].join('');
}

function introduction(name: string, schema: Schema): string {
  const all = Object.entries(schema).flatMap(([title, keys]) =>
    Object.entries(keys).map(([key, setting]) => ({ name: `${title}.${key}`, ...setting })),
  );
  const required = all.filter((each) => each.default === undefined).map((each) => each.name);
  return [
    'One TOML file.',
    required.length === 0
      ? 'Every key has a default.'
      : `Required: ${required.join(', ')}; everything else has a default.`,
    ...(all.some((each) => each.type.startsWith('duration'))
      ? ['Durations carry their unit and stand in quotes: "500ms", "25s", "5m", "1h".']
      : []),
    'Unknown keys and sections are refused.',
    `"${name} check-config" reads the file, prints it with every default filled in, and touches nothing else.`,
  ].join(' ');
}
