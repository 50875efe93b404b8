import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { filesBelow, ROOT, run } from './place.ts';

const NAME = 'enf-agent_0.1.0_amd64.deb';
const EPOCH = '1700000000';

let place: string;
let tree: string;
let said: string;

function build(root: string, out: string, env: Record<string, string> = {}) {
  return run('bash', [join(root, 'packaging/deb.sh'), 'agent', '--arch', 'amd64', '--out', out], {
    cwd: '/',
    env: { SOURCE_DATE_EPOCH: EPOCH, ...env },
  });
}

const list = (folder: string): string[] =>
  filesBelow(tree).filter((each) => folder === '.' || each.startsWith(`${folder}/`));
const text = (path: string): string => readFileSync(join(tree, path), 'utf8');
const field = (name: string): string => run('dpkg-deb', ['-f', join(place, NAME), name]).output.trim();

beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'enf-deb-'));
  const { code, output } = build(ROOT, place);
  expect([code, output]).toEqual([0, expect.stringContaining(NAME)]);
  said = output;
  tree = join(place, 'tree');
  expect(run('dpkg-deb', ['-R', join(place, NAME), tree]).code).toBe(0);
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

describe('the Debian package', () => {
  test('holds the program, its system configuration, and its documentation', () => {
    const files = list('.').filter((each) => !each.startsWith('DEBIAN/'));
    const program = files.filter((each) => each.startsWith('usr/lib/enf-agent/'));
    for (const each of program)
      expect(each).toMatch(/^usr\/lib\/enf-agent\/(enf-agent(-[a-z-]+-[A-Z0-9]{8})?\.mjs|enf\.node)$/);
    expect(files.filter((each) => !program.includes(each))).toEqual([
      'etc/enf/agent.toml',
      'usr/bin/enf-agent',
      'usr/lib/NetworkManager/conf.d/50-enf-agent.conf',
      'usr/lib/modules-load.d/enf-agent.conf',
      'usr/lib/sysctl.d/50-enf-agent.conf',
      'usr/lib/systemd/network/50-enf-agent.network',
      'usr/lib/systemd/networkd.conf.d/50-enf-agent.conf',
      ...readdirSync(join(ROOT, 'packaging/agent/systemd'))
        .map((each) => `usr/lib/systemd/system/${each}`)
        .sort(),
      'usr/lib/sysusers.d/enf-agent.conf',
      'usr/lib/tmpfiles.d/enf-agent.conf',
      'usr/lib/udev/rules.d/61-enf-agent.rules',
      'usr/share/bash-completion/completions/enf-agent',
      'usr/share/doc/enf-agent/THIRD-PARTY',
      'usr/share/doc/enf-agent/changelog.gz',
      'usr/share/doc/enf-agent/copyright',
      ...['api', 'config', 'dns', 'doctor', 'errors', 'operate', 'pki', 'prefix', 'routes', 'tpm'].map(
        (page) => `usr/share/doc/enf-agent/docs/${page}.md`,
      ),
      'usr/share/doc/enf-agent/examples/gateway.conf',
      'usr/share/doc/enf-agent/examples/instance.toml',
      'usr/share/doc/enf-agent/sbom.spdx.json',
      'usr/share/lintian/overrides/enf-agent',
      'usr/share/man/man1/enf-agent.1.gz',
      'usr/share/man/man5/enf-agent.toml.5.gz',
      'usr/share/polkit-1/rules.d/50-enf-agent.rules',
    ]);
    expect(text('DEBIAN/conffiles')).toBe('/etc/enf/agent.toml\n');
  });

  test('depends on what it uses, with the names of Debian 12 and 13', () => {
    expect([field('Package'), field('Architecture'), field('Version')]).toEqual([
      'enf-agent',
      'amd64',
      '0.1.0',
    ]);
    const names = field('Depends')
      .split(', ')
      .map((each) => each.replace(/ \([^)]*\)/g, ''));
    expect(names).toEqual([
      'iproute2',
      'libc6',
      'libtss2-esys-3.0.2-0 | libtss2-esys-3.0.2-0t64',
      'libtss2-mu0 | libtss2-mu-4.0.1-0t64',
      'libtss2-rc0 | libtss2-rc0t64',
      'libtss2-sys1 | libtss2-sys1t64',
      'libtss2-tcti-device0 | libtss2-tcti-device0t64',
      'libtss2-tctildr0 | libtss2-tctildr0t64',
      'nodejs',
      'systemd | systemd-standalone-sysusers | systemd-sysusers',
    ]);
    expect(field('Depends')).toContain('nodejs (>= 20)');
    expect(field('Description')).toContain('Debian 12 has Node.js 18');
  });

  test('C-41 is small, and prints its size', () => {
    const [, bytes, installed] = /(\d+) bytes, installed (\d+) bytes/.exec(said)!;
    expect(Number(bytes)).toBeLessThan(460_000);
    expect(Number(installed)).toBeLessThan(1_510_000);
    expect(Number(field('Installed-Size')) * 1_024).toBe(Number(installed));
    const program = list('usr/lib/enf-agent').filter((each) => each.endsWith('.mjs'));
    expect(program.reduce((sum, each) => sum + text(each).length, 0)).toBeLessThan(1_000_000);
  });

  test('has neither debugging information nor source maps', () => {
    const sections = run('readelf', ['-SW', join(tree, 'usr/lib/enf-agent/enf.node')]).output;
    expect(sections).toContain('.dynsym');
    expect(sections).not.toMatch(/\.debug_|\.symtab/);
    for (const each of list('usr/lib/enf-agent').filter((name) => name.endsWith('.mjs')))
      expect(text(each), each).not.toMatch(/sourceMappingURL|node_modules\/.*\.js"\)/);
  });

  test('runs', () => {
    const program = join(tree, 'usr/lib/enf-agent/enf-agent.mjs');
    expect(text('usr/lib/enf-agent/enf-agent.mjs').startsWith('#!/usr/bin/node\n')).toBe(true);
    expect(run(process.execPath, [program, '--version'])).toEqual({ code: 0, output: 'enf-agent 0.1.0\n' });
    const unconfigured = run(process.execPath, [
      program,
      'check-config',
      '--config',
      join(tree, 'etc/enf/agent.toml'),
    ]);
    expect([unconfigured.code, unconfigured.output]).toEqual([
      78,
      expect.stringContaining('config.missing-key'),
    ]);
    const addon = join(tree, 'usr/lib/enf-agent/enf.node');
    const load = `const m = { exports: {} }; process.dlopen(m, ${JSON.stringify(addon)}); console.log(typeof m.exports.dataplaneTun)`;
    expect(run(process.execPath, ['-e', load])).toEqual({ code: 0, output: 'function\n' });
  });

  test('names every package that is in it, with its licence', () => {
    const sbom = JSON.parse(text('usr/share/doc/enf-agent/sbom.spdx.json'));
    const parts = sbom.packages.filter((each: { name: string }) => each.name !== 'enf-agent');
    expect(parts.map((each: { name: string }) => each.name)).toEqual([
      '@noble/curves',
      '@noble/hashes',
      'smol-toml',
    ]);
    const papers = ['THIRD-PARTY', 'copyright'].map((each) => text(`usr/share/doc/enf-agent/${each}`));
    for (const { name, versionInfo, licenseDeclared, checksums } of parts) {
      expect(checksums[0].checksumValue).toMatch(/^[0-9a-f]{128}$/);
      expect(papers[0]).toContain(`${name} ${versionInfo}\nLicence: ${licenseDeclared}\n`);
      expect(papers[1]).toContain(`Files: node_modules/${name}/*\n`);
    }
    expect(papers[0]!.match(/permission|redistribution/gi)!.length).toBeGreaterThan(2);
  });

  test('has the checksums of its files', () => {
    expect(run('md5sum', ['--quiet', '-c', 'DEBIAN/md5sums'], { cwd: tree })).toEqual({
      code: 0,
      output: '',
    });
    expect(text('DEBIAN/md5sums').trim().split('\n')).toHaveLength(
      list('.').filter((each) => !each.startsWith('DEBIAN/') && each !== 'usr/bin/enf-agent').length,
    );
  });
});

test('a package that grew too much is refused', () => {
  const again = build(ROOT, join(place, 'again'), { LARGEST_INSTALLED: '1000' });
  expect([again.code, again.output]).toEqual([1, expect.stringContaining('has grown beyond 1000 bytes')]);
});
