import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MIGRATIONS } from '../../fabric/registry/sqlite/schema.ts';
import { filesBelow, ROOT, run } from './place.ts';

/** The packages of the fabric and of the factory, and that all three can be built anew with the same bytes. */

const EPOCH = '1700000000';
const NAMES = ['enf-agent', 'enf-fabric', 'enf-factory'];
const file = (name: string): string => `${name}_0.1.0_amd64.deb`;

let place: string;
let said: string;
const tree = (name: string): string => join(place, name);

/** The files of a package, relative to the root. */
const list = (name: string): string[] => filesBelow(tree(name)).filter((each) => !each.startsWith('DEBIAN/'));
const text = (name: string, path: string): string => readFileSync(join(tree(name), path), 'utf8');
const field = (name: string, key: string): string =>
  run('dpkg-deb', ['-f', join(place, file(name)), key]).output.trim();

beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'enf-packages-'));
  const { code, output } = run('bash', [join(ROOT, 'packaging/deb.sh'), '--arch', 'amd64', '--out', place], {
    cwd: '/',
    env: { SOURCE_DATE_EPOCH: EPOCH },
  });
  expect([code, output]).toEqual([0, expect.stringContaining('enf-factory')]);
  said = output;
  for (const name of NAMES) expect(run('dpkg-deb', ['-R', join(place, file(name)), tree(name)]).code).toBe(0);
}, 300_000);
afterAll(() => rmSync(place, { recursive: true, force: true }));

describe('enf-fabric', () => {
  const name = 'enf-fabric';

  test('holds the program, its pages, countries and database driver, and its system configuration', () => {
    const files = list(name);
    const program = files.filter((each) => each.startsWith('usr/lib/enf-fabric/'));
    const abi = process.versions.modules;
    expect(program.filter((each) => !/\/(console\/|enf-fabric)/.test(each.slice(18)))).toEqual([
      `usr/lib/enf-fabric/better_sqlite3-${abi}.node`,
      'usr/lib/enf-fabric/enf.node',
      'usr/lib/enf-fabric/iptoasn-country.mmdb',
      'usr/lib/enf-fabric/zxing_reader.wasm',
    ]);
    expect(program).toContain('usr/lib/enf-fabric/console/index.html');
    expect(files.filter((each) => !program.includes(each))).toEqual([
      'etc/enf/fabric.toml',
      'usr/bin/enf-fabric',
      'usr/lib/systemd/system/enf-console.service',
      'usr/lib/systemd/system/enf-fabric.service',
      'usr/lib/sysusers.d/enf-fabric.conf',
      'usr/lib/tmpfiles.d/enf-fabric.conf',
      'usr/share/bash-completion/completions/enf-fabric',
      'usr/share/doc/enf-fabric/THIRD-PARTY',
      'usr/share/doc/enf-fabric/changelog.gz',
      'usr/share/doc/enf-fabric/copyright',
      ...[
        'alarms',
        'backup',
        'compat',
        'console',
        'dns',
        'errors',
        'fabric-api',
        'fabric-config',
        'fabric-doctor',
        'fabric',
        'nodes',
        'pki',
        'prefix',
        'rules',
        'scale',
      ].map((page) => `usr/share/doc/enf-fabric/docs/${page}.md`),
      'usr/share/doc/enf-fabric/examples/enf-fabric.grafana.json',
      'usr/share/doc/enf-fabric/examples/enf-fabric.rules.yml',
      'usr/share/doc/enf-fabric/sbom.spdx.json',
      'usr/share/lintian/overrides/enf-fabric',
      'usr/share/man/man1/enf-fabric.1.gz',
      'usr/share/man/man5/enf-fabric.toml.5.gz',
    ]);
    expect(text(name, 'DEBIAN/conffiles')).toBe('/etc/enf/fabric.toml\n');
  });

  test('depends on what it uses, and on the Node.js that its database driver fits', () => {
    const major = Number(process.versions.node.split('.')[0]);
    const depends = field(name, 'Depends').split(', ');
    expect(depends).toEqual(
      expect.arrayContaining([
        'iproute2',
        'nftables',
        `nodejs (>= ${major})`,
        `nodejs (<< ${major + 1}~)`,
        'debconf (>= 0.5) | debconf-2.0',
      ]),
    );
    expect(depends.some((each) => each.startsWith('libstdc++6'))).toBe(true);
  });

  test('founds a fabric and works on it, without the sources', () => {
    const elsewhere = join(place, 'installed');
    cpSync(join(tree(name), 'usr/lib/enf-fabric'), elsewhere, { recursive: true });
    const data = ['--data', join(place, 'data')];
    const program = (...args: string[]) =>
      run(process.execPath, [join(elsewhere, 'enf-fabric.mjs'), ...args]);
    expect(program('--version')).toEqual({ code: 0, output: 'enf-fabric 0.1.0\n' });
    expect(program('check-config', '--config', join(tree(name), 'etc/enf/fabric.toml'))).toMatchObject({
      code: 0,
      output: expect.stringContaining('[console]\nlisten = "[::1]:8480"'),
    });
    expect(program('init', ...data).code).toBe(0);
    expect(program('network', 'add', 'fd00:1::/64', ...data).code).toBe(0);
    // A Node.js that the package has no driver for.
    rmSync(join(elsewhere, `better_sqlite3-${process.versions.modules}.node`));
    expect(program('network', 'list', ...data)).toMatchObject({
      code: 1,
      output: expect.stringContaining('[registry.no-driver]'),
    });
  });

  test('an older package refuses a newer registry before anything is replaced', () => {
    const script = text(name, 'DEBIAN/preinst');
    const registry = join(place, 'registry.db');
    const upgrade = (schema: number) => {
      const header = Buffer.alloc(100);
      header.writeUInt32BE(schema, 60);
      writeFileSync(registry, header);
      return run('sh', ['-s', 'upgrade', '9.9.9'], {
        input: script.replaceAll(/^registry=.*$/gm, `registry=${registry}`),
      });
    };
    expect(upgrade(MIGRATIONS.length)).toEqual({ code: 0, output: '' });
    expect(upgrade(MIGRATIONS.length + 300)).toEqual({
      code: 1,
      output: expect.stringContaining(
        `it has schema ${MIGRATIONS.length + 300}, and this version knows ${MIGRATIONS.length}.`,
      ),
    });
  });
});

test('enf-factory holds the program alone, and runs', () => {
  const name = 'enf-factory';
  expect(list(name).filter((each) => !each.startsWith('usr/lib/enf-factory/enf-factory'))).toEqual([
    'usr/bin/enf-factory',
    'usr/lib/enf-factory/enf.node',
    'usr/share/bash-completion/completions/enf-factory',
    'usr/share/doc/enf-factory/THIRD-PARTY',
    'usr/share/doc/enf-factory/changelog.gz',
    'usr/share/doc/enf-factory/copyright',
    'usr/share/doc/enf-factory/docs/errors.md',
    'usr/share/doc/enf-factory/docs/factory.md',
    'usr/share/doc/enf-factory/docs/tpm.md',
    'usr/share/doc/enf-factory/sbom.spdx.json',
    'usr/share/man/man1/enf-factory.1.gz',
  ]);
  expect(existsSync(join(tree(name), 'DEBIAN/conffiles'))).toBe(false);
  const program = join(tree(name), 'usr/lib/enf-factory/enf-factory.mjs');
  expect(
    run(process.execPath, [
      program,
      'group',
      'create',
      '--name=x',
      '--basename=x',
      '--out',
      join(place, 'group'),
    ]).code,
  ).toBe(0);
});

describe.each(NAMES)('%s', (name) => {
  test('names every package that is in it once, with its licence and where it is from', () => {
    const sbom = JSON.parse(text(name, `usr/share/doc/${name}/sbom.spdx.json`));
    const parts: { SPDXID: string; name: string; versionInfo: string; downloadLocation: string }[] =
      sbom.packages.slice(1);
    expect(new Set(parts.map((each) => each.SPDXID)).size).toBe(parts.length);
    const papers = text(name, `usr/share/doc/${name}/THIRD-PARTY`);
    for (const each of parts) {
      expect(each.downloadLocation).toMatch(/^https:\/\/registry\.npmjs\.org\/.*\.tgz$/);
      expect(papers).toContain(`\n${each.name} ${each.versionInfo}\nLicence: `);
    }
    expect(papers).not.toContain('undefined');
  });

  test('holds every page of docs/ that its messages name', () => {
    const program = list(name).filter((each) => each.startsWith(`usr/lib/${name}/`) && each.endsWith('.mjs'));
    const named = new Set(
      program.flatMap((each) => text(name, each).match(/(?<=[ "`(])docs\/[a-z-]+\.md/g) ?? []),
    );
    for (const page of named) expect(list(name)).toContain(`usr/share/doc/${name}/${page}`);
    if (name !== 'enf-factory') expect(named.size).toBeGreaterThan(0);
  });

  test('is as large as it says, in size and mode', () => {
    const [, bytes, installed] = new RegExp(`${file(name)}: (\\d+) bytes, installed (\\d+) bytes`).exec(
      said,
    )!;
    expect(Number(bytes)).toBe(statSync(join(place, file(name))).size);
    expect(Number(field(name, 'Installed-Size')) * 1_024).toBe(Number(installed));
    for (const each of list(name).filter(
      (path) => !path.endsWith(`${name}.mjs`) && !path.startsWith('usr/bin'),
    ))
      expect(statSync(join(tree(name), each)).mode & 0o777, each).toBe(0o644);
  });
});

test('lintian reports nothing; it is there, and would fail', () => {
  // All at once: it takes longer to start than to look at one of them.
  const packages = NAMES.map((name) => join(place, file(name)));
  const { output } = run('lintian', ['--allow-root', '--tag-display-limit', '0', ...packages]);
  expect(output.split('\n').filter((line) => /^[EW]:/.test(line))).toEqual([]);
  expect(run('lintian', ['--allow-root', '/nonexistent.deb']).code).not.toBe(0);
});

test('the same sources in another folder, of another place and language, give the same bytes', () => {
  const elsewhere = join(place, 'elsewhere');
  mkdirSync(join(elsewhere, 'node_modules'), { recursive: true });
  const sources = run('git', ['-C', ROOT, 'ls-files', '-co', '--exclude-standard', '-z']).output.split('\0');
  for (const each of sources.filter((path) => path !== '' && !path.startsWith('test/'))) {
    if (!existsSync(join(ROOT, each))) continue;
    mkdirSync(join(elsewhere, each, '..'), { recursive: true });
    copyFileSync(join(ROOT, each), join(elsewhere, each));
    chmodSync(join(elsewhere, each), statSync(join(ROOT, each)).mode);
  }
  const out = join(place, 'again');
  mkdirSync(out);
  const build = `mount --bind '${ROOT}/node_modules' '${elsewhere}/node_modules' && exec bash '${elsewhere}/packaging/deb.sh' --arch amd64 --out '${out}'`;
  const again = run('unshare', ['--mount', 'bash', '-c', build], {
    cwd: '/',
    env: { SOURCE_DATE_EPOCH: EPOCH, TZ: 'Asia/Tokyo', LANG: 'de_DE.UTF-8' },
  });
  expect([again.code, again.output]).toEqual([0, expect.stringContaining('enf-factory')]);
  for (const name of NAMES)
    expect(run('cmp', [join(place, file(name)), join(out, file(name))])).toEqual({ code: 0, output: '' });
}, 300_000);
