import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { folder, ROOT, run } from './place.ts';

/** The repository as apt sees it: an apt with folders of its own reads it, and trusts one key alone. */

let place: string;
let env: Record<string, string>;

const key = (home: string, mail: string): void => {
  mkdirSync(home, { mode: 0o700 });
  const made = run('gpg', ['--batch', '--passphrase', '', '--quick-generate-key', mail, 'ed25519', 'sign'], {
    env: { GNUPGHOME: home },
  });
  expect(made.code, made.output).toBe(0);
};

/** A small package. */
function pack(version: string, content = 'x'): void {
  const tree = join(place, `tree-${version}`);
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  writeFileSync(join(tree, 'content'), content);
  writeFileSync(
    join(tree, 'DEBIAN/control'),
    `Package: enf-demo\nVersion: ${version}\nArchitecture: amd64\nMaintainer: A <a@b.invalid>\nDescription: demo\n`,
  );
  const built = run('dpkg-deb', ['-b', tree, join(place, `debs/enf-demo_${version}_amd64.deb`)]);
  expect(built.code, built.output).toBe(0);
}

const publish = (...args: string[]) =>
  run(
    'bash',
    [
      join(ROOT, 'packaging/apt-repo.sh'),
      ...['--packages', join(place, 'debs'), '--out', join(place, 'apt'), ...args],
    ],
    { env },
  );
const signed = () => publish('--key', 'signer@enf.invalid');

/** `apt-get COMMAND` of a system that knows this repository alone. */
function apt(...command: string[]) {
  const system = join(place, 'system');
  for (const each of ['state/lists/partial', 'cache/archives/partial', 'etc'])
    mkdirSync(join(system, each), { recursive: true });
  writeFileSync(join(system, 'status'), '');
  writeFileSync(
    join(system, 'etc/enf.sources'),
    `Types: deb\nURIs: file:${join(place, 'apt')}\nSuites: stable\nComponents: main\nArchitectures: amd64\nSigned-By: ${join(place, 'trusted.gpg')}\n`,
  );
  const options = {
    Dir: '/',
    'Dir::State': join(system, 'state'),
    'Dir::State::status': join(system, 'status'),
    'Dir::Cache': join(system, 'cache'),
    'Dir::Etc::SourceList': '/dev/null',
    'Dir::Etc::SourceParts': join(system, 'etc'),
    'APT::Sandbox::User': 'root',
  };
  const settings = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return run('apt-get', [...settings, ...command], { cwd: place });
}

beforeEach(() => {
  place = folder();
  mkdirSync(join(place, 'debs'));
  env = { GNUPGHOME: join(place, 'keys') };
  key(join(place, 'keys'), 'signer@enf.invalid');
  pack('1.0');
});

test('apt finds every version, checks the signature, and gets the package', () => {
  expect(signed()).toMatchObject({ code: 0, output: expect.stringContaining('Signed-By: ') });
  pack('1.1');
  expect(signed().code).toBe(0);
  writeFileSync(join(place, 'trusted.gpg'), readFileSync(join(place, 'apt/enf-archive.gpg')));
  expect(apt('update')).toMatchObject({ code: 0, output: expect.not.stringContaining('NO_PUBKEY') });
  for (const version of ['1.0', '1.1']) {
    expect(apt('download', `enf-demo=${version}`).code).toBe(0);
    expect(existsSync(join(place, `enf-demo_${version}_amd64.deb`))).toBe(true);
  }
  expect(readdirSync(join(place, 'apt/dists'))).toEqual(['stable']);
});

test('what another key signed, or what was changed, is refused', () => {
  expect(signed().code).toBe(0);
  key(join(place, 'others'), 'other@enf.invalid');
  const other = run(
    'gpg',
    ['--batch', '--export', '--output', join(place, 'trusted.gpg'), 'other@enf.invalid'],
    {
      env: { GNUPGHOME: join(place, 'others') },
    },
  );
  expect(other.code).toBe(0);
  expect(apt('-o', 'APT::Update::Error-Mode=any', 'update').code).not.toBe(0);
  writeFileSync(join(place, 'trusted.gpg'), readFileSync(join(place, 'apt/enf-archive.gpg')));
  expect(apt('update').code).toBe(0);
  appendFileSync(join(place, 'apt/pool/enf-demo_1.0_amd64.deb'), 'y');
  expect(apt('download', 'enf-demo').code).not.toBe(0);
});

test('a version is never replaced by other bytes; without a key or packages nothing is made', () => {
  expect(signed().code).toBe(0);
  const before = readFileSync(join(place, 'apt/dists/stable/InRelease'), 'utf8');
  pack('1.0', 'other');
  expect(signed()).toMatchObject({ code: 1, output: expect.stringContaining('raise the version') });
  expect(readFileSync(join(place, 'apt/dists/stable/InRelease'), 'utf8')).toBe(before);
  expect(publish()).toMatchObject({ code: 1, output: expect.stringContaining('who signs?') });
  expect(publish('--key', 'nobody@enf.invalid')).toMatchObject({
    code: 1,
    output: expect.stringContaining('no secret key'),
  });
  expect(publish('--key', 'signer@enf.invalid', '--packages', place)).toMatchObject({
    code: 1,
    output: expect.stringContaining('npm run deb'),
  });
});
