import { describe, expect, test } from 'vitest';
import { type Description, optionHelp, optionText } from '../../cli/program.ts';
import { ABOUT } from '../../packaging/about.ts';
import { bashCompletion } from '../../packaging/completion.ts';
import { configurationPage, programPage } from '../../packaging/pages.ts';
import { roff } from '../../packaging/roff.ts';
import { describeProgram, run } from './place.ts';

const agent = describeProgram('enf-agent');

/** The page as a terminal shows it, without line breaks inside sentences; fails on any warning of groff. */
function shown(page: string): string {
  const { code, output } = run('groff', ['-man', '-Tutf8', '-ww', '-P-cbou', '-rLL=2000n'], {
    input: page,
  });
  expect(code).toBe(0);
  expect(output).not.toMatch(/^(?:groff|troff|grotty):|<standard input>:\d+:/m); // the page itself may speak of warnings
  return output.replace(/\s+/g, ' ');
}

describe.each(Object.keys(ABOUT))('%s(1)', (name) => {
  const program = describeProgram(name);
  const about = ABOUT[name]!;
  const text = shown(programPage(program, about, '2026-11-21'));

  test('has every command with its options and examples, and every exit code', () => {
    expect(program.commands.length).toBeGreaterThan(3);
    for (const { name, summary, options = [], examples = [], ...rest } of program.commands) {
      expect(text).toContain(`${name}${rest.arguments ? ` ${rest.arguments}` : ''} ${summary}`);
      for (const option of options) expect(text).toContain(`${optionText(option)} ${optionHelp(option)}`);
      for (const example of examples) expect(text).toContain(example.replaceAll('…', '...'));
    }
    for (const { section } of program.commands) expect(text).toContain(`COMMANDS: ${section.toUpperCase()} `);
    for (const { code, meaning } of program.exits) expect(text).toContain(`${code} ${meaning}.`);
    expect(text).not.toMatch(/[^.]\.\.[^.]/);
  });

  test('has its files, and the pages to read on', () => {
    for (const [term, explanation] of about.files) expect(text).toContain(`${term} ${explanation}`);
    for (const page of about.seeAlso) expect(text).toContain(page);
  });

  test('what is not in the table is not in the page', () => {
    const fewer: Description = { ...program, commands: program.commands.slice(1) };
    expect(shown(programPage(fewer, about, '2026-11-21'))).not.toContain(program.commands[0]!.summary);
  });
});

test.each(['enf-agent', 'enf-fabric'])('%s.toml(5) has every key with type, default and meaning', (name) => {
  const { configuration } = ABOUT[name]!;
  const text = shown(configurationPage(name, configuration!, '1.0.0', '2026-11-21'));
  expect(text).toContain(configuration!.path);
  for (const [section, keys] of Object.entries(configuration!.schema)) {
    for (const [name, key] of Object.entries(keys)) {
      expect(text).toContain(`${section}.${name} ${key.doc.replaceAll('`', '')} (${key.type};`);
      expect(text).toContain(key.default === undefined ? 'required)' : `default ${key.default})`);
    }
  }
});

test('text that looks like roff stays text', () => {
  const odd = "a\\b --c-d\n.SH no\n'x";
  expect(shown(`.TH T 1\n.SH NAME\n${roff(odd)}\n`)).toContain("a\\b --c-d .SH no 'x");
});

describe('bash completion', () => {
  const complete = (program: Description, ...words: string[]): string[] => {
    const { code, output } = run(
      'bash',
      [
        '--norc',
        '-c',
        `eval "$SCRIPT"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _demo; printf "%s\\n" "\${COMPREPLY[@]}"`,
        'bash',
        'demo',
        ...words,
      ],
      {
        env: { SCRIPT: bashCompletion({ ...program, name: 'demo' }) },
      },
    );
    expect(code).toBe(0);
    return output.split('\n').filter((line) => line !== '');
  };

  test('offers every command, and every option of each', () => {
    expect(complete(agent, '')).toEqual([
      ...agent.commands.map((each) => each.name),
      'help',
      '--help',
      '--version',
    ]);
    for (const { name, options = [] } of agent.commands)
      expect(complete(agent, name, '--')).toEqual(['--help', ...options.map((each) => `--${each.name}`)]);
    expect(complete(agent, 'sta')).toEqual(['status']);
    expect(complete(agent, 'status', '--j')).toEqual(['--json']);
  });

  test('offers files after an option that takes one, and nothing for an unknown command', () => {
    expect(complete(agent, 'run', '--config', '/etc/host')).toContain('/etc/hosts');
    expect(complete(agent, 'nonsense', '-')).toEqual([]);
  });

  test('commands of two words', () => {
    const two: Description = {
      ...agent,
      commands: [
        {
          ...{ section: 'x', name: 'group create', summary: '' },
          options: [{ name: 'out', value: 'DIR', help: '' }],
        },
        { section: 'x', name: 'group list', summary: '' },
        {
          ...{ section: 'x', name: 'init', summary: '' },
          options: [{ name: 'count', value: 'N', help: '' }],
        },
      ],
    };
    expect(complete(two, '')).toEqual(['group', 'init', 'help', '--help', '--version']);
    expect(complete(two, 'group', '')).toEqual(['create', 'list']);
    expect(complete(two, 'group', 'create', '-')).toEqual(['--help', '--out']);
    expect(complete(two, 'init', '--count', '')).toEqual([]);
  });
});
