import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildConsole } from '../../console/build.mjs';

/** What both sides of the API share: no file here reaches for anything else of the fabric. */
const SHARED = [
  'fabric/access/roles.ts',
  'fabric/operations/client.ts',
  'fabric/operations/contract/ca-files.ts',
  'fabric/operations/contract/catalogue.ts',
  'fabric/operations/contract/catalogue/batches.ts',
  'fabric/operations/contract/catalogue/devices.ts',
  'fabric/operations/contract/catalogue/host.ts',
  'fabric/operations/contract/catalogue/nodes.ts',
  'fabric/operations/contract/catalogue/people.ts',
  'fabric/operations/contract/request.ts',
  'fabric/operations/contract/roster-upload.ts',
  'fabric/registry/audit-chain.ts',
  'protocol/bytes.ts',
  'protocol/failure.ts',
  'protocol/identity/base64.ts',
  'protocol/identity/der.ts',
  'protocol/identity/revocation-list.ts',
  'protocol/identity/roots.ts',
  'protocol/ipv6.ts',
  'protocol/pem.ts',
  'protocol/words.ts',
];
/** Of the overview and the list of devices together, compressed. */
const MOST_BYTES = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'enf-console-'));
let files: Record<string, { imports: string[]; inputs: string[]; from: string | undefined }>;

beforeAll(async () => {
  const { outputs } = await buildConsole(folder);
  files = Object.fromEntries(
    Object.entries(outputs).map(([path, { imports, inputs, entryPoint }]) => [
      basename(path),
      {
        imports: imports.filter(({ kind }) => kind === 'import-statement').map((each) => basename(each.path)),
        inputs: Object.keys(inputs),
        from: entryPoint,
      },
    ]),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with all that it loads at once. */
function loadedWith(name: string, known = new Set<string>()): Set<string> {
  if (known.has(name)) return known;
  known.add(name);
  for (const each of files[name]!.imports) loadedWith(each, known);
  return known;
}

const fileOf = (entry: string): string => Object.keys(files).find((name) => files[name]!.from === entry)!;

test('the console has of the fabric what both sides share, and nothing else', () => {
  const inputs = new Set(Object.values(files).flatMap((file) => file.inputs));
  const shared = [...inputs].filter((path) => /^(?!console\/|node_modules\/|world-map:)/.test(path));
  expect(shared.sort()).toEqual(SHARED);
});

test('overview and devices are small; the decoder and the map are loaded by whoever needs them', () => {
  const names = new Set([
    ...loadedWith(fileOf('console/main.tsx')),
    ...loadedWith(fileOf('console/pages/overview.tsx')),
    ...loadedWith(fileOf('console/pages/devices.tsx')),
  ]);
  const scripts = [...names].filter((name) => name.endsWith('.js'));
  const bytes = scripts.map((name) => brotliCompressSync(readFileSync(join(folder, name))).length);
  expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThan(MOST_BYTES);
  const inputs = [...names].flatMap((name) => files[name]!.inputs).join('\n');
  expect(inputs).toContain('console/pages/overview.tsx');
  expect(inputs).not.toMatch(/zxing|world-map/);
  const claim = [...loadedWith(fileOf('console/pages/claim.tsx'))].flatMap((name) => files[name]!.inputs);
  expect(claim.join('\n')).not.toMatch(/zxing/);
});

test('no file names another host, and every one has its compressed forms', () => {
  const all = readdirSync(folder);
  for (const name of all.filter((each) => /\.(?:js|css|html|svg)$/.test(each))) {
    const text = readFileSync(join(folder, name), 'utf8').replaceAll('http://www.w3.org/', '');
    expect([name, text.match(/https?:\/\/[\w.-]+/g)]).toEqual([name, null]);
    expect(all).toContain(`${name}.br`);
    expect(all).toContain(`${name}.gz`);
  }
});
