/** The addon's parts depend on each other one way: which folder may include which, and no circles. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { circles, type Graph } from '../structure.ts';

const native = fileURLToPath(new URL('../../native', import.meta.url));

/** What each folder may include beside itself. */
const MAY_INCLUDE: Readonly<Record<string, readonly string[]>> = {
  addon: [],
  crypto: ['addon', 'numbers'],
  files: ['addon'],
  net: ['addon'],
  backlog: [],
  acceptor: ['addon', 'backlog'],
  fp256bn: ['numbers'],
  'fp256bn/lanes': ['fp256bn', 'numbers'],
  ecdaa: ['addon', 'fp256bn'],
  tpm: ['addon', 'tpm/provider'],
  'tpm/provider': ['tpm'],
  numbers: [],
  packet: [],
  pkcs11: ['addon'],
  pki: ['addon'],
  transport: ['packet'],
  dataplane: ['packet'],
  client: ['addon', 'packet', 'pkcs11', 'transport', 'dataplane'],
  router: [
    'backlog',
    'packet',
    'pki',
    'transport',
    'dataplane',
    'router/admission',
    'router/lookup',
    'router/rates',
    'router/rules',
  ],
  'router/admission': ['backlog'],
  'router/lookup': ['router', 'transport'],
  'router/rates': ['packet', 'router/rules'],
  'router/rules': ['packet', 'router/lookup', 'transport'],
  'router/napi': ['addon', 'packet', 'pki', 'router'],
  xtt: ['addon', 'crypto'],
};

/** Files that call each other and stay so: the router's one part behind its private header. */
const CALL_EACH_OTHER = [
  [
    'router/connection.c',
    'router/control.c',
    'router/forward.c',
    'router/host.c',
    'router/router.c',
    'router/thread.c',
  ],
];

/** The addon's own sources by path. */
const sources = new Map(
  (readdirSync(native, { recursive: true }) as string[])
    .filter((path) => /\.[ch]$/.test(path))
    .map((path) => [path, readFileSync(join(native, path), 'utf8')]),
);
/** Without comments and what stands in strings. */
const code = (text: string): string =>
  text.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '').replace(/"(?:\\.|[^"\\\n])*"/g, '""');

/** The paths that a file includes: relative to its folder, or to native/. */
function includes(path: string, text: string): string[] {
  return [...text.matchAll(/^#include "([^"]+)"/gm)].map(([, name]) => {
    const found = [normalize(join(dirname(path), name!)), name!].find((each) => sources.has(each));
    if (found === undefined) throw new Error(`${path} includes ${name}, which is not there`);
    return found;
  });
}

/** Which .c file calls a function that another one defines. */
function calls(): Graph {
  const files = [...sources]
    .filter(([path]) => path.endsWith('.c'))
    .map(([path, text]) => ({ path, text: code(text) }));
  const definedIn = new Map<string, string>();
  for (const { path, text } of files)
    for (const [head, name] of text.matchAll(/^[A-Za-z_][\w *]*?\b(\w+)\([^;{}]*\)\s*\{/gm))
      if (!/\bstatic\b/.test(head)) definedIn.set(name!, path);
  return new Map(
    files.map(({ path, text }) => {
      const used = (text.match(/\b\w+\b/g) ?? []).map((word) => definedIn.get(word));
      return [path, [...new Set(used.filter((each) => each !== undefined && each !== path) as string[])]];
    }),
  );
}

it('a folder includes only what it may', () => {
  const wrong = [...sources].flatMap(([path, text]) => {
    const from = dirname(path);
    if (from === '.') return [];
    const allowed = MAY_INCLUDE[from] ?? [];
    return includes(path, text)
      .map(dirname)
      .filter((folder) => folder !== from && !allowed.includes(folder))
      .map((folder) => `${path} includes ${folder}/`);
  });
  expect(wrong).toEqual([]);
});

it('every folder with C files is in the table', () => {
  const folders = new Set([...sources.keys()].map(dirname).filter((folder) => folder !== '.'));
  expect([...folders].sort()).toEqual(Object.keys(MAY_INCLUDE).sort());
});

it('no folder leads back to itself', () => {
  // tpm/provider and the router's folders are folders of a part.
  const part = (folder: string): string => folder.split('/')[0]!;
  const graph = new Map<string, Set<string>>();
  for (const [folder, others] of Object.entries(MAY_INCLUDE)) {
    const uses = new Set([...(graph.get(part(folder)) ?? []), ...others.map(part)]);
    uses.delete(part(folder));
    graph.set(part(folder), uses);
  }
  expect(circles(new Map([...graph].map(([part, uses]) => [part, [...uses]])))).toEqual([]);
});

it('no file includes itself by way of others', () => {
  expect(circles(new Map([...sources].map(([path, text]) => [path, includes(path, text)])))).toEqual([]);
});

it('no file calls itself by way of others, but for those that are named', () => {
  const found = calls();
  expect(found.get('router/thread.c')).toContain('router/forward.c');
  expect(circles(found)).toEqual(CALL_EACH_OTHER);
});
