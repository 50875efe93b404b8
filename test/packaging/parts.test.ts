import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { debianChangelog, debianVersion } from '../../packaging/changelog.ts';
import { depends } from '../../packaging/depends.ts';
import { bundledParts } from '../../packaging/parts.ts';
import { folder, run } from './place.ts';

const output = (inputs: Record<string, { bytesInOutput: number }>) => ({ outputs: { 'a.mjs': { inputs } } });

/** A project with the package `left` installed. */
function project(licenceFile: string | undefined): string {
  const root = folder();
  mkdirSync(join(root, 'node_modules/left/lib'), { recursive: true });
  writeFileSync(
    join(root, 'package-lock.json'),
    JSON.stringify({
      packages: { 'node_modules/left': { resolved: 'https://r.test/left.tgz', integrity: 'sha512-AQI=' } },
    }),
  );
  writeFileSync(
    join(root, 'node_modules/left/package.json'),
    '{"name":"left","version":"1.0.0","license":"MIT"}',
  );
  if (licenceFile !== undefined) writeFileSync(join(root, 'node_modules/left', licenceFile), 'Text\n');
  return root;
}

test('a package counts if a byte of it is in the bundle', () => {
  const root = project('LICENSE.md');
  const inputs = {
    'agent/main.ts': { bytesInOutput: 9 },
    'node_modules/left/lib/a.js': { bytesInOutput: 1 },
    'node_modules/gone/index.js': { bytesInOutput: 0 },
  };
  expect(bundledParts([output(inputs)], root)).toEqual([
    expect.objectContaining({ name: 'left', licence: 'MIT', licenceText: 'Text', sha512: '0102' }),
  ]);
});

test('a package without a licence text is refused', () => {
  const inputs = { 'node_modules/left/lib/a.js': { bytesInOutput: 1 } };
  expect(() => bundledParts([output(inputs)], project(undefined))).toThrow('no licence text');
});

test('libraries are named as Debian 12 and as Debian 13 name them, whichever the builder is', () => {
  const from12 = depends('enf-agent', 'libc6 (>= 2.34), libtss2-mu0 (>= 3.0.1)', [20]);
  const from13 = depends('enf-agent', 'libc6 (>= 2.38), libtss2-mu-4.0.1-0t64 (>= 4.0.1)', [20]);
  expect(from12).toContain('libc6 (>= 2.34), libtss2-mu0 (>= 3.0.1) | libtss2-mu-4.0.1-0t64,');
  expect(from13).toContain('libc6 (>= 2.38), libtss2-mu0 | libtss2-mu-4.0.1-0t64 (>= 4.0.1),');
  for (const each of [from12, from13]) expect(each).toContain('nodejs (>= 20)');
});

test('the fabric runs on the versions of Node.js that it has a driver for', () => {
  expect(depends('enf-fabric', '', [22, 20])).toContain('nodejs (<< 23~), nodejs (>= 20)');
});

test('without a file of its own the licence is what the readme says, and without an address the tarball is npm’s', () => {
  const root = project(undefined);
  const inputs = { 'node_modules/left/lib/a.js': { bytesInOutput: 1 } };
  writeFileSync(
    join(root, 'node_modules/left/Readme.md'),
    '# left\n\n## License\n\nFree for all.\n\n# More\n',
  );
  writeFileSync(
    join(root, 'package-lock.json'),
    '{"packages":{"node_modules/left":{"integrity":"sha512-AQI="}}}',
  );
  expect(bundledParts([output(inputs)], root)).toMatchObject([
    { licenceText: 'Free for all.', source: 'https://registry.npmjs.org/left/-/left-1.0.0.tgz' },
  ]);
});

test('the changelog is CHANGELOG.md in the format of Debian', () => {
  const markdown =
    '# Changelog\n\n## 0.2.0 – soon\n\n- new\n\n## 0.1.0 – then\n\nWords.\n\n- first thing, which is long enough that the line has to be broken somewhere in it\n- second\n';
  const text = debianChangelog(markdown, 'demo', '0.1.0', 'A B <a@b.c>', 'Sat, 21 Nov 2026 23:00:00 +0000');
  expect(text).toBe(
    'demo (0.1.0) stable; urgency=medium\n\n  * first thing, which is long enough that the line has to be broken somewhere\n    in it\n  * second\n\n -- A B <a@b.c>  Sat, 21 Nov 2026 23:00:00 +0000\n',
  );
  expect(run('dpkg-parsechangelog', ['-l-', '-SVersion'], { input: text })).toEqual({
    code: 0,
    output: '0.1.0\n',
  });
  expect(() => debianChangelog(markdown, 'demo', '0.3.0', '', '')).toThrow('no section for 0.3.0');
});

test('a pre-release sorts before its release', () => {
  const early = debianVersion('1.0.0-rc.1');
  expect(run('dpkg', ['--compare-versions', early, 'lt', '1.0.0']).code).toBe(0);
});
