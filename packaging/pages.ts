import type { Key } from '../cli/config/key-types.ts';
import type { Description } from '../cli/program.ts';
import { entry, example, heading, roff, section } from './roff.ts';

/** Man pages generated from the tables that the program itself runs on, so that pages and program cannot differ. */

type DescribedCommand = Description['commands'][number];

/** enf-agent(1) from the command table. `date` is YYYY-MM-DD. */
export function programPage(program: Description, date: string): string {
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
    section('COMMANDS', commands.map((command) => commandPart(command)).join('')),
    section('EXIT STATUS', exits.map(({ code, meaning }) => entry(String(code), `${meaning}.`)).join('')),
    section('FILES', FILES.map(([path, meaning]) => entry(path, meaning)).join('')),
    section('ENVIRONMENT', ENVIRONMENT.map(([variable, meaning]) => entry(variable, meaning)).join('')),
    section('SEE ALSO', '.BR enf\\-agent.toml (5),\n.BR systemctl (1),\n.BR journalctl (1)\n'),
  ].join('');
}

function commandPart(command: DescribedCommand): string {
  const title = `.SS ${roff([command.name, command.arguments].filter(Boolean).join(' '))}\n${roff(command.summary)}.\n`;
  const options = (command.options ?? []).map((option) =>
    entry(
      [`--${option.name}`, option.value].filter(Boolean).join(' '),
      `${option.help}${option.default === undefined ? '' : ` (default ${option.default})`}${option.many ? '; may be repeated' : ''}.`,
    ),
  );
  const examples = command.examples ?? [];
  return title + options.join('') + (examples.length === 0 ? '' : `.PP\nFor example:\n${example(examples)}`);
}

const FILES: readonly (readonly [string, string])[] = [
  ['/etc/enf/agent.toml', 'The configuration, see enf-agent.toml(5).'],
  ['/var/lib/enf-agent', 'The identity: the certificate, and the key as a blob that only this TPM can load.'],
  [
    '/run/enf-agent/control.sock',
    'The control socket that "enf-agent status" uses; for root and the group enf.',
  ],
  [
    '/run/enf-agent/online, /run/enf-agent/offline',
    'Exactly one of them exists; systemd starts enf-online.target or enf-offline.target accordingly.',
  ],
  ['/etc/enf/NAME.toml', 'The configuration of the additional instance enf-agent@NAME.service.'],
];

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  [
    'NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID',
    'Set by systemd: where and how often the agent reports that it is ready and alive.',
  ],
  ['RUNTIME_DIRECTORY', 'Set by systemd: where the files online and offline are.'],
];

type Schema = Readonly<
  Record<string, Readonly<Record<string, Pick<Key<unknown>, 'type' | 'default' | 'doc'>>>>
>;

/** enf-agent.toml(5) from the table of settings. `date` is YYYY-MM-DD. */
export function configurationPage(schema: Schema, version: string, date: string): string {
  const required = Object.entries(schema).flatMap(([name, keys]) =>
    Object.entries(keys)
      .filter(([, key]) => key.default === undefined)
      .map(([key]) => `${name}.${key}`),
  );
  return [
    heading('enf-agent.toml', 5, date, version),
    section('NAME', 'enf\\-agent.toml \\- configuration of enf\\-agent\n'),
    section('SYNOPSIS', '.B /etc/enf/agent.toml\n'),
    section(
      'DESCRIPTION',
      `${roff(`One TOML file. Required: ${required.join(', ')}; everything else has a default. Durations carry their unit and stand in quotes: "500ms", "25s", "5m", "1h". Unknown keys and sections are refused. "enf-agent check-config" reads the file, prints it with every default filled in, and touches nothing else.`)}\n`,
    ),
    ...Object.entries(schema).map(([name, keys]) =>
      section(
        `"SECTION [${name.toUpperCase()}]"`,
        Object.entries(keys)
          .map(([key, setting]) =>
            entry(
              `${name}.${key}`,
              `${setting.doc} (${setting.type}; ${setting.default === undefined ? 'required' : `default ${setting.default}`})`,
            ),
          )
          .join(''),
      ),
    ),
    section(
      'EXAMPLE',
      example(['[remote]', 'hosts = ["enf.example.net", "203.0.113.7"]']).replace('.PP\n', ''),
    ),
    section('SEE ALSO', '.BR enf\\-agent (1)\n'),
  ].join('');
}
