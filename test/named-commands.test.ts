import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PROGRAM as AGENT } from '../agent/program.ts';
import { type Command, commandsOf } from '../cli/program.ts';
import { sections } from '../fabric/commands/all.ts';
import { PROGRAM as FACTORY } from '../factory/program.ts';
import { filesOf, LAYERS, ROOT } from './structure.ts';

/*
 * A remedy that names a command which does not exist, or an option that it does not take, leads nowhere. So each command of ours that a source or a page
 * names is looked up in the tables that the programs run on.
 */

const PROGRAMS: Readonly<Record<string, readonly Command[]>> = {
  'enf-agent': commandsOf(AGENT),
  'enf-factory': commandsOf(FACTORY),
  'enf-fabric': commandsOf({ sections }),
};

/** What every command takes, and what is no command of the table. */
const EVERYWHERE = ['help', 'json'];
const WORDS = ['help'];
/** Processes that a program starts of itself; they have its name. */
const PROCESSES = ['name-process', 'est-process', 'identity-process'];

interface Named {
  readonly where: string;
  readonly program: string;
  /** What follows the program's name, to the end of the quotation or line. */
  readonly words: string;
  /** It begins a quotation: so it is a command, and no sentence about the program. */
  readonly isQuoted: boolean;
}

function namedIn(where: string, text: string): Named[] {
  const quotes = where.endsWith('.md') ? '`' : '"\'';
  return [...text.matchAll(/(.)?\b(enf-(?:agent|factory|fabric)) ([a-z][^\n"'`;|)<]*)/g)].map(
    ([, before = '', program, words]) => ({
      where,
      program: program!,
      words: words!,
      isQuoted: quotes.includes(before) && before !== '',
    }),
  );
}

/** What is wrong with it; undefined: nothing. */
function wrongOf({ where, program, words, isQuoted }: Named): string | undefined {
  const commands = PROGRAMS[program]!;
  const [first = '', second = ''] = words.split(/\s+/).map((word) => word.replace(/[.,:…]+$/, ''));
  const command =
    commands.find(({ name }) => name === `${first} ${second}`) ?? commands.find(({ name }) => name === first);
  if (command === undefined) {
    const begins = commands.some(({ name }) => name.startsWith(`${first} `));
    const isOpen = begins && (second === '' || second.startsWith('$'));
    if (isOpen || WORDS.includes(first) || PROCESSES.includes(first)) return undefined;
    return begins || isQuoted ? `${where}: ${program} ${first} ${second}` : undefined;
  }
  const known = new Set([
    ...EVERYWHERE,
    ...(command.options ?? []).flatMap(({ name, alias }) => [name, alias]),
  ]);
  const unknown = [...words.matchAll(/(?:^|[\s[])--([a-z][a-z-]*)/g)].find(([, name]) => !known.has(name!));
  return unknown && `${where}: ${program} ${command.name} --${unknown[1]}`;
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const pages = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)].filter((path) =>
  path.endsWith('.md'),
);
const sources = Object.keys(LAYERS).flatMap(filesOf);

test('every command that a message or a page names exists, with these options', () => {
  const named = [...sources, ...pages].flatMap((path) => namedIn(path, read(path)));
  expect(named.length).toBeGreaterThan(500);
  expect(named.map(wrongOf).filter((wrong) => wrong !== undefined)).toEqual([]);
});

test.each([
  ['See "enf-fabric device banish".', 'x.ts: enf-fabric device banish'],
  ["examples: ['enf-agent refresh --yes']", 'x.ts: enf-agent refresh --yes'],
  ['Run "enf-fabric audit --verify".', 'x.ts: enf-fabric audit --verify'],
  ['Run "enf-fabric audit --what device" or "enf-fabric pki".', undefined],
  ['enf-fabric gets a database driver', undefined],
])('of %j is said %j', (text, wrong) => {
  expect(namedIn('x.ts', text).map(wrongOf).find(Boolean)).toBe(wrong);
});

/** Options of programs of others that a remedy names: tpm2_dictionarylockout, p11tool. */
const FOREIGN = ['clear-lockout', 'list-tokens'];

test('every option that a remedy names is one of ours', () => {
  const known = new Set([
    ...EVERYWHERE,
    ...FOREIGN,
    ...Object.values(PROGRAMS).flatMap((commands) =>
      commands.flatMap(({ options = [] }) => options.flatMap(({ name, alias }) => [name, alias])),
    ),
  ]);
  const unknown = sources.flatMap((path) =>
    [...read(path).matchAll(/\baction:\s*(?:'([^'\n]*)'|`([^`\n]*)`|"([^"\n]*)")/g)].flatMap((match) =>
      [
        ...match
          .slice(1)
          .join('')
          .matchAll(/(?:^|[\s("])--([a-z][a-z-]*)/g),
      ]
        .filter(([, name]) => !known.has(name!))
        .map(([, name]) => `${path}: --${name}`),
    ),
  );
  expect(unknown).toEqual([]);
});
