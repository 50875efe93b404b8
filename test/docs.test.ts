import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { filesOf, LAYERS, ROOT, TEST_FOLDERS } from './structure.ts';

/** All Markdown files of the project. */
const DOCUMENTS = [
  ...readdirSync(ROOT),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`),
].filter((name) => name.endsWith('.md'));

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

test('every relative link of a document leads to a file', () => {
  const dangling = DOCUMENTS.flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !existsSync(join(ROOT, dirname(document), target)))
      .map((target) => `${document}: ${target}`),
  );
  expect(dangling).toEqual([]);
});

test('every path of a source file that a document or a comment names is there', () => {
  const sources = [...Object.keys(LAYERS), ...TEST_FOLDERS].flatMap(filesOf);
  const folders = [...Object.keys(LAYERS), ...TEST_FOLDERS].join('|');
  const named = new RegExp(`(?<![\\w./-])(?:${folders})/[\\w/.-]*\\.(?:test\\.ts|ts|mjs|c|h|sh)(?!\\w)`, 'g');
  const missing = [...DOCUMENTS, ...sources]
    .filter(
      (file) =>
        !file.startsWith('CHANGELOG') && file !== 'test/docs.test.ts' && file !== 'test/layers.test.ts',
    )
    .flatMap((file) =>
      [...read(file).matchAll(named)]
        .map(([path]) => path)
        .filter((path) => !/NAME/.test(path) && !existsSync(join(ROOT, path)))
        .map((path) => `${file}: ${path}`),
    );
  expect(missing).toEqual([]);
});

test('every document that a comment cites with a section is there', () => {
  const cited = Object.keys(LAYERS)
    .flatMap(filesOf)
    .flatMap((file) => [...read(file).matchAll(/\b([a-z-]+\.md) §/g)].map(([, name]) => name!));
  expect(cited.length).toBeGreaterThan(0);
  const known = new Set(DOCUMENTS.map((document) => document.split('/').at(-1)));
  expect([...new Set(cited)].filter((name) => !known.has(name))).toEqual([]);
});
