import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { filesBelow, packaged, ROOT, run } from '../packaging/place.ts';

/** The layer as a release has it, and its recipe's steps, run by bash with the variables that bitbake would set. */

const EPOCH = '1700000000';
const TARBALL = 'enf-agent-0.1.0.tar.gz';

let place: string;
let source: string;
let recipe: string;
const layer = (path: string): string => join(place, 'meta-enf', path);

const release = (out: string, env: Record<string, string> = {}) =>
  run('bash', [join(ROOT, 'packaging/release.sh'), '--out', out], {
    cwd: '/',
    env: { SOURCE_DATE_EPOCH: EPOCH, ...env },
  });
const digest = (algorithm: string, path: string): string =>
  createHash(algorithm).update(readFileSync(path)).digest('hex');

/** The body of a shell function of the recipe. */
function step(name: string): string {
  const body = new RegExp(`^${name}\\(\\) \\{\\n([\\s\\S]*?)^\\}$`, 'm').exec(recipe)?.[1];
  return body ?? expect.fail(`the recipe has no ${name}`);
}

beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'enf-release-'));
  const { code, output } = release(place);
  expect([code, output]).toEqual([0, expect.stringContaining(TARBALL)]);
  expect(run('tar', ['-xzf', join(place, TARBALL), '-C', place]).code).toBe(0);
  source = join(place, 'enf-agent-0.1.0');
  recipe = readFileSync(layer('recipes-enf/enf-agent/enf-agent_0.1.0.bb'), 'utf8');
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

describe('the release', () => {
  test('has the same bytes each time', () => {
    const again = join(place, 'again');
    expect(release(again, { TZ: 'Asia/Tokyo', LANG: 'de_DE.UTF-8' }).code).toBe(0);
    expect(digest('sha256', join(again, TARBALL))).toBe(digest('sha256', join(place, TARBALL)));
    expect(run('diff', ['-r', join(again, 'meta-enf'), join(place, 'meta-enf')])).toEqual({
      code: 0,
      output: '',
    });
  });

  test('needs nothing from npm, and holds no TypeScript', () => {
    const files = filesBelow(source);
    expect(files.filter((each) => /\.ts$|node_modules|package(-lock)?\.json/.test(each))).toEqual([]);
    expect(run(process.execPath, [join(source, 'bundle/enf-agent.mjs'), '--version'])).toEqual({
      code: 0,
      output: 'enf-agent 0.1.0\n',
    });
  });
});

describe('the recipe', () => {
  test('names the tarball and the licences by their digests, and every licence of what is bundled', () => {
    expect(recipe).toContain(`SRC_URI[release.sha256sum] = "${digest('sha256', join(place, TARBALL))}"`);
    for (const name of ['LICENSE', 'THIRD-PARTY'])
      expect(recipe).toContain(`file://${name};md5=${digest('md5', join(source, name))}`);
    expect(recipe).not.toMatch(/@[A-Z0-9_]+@/);
    const licences = /^LICENSE = "(.*)"$/m.exec(recipe)![1]!.split(' & ').sort();
    const sbom = JSON.parse(readFileSync(join(source, 'doc/sbom.spdx.json'), 'utf8'));
    const bundled = sbom.packages.map((each: { licenseDeclared: string }) => each.licenseDeclared);
    expect([...new Set(bundled)].sort()).toEqual(licences);
  });

  test('builds the addon and installs what the Debian package installs', () => {
    const [build, root] = [join(place, 'build'), join(place, 'root')];
    mkdirSync(build);
    const include = join(dirname(dirname(process.execPath)), 'include');
    const variables: Record<string, string> = {
      B: build,
      S: source,
      D: root,
      CC: 'gcc',
      STAGING_INCDIR: existsSync(join(include, 'node/node_api.h')) ? include : '/usr/include',
      CFLAGS:
        '-O2 -pipe -g -feliminate-unused-debug-types -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wformat -Werror=format-security',
      LDFLAGS: '-Wl,-O1 -Wl,--hash-style=gnu -Wl,--as-needed -Wl,-z,relro,-z,now',
      AGENT_DIR: '/usr/lib/enf-agent',
      bindir: '/usr/bin',
      datadir: '/usr/share',
      docdir: '/usr/share/doc',
      mandir: '/usr/share/man',
      sysconfdir: '/etc',
      nonarch_libdir: '/usr/lib',
      nonarch_base_libdir: '/usr/lib',
      systemd_system_unitdir: '/usr/lib/systemd/system',
    };
    writeFileSync(
      join(source, 'agent.toml'),
      readFileSync(layer('recipes-enf/enf-agent/enf-agent/agent.toml')),
    );
    const { code, output } = run('bash', ['-euc', `${step('do_compile')}\n${step('do_install')}`], {
      env: variables,
    });
    expect([code, output]).toEqual([0, '']);
    const expected = [
      'systemd',
      'udev',
      'tmpfiles.d',
      'sysctl.d',
      'modules-load.d',
      'network',
      'networkd.conf.d',
      'NetworkManager',
    ];
    const installed = filesBelow(root);
    const contents = new Map(installed.map((path) => [path.split('/').at(-1)!, path]));
    for (const folder of expected) {
      for (const name of readdirSync(join(ROOT, 'packaging/agent', folder))) {
        const path = installed.filter((each) => each.endsWith(`/${name}`) && inPlace(folder, each));
        expect(path, `${folder}/${name}`).toHaveLength(1);
        expect(readFileSync(join(root, path[0]!), 'utf8')).toBe(packaged(`agent/${folder}/${name}`));
      }
    }
    // The user comes from useradd.
    expect(installed.some((each) => each.includes('sysusers'))).toBe(false);
    expect(contents.get('agent.toml')).toBe('etc/enf/agent.toml');
    const addon = join(root, 'usr/lib/enf-agent/enf.node');
    const load = `const m = { exports: {} }; process.dlopen(m, ${JSON.stringify(addon)}); console.log(typeof m.exports.dataplaneTun)`;
    expect(run(process.execPath, ['-e', load])).toEqual({ code: 0, output: 'function\n' });
    expect(run(process.execPath, [join(root, 'usr/bin/enf-agent'), '--version']).code).toBe(0);
  });
});

/** Where the Debian package has the files of a folder of packaging/agent. */
const inPlace = (folder: string, path: string): boolean =>
  path.includes(
    {
      systemd: '/systemd/system/',
      udev: '/udev/rules.d/',
      network: '/systemd/network/',
      NetworkManager: '/NetworkManager/conf.d/',
    }[folder] ?? `/${folder}/`,
  );

describe('the layer', () => {
  const text = (path: string): string => readFileSync(layer(path), 'utf8');

  test('has what yocto-check-layer asks for, and both releases', () => {
    for (const file of ['SECURITY.md', 'COPYING.Apache-2.0', 'README.md'])
      expect(existsSync(layer(file)), file).toBe(true);
    expect(text('conf/layer.conf')).toContain('LAYERSERIES_COMPAT_enf = "scarthgap wrynose"');
    // wrynose refuses a layer with a folder of this name.
    expect(existsSync(layer('wic'))).toBe(false);
  });

  test('every file that a recipe names is there', () => {
    for (const path of filesBelow(join(place, 'meta-enf')).filter((each) => /\.(bb|bbappend)$/.test(each))) {
      for (const [, name] of text(path).matchAll(/file:\/\/([a-z.-]+\.(?:toml|in|scc|cfg))/g)) {
        const folders = readdirSync(dirname(layer(path)), { withFileTypes: true }).filter((each) =>
          each.isDirectory(),
        );
        expect(
          folders.some((each) => existsSync(join(dirname(layer(path)), each.name, name!))),
          `${path}: ${name}`,
        ).toBe(true);
      }
    }
  });

  test('shell functions have a line of their own for each command', () => {
    for (const path of filesBelow(join(place, 'meta-enf')).filter((each) => /\.(bb|bbclass|inc)$/.test(each)))
      expect(text(path), path).not.toMatch(/^\w+\(\) *\{.*\}$/m);
  });

  test('the mount unit is right, and the test case is Python', () => {
    const name = 'var-lib-enf\\x2dagent.mount';
    const unit = join(place, name);
    writeFileSync(unit, text('recipes-enf/enf-data/enf-data/state.mount.in').replaceAll('@DATA@', '/data'));
    const verify = (file: string) => run('systemd-analyze', ['verify', '--man=no', file]);
    expect(verify(unit).code).toBe(0);
    const wrong = join(place, 'var-lib-other.mount');
    writeFileSync(wrong, readFileSync(unit));
    expect(verify(wrong).output).toContain("Where= setting doesn't match unit name");
    const compile = ['-c', 'import ast, sys; ast.parse(open(sys.argv[1]).read())'];
    expect(run('python3', [...compile, layer('lib/oeqa/runtime/cases/enf.py')])).toEqual({
      code: 0,
      output: '',
    });
  });

  test('the example of a configuration is the package’s', () => {
    expect(text('recipes-enf/enf-agent/enf-agent/agent.toml')).toBe(packaged('agent/etc/agent.toml'));
  });

  test('the kernel has every option that the unit of the agent and its tests need', () => {
    const options = new Set(text('recipes-kernel/linux/linux-yocto/enf.cfg').match(/^CONFIG_\w+(?==)/gm));
    for (const each of ['TUN', 'IPV6', 'TCG_TIS', 'NF_TABLES_INET', 'NFT_CT', 'CGROUP_BPF', 'SECCOMP_FILTER'])
      expect(options).toContain(`CONFIG_${each}`);
  });
});
