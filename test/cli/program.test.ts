import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Command, commandsOf, type Program, runProgram } from '../../cli/program.ts';
import { Failure } from '../../protocol/failure.ts';

let out: string;
let err: string;
beforeEach(() => {
  out = '';
  err = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text;
    return true;
  });
});
afterEach(() => void vi.restoreAllMocks());

const failing = (code: string): Command => ({
  name: code,
  summary: `fails with ${code}`,
  async run() {
    throw Object.assign(new Failure('os.no-file', 'operator', 'no'), { code });
  },
});
const PROGRAM: Program = {
  name: 'demo',
  summary: 'shows',
  version: '1.2.3',
  sections: [
    {
      title: 'Groups',
      commands: [
        {
          name: 'group create',
          summary: 'Makes one',
          arguments: '<name>',
          options: [{ name: 'out', value: 'DIR', help: 'where', default: '.' }],
          examples: ['demo group create x'],
          run: async () => undefined,
        },
      ],
    },
    { title: 'Failures', commands: [failing('config.bad-value'), failing('os.no-file')] },
  ],
};

/** The program with one command alone. */
const only = (command: Command): Program => ({
  ...PROGRAM,
  sections: [{ title: 'All', commands: [command] }],
});

test.each([
  [['group create'].flatMap((name) => [...name.split(' '), 'x']), 0],
  [['os.no-file'], 1],
  [['group', 'create'], 2],
  [['config.bad-value'], 78],
])('%j exits with %i', async (argv, code) => {
  expect(await runProgram(PROGRAM, argv)).toBe(code);
});

test('an alias is its option, and not a second one', async () => {
  const got: (string | undefined)[] = [];
  const program = only({
    name: 'see',
    summary: 'Looks',
    options: [{ name: 'tpm', alias: 'tcti', value: 'DEVICE', help: 'which' }],
    async run(invocation) {
      got.push(invocation.option('tpm'));
      return undefined;
    },
  });
  for (const name of ['--tpm', '--tcti']) expect(await runProgram(program, ['see', name, 'x'])).toBe(0);
  expect(got).toEqual(['x', 'x']);
  expect(await runProgram(program, ['see', '--tpm', 'x', '--tcti', 'x'])).toBe(2);
});

describe('the help', () => {
  test('names commands by their subjects, and exit codes', async () => {
    expect(await runProgram(PROGRAM, ['--help'])).toBe(0);
    expect(out).toContain(
      'Groups:\n  group create      Makes one\n\nFailures:\n  config.bad-value  fails with config.bad-value\n  os.no-file ',
    );
    expect(out).toContain('Exit codes: 0 done, 1 failed, 2 wrong usage, 78 unusable configuration.');
  });

  test('as JSON has everything', async () => {
    expect(await runProgram(PROGRAM, ['help', '--json'])).toBe(0);
    const { run: _, ...command } = commandsOf(PROGRAM)[0]!;
    const described = JSON.parse(out);
    expect(described).toMatchObject({ name: 'demo', version: '1.2.3', summary: 'shows' });
    const json = { name: 'json', help: 'print JSON' };
    const options = [...command.options!, json];
    expect(described.commands[0]).toEqual({ section: 'Groups', ...command, options });
    expect(described.exits).toContainEqual({ code: 78, meaning: 'unusable configuration' });
  });

  test('of one word names the commands that begin with it', async () => {
    expect(await runProgram(PROGRAM, ['group', '--help'])).toBe(0);
    expect(out).toContain('demo group:\n  group create  Makes one\n');
    expect(await runProgram(PROGRAM, ['group'])).toBe(2);
    expect(err).toBe(out);
  });

  test('of a command has its options with their defaults, and --json', async () => {
    expect(await runProgram(PROGRAM, ['group', 'create', '--help'])).toBe(0);
    expect(out).toContain('  --out DIR  where (default .)\n  --json     print JSON\n');
  });

  test('marks what has to be given, which is asked for before anything is done', async () => {
    let runs = 0;
    const program = only({
      name: 'see',
      summary: 'Looks',
      arguments: '<what>',
      options: [
        { name: 'name', value: 'TEXT', help: 'whose', required: true },
        { name: 'key', value: 'FILE', help: 'which', required: 'with --far' },
        { name: 'far', help: 'elsewhere' },
        { name: 'days', value: 'N', help: 'how long', default: '3' },
        { name: 'other', value: 'N', help: 'free' },
      ],
      async run(invocation) {
        runs++;
        if (invocation.positionals[0] === 'unmarked') invocation.required('other');
        if (invocation.flag('far')) invocation.required('key');
        return Number(invocation.required('days')) - 3;
      },
    });
    expect(await runProgram(program, ['see', '--help'])).toBe(0);
    expect(out).toContain('Usage: demo see <what> --name TEXT [options]\n');
    expect(out).toContain('  --name TEXT  whose (required)\n  --key FILE   which (required with --far)\n');
    expect(out).toContain('  --days N     how long (default 3)\n');
    expect(await runProgram(program, ['see', 'x'])).toBe(2);
    expect([runs, err]).toEqual([0, expect.stringContaining('--name is required [cli.missing-option]')]);
    expect(await runProgram(program, ['see', 'x', '--name', 'y'])).toBe(0);
    expect(await runProgram(program, ['see', 'x', '--name', 'y', '--far'])).toBe(2);
    expect(err).toContain('--key is required [cli.missing-option]');
    // A mistake in the program: its help does not say so.
    expect(await runProgram(program, ['see', 'unmarked', '--name', 'y', '--other', '1'])).toBe(1);
    expect(err).toContain('internal error');
  });

  test.each(['--version', '-V'])('%s prints the version', async (option) => {
    expect(await runProgram(PROGRAM, [option])).toBe(0);
    expect(out).toBe('demo 1.2.3\n');
  });

  test('without a command is wrong usage', async () => {
    expect([await runProgram(PROGRAM, []), err]).toEqual([2, expect.stringContaining('group create')]);
  });
});

test.each([
  [['--uot', 'x'], 'Did you mean "--out"?'],
  [['--out', 'x', '--joson=1'], 'Did you mean "--json"?'],
  [['--constructor'], 'See "demo group create --help".'],
  [['--out'], 'See "demo group create --help".'],
])('the options %j are refused, with what was meant', async (options, action) => {
  expect(await runProgram(PROGRAM, ['group', 'create', 'x', ...options])).toBe(2);
  expect(err).toContain('[cli.bad-option]');
  expect(err).toContain(action);
});
