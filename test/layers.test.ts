import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  circles,
  filesOf,
  importGraph,
  importsOf,
  LAYERS,
  ROOMS,
  ROOT,
  roomGraph,
  TEST_FOLDERS,
  topFolders,
  violation,
} from './structure.ts';

const FOLDERS = Object.keys(LAYERS);
/** Beyond this nobody finds anything. */
const MOST_FILES = 25;

describe('who may import whom', () => {
  test.each(FOLDERS)('%s/ keeps to its layer', (folder) => {
    const files = filesOf(folder);
    expect(files.length).toBeGreaterThan(0);
    const broken = files
      .flatMap((file) => importsOf(file))
      .flatMap((each) => violation(folder, LAYERS[folder]!, each) ?? []);
    expect(broken).toEqual([]);
  });

  test('a forbidden import is found', () => {
    const text = `import { x } from '../fabric/y.ts';\nimport { z } from 'node:fs';\nconst l = await import('left-pad');`;
    const broken = importsOf('agent/main.ts', text).map((each) => violation('agent', LAYERS.agent!, each));
    expect(broken).toEqual([
      'agent/main.ts imports fabric/ (../fabric/y.ts)',
      'agent/main.ts imports node:fs',
      'agent/main.ts imports the package left-pad',
    ]);
  });

  test.each(Object.keys(ROOMS))(
    'the rooms of %s/ import what the table says, no more and no less',
    (folder) => {
      const prefix = `${folder}/`;
      const inside = [...roomGraph(importGraph([folder]))]
        .filter(([room]) => !/\.tsx?$/.test(room))
        .map(([room, into]) => [
          room.slice(prefix.length),
          into
            .filter((each) => each.startsWith(prefix) && !/\.tsx?$/.test(each))
            .map((each) => each.slice(prefix.length)),
        ]);
      expect(Object.fromEntries(inside)).toEqual(ROOMS[folder]);
    },
  );
});

describe('circles', () => {
  const graph = importGraph(FOLDERS);

  test('no files import each other', () => {
    expect(circles(graph)).toEqual([]);
  });

  test('no rooms import each other', () => {
    expect(circles(roomGraph(graph))).toEqual([]);
  });

  test('a circle is found, and what only leads to it is not part of it', () => {
    const found = circles(
      new Map([
        ['a', ['b']],
        ['b', ['c', 'd']],
        ['c', ['a']],
        ['d', ['e']],
        ['e', []],
        ['f', ['a', 'f']],
      ]),
    );
    expect(found.sort()).toEqual([['a', 'b', 'c'], ['f']]);
  });
});

describe('every folder is known to every guard', () => {
  const folders = topFolders();

  test('the layers name all folders with TypeScript, and no others', () => {
    expect([...FOLDERS, ...TEST_FOLDERS].sort()).toEqual(folders);
  });

  test('the type check includes all of them', () => {
    const included = ['tsconfig.json', 'tsconfig.console.json'].flatMap(
      (file): string[] => JSON.parse(readFileSync(join(ROOT, file), 'utf8')).include,
    );
    expect(included.sort()).toEqual(folders);
  });

  test('ARCHITECTURE.md names all of them', () => {
    const text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
    for (const folder of folders) expect(text).toMatch(new RegExp(`^${folder}/ `, 'm'));
    for (const folder of FOLDERS) expect(text).toMatch(new RegExp(`^\\| \`${folder}/\` \\|`, 'm'));
  });

  test('no folder holds more files than one finds something in', () => {
    const counts = new Map<string, number>();
    for (const file of FOLDERS.flatMap(filesOf))
      counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > MOST_FILES)).toEqual([]);
  });
});
