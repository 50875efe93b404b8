import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { folder } from '../place.ts';
import { script } from './gateway.ts';

/** What only a booted gateway has; each notes that it was called. `mv --exchange` is newer than some of the systems that run this. */
const STUBS: Record<string, string> = {
  mount: 'exit 0',
  mountpoint: 'exit 0',
  sync: 'exit 0',
  chown: 'exit 0',
  unshare:
    '! grep -qs wrong "$6"/agent.toml "$6"/proxy-login "$6"/credential/* || { echo "wrong on line 1" >&2; exit 78; }',
  mv: '[ "$1" != --exchange ] || { shift 2; /bin/mv -T "$1" "$1.x" && /bin/mv -T "$2" "$1" && exec /bin/mv -T "$1.x" "$2"; }; exec /bin/mv "$@"',
};

let root: string;
beforeEach(() => {
  root = folder();
  for (const path of [
    'bin',
    'dev/disk/by-partlabel',
    'run/enf-gateway-config',
    'data/enf',
    'data/gateway',
    'usr/lib/enf-gateway',
  ])
    mkdirSync(join(root, path), { recursive: true });
  for (const [name, body] of Object.entries(STUBS)) {
    const path = join(root, 'bin', name);
    writeFileSync(path, `#!/bin/sh\necho "${name} $*" >>"${root}/calls"\n${body}\n`);
    chmodSync(path, 0o755);
  }
  writeFileSync(join(root, 'dev/disk/by-partlabel/enf-config'), '');
  writeFileSync(join(root, 'usr/lib/enf-gateway/agent.toml'), 'default\n');
});

const partition = (): string => join(root, 'run/enf-gateway-config');
const put = (name: string, text: string): void => {
  mkdirSync(join(partition(), name, '..'), { recursive: true });
  writeFileSync(join(partition(), name), text);
};
const take = (name: string): void => rmSync(join(partition(), name));
const inForce = (name: string): string | undefined => {
  const path = join(root, 'data/enf', name);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
};
const configure = () =>
  script('configure', [], { ENF_ROOT: root, PATH: `${join(root, 'bin')}:${process.env.PATH}` });
const done = (): string => {
  const { code, output } = configure();
  expect([code, output]).toEqual([0, expect.not.stringContaining('refused')]);
  return output;
};
const refused = (): string => {
  const { code, output } = configure();
  expect(code).toBe(1);
  expect(output).toContain('What was in force before stays');
  return output;
};

describe('[H-F2] the configuration of a gateway', () => {
  test('is taken once, and again when it has changed', () => {
    put('agent.toml', 'one\n');
    put('root.pem', 'root\n');
    expect(done()).toContain('took from the configuration partition: agent.toml root.pem');
    expect([inForce('agent.toml'), inForce('root.pem')]).toEqual(['one\n', 'root\n']);
    writeFileSync(join(root, 'data/enf/agent.toml'), 'by hand\n');
    expect(done()).toBe('');
    expect(inForce('agent.toml')).toBe('by hand\n');
    put('agent.toml', 'two\n');
    done();
    expect(inForce('agent.toml')).toBe('two\n');
  });

  test('an empty partition is no reason to look at what is in force', () => {
    expect(done()).toBe('');
    expect(inForce('agent.toml')).toBe('default\n');
    expect(readFileSync(join(root, 'calls'), 'utf8')).not.toContain('unshare');
  });

  test('who may log in no longer may once the file is gone, also as the last one; agent.toml stays', () => {
    put('agent.toml', 'one\n');
    put('authorized_keys', 'ssh-ed25519 AAAA\n');
    writeFileSync(join(root, 'data/enf/by-hand.pem'), 'by hand\n');
    done();
    expect(inForce('authorized_keys')).toBe('ssh-ed25519 AAAA\n');
    take('agent.toml');
    take('authorized_keys');
    expect(done()).toContain('no longer on the configuration partition, and removed: authorized_keys');
    expect(inForce('authorized_keys')).toBeUndefined();
    expect([inForce('agent.toml'), inForce('by-hand.pem')]).toEqual(['one\n', 'by hand\n']);
    expect(done()).toBe('');
  });

  test('a wrong one changes nothing, nor do the secrets that come with it', () => {
    put('agent.toml', 'one\n');
    put('proxy-login', 'old\n');
    done();
    put('agent.toml', 'wrong\n');
    put('proxy-login', 'new\n');
    expect(refused()).toContain('is refused: wrong on line 1');
    expect([inForce('agent.toml'), inForce('proxy-login')]).toEqual(['one\n', 'old\n']);
    expect(readFileSync(join(partition(), 'proxy-login'), 'utf8')).toBe('new\n');
    put('agent.toml', 'two\n');
    done();
    expect([inForce('agent.toml'), inForce('proxy-login')]).toEqual(['two\n', 'new\n']);
    expect(readdirSync(partition())).toEqual(['agent.toml']);
  });

  test('secrets replace those before them only once they are checked', () => {
    put('agent.toml', 'one\n');
    put('credential/daa_secretkey.bin', 'old');
    done();
    expect(readdirSync(join(partition(), 'credential'))).toEqual([]);
    put('credential/daa_secretkey.bin', 'wrong');
    refused();
    expect(inForce('credential/daa_secretkey.bin')).toBe('old');
    put('credential/daa_secretkey.bin', 'new');
    done();
    expect(inForce('credential/daa_secretkey.bin')).toBe('new');
  });

  test('a secret that a power cut left half removed is removed, and not taken', () => {
    put('agent.toml', 'one\n');
    put('taken.1', 'half');
    done();
    expect(readdirSync(partition())).toEqual(['agent.toml']);
    expect(readdirSync(join(root, 'data/enf'))).toEqual(['agent.toml']);
  });

  test('a file that is too large is refused', () => {
    put('agent.toml', '#'.repeat(1_048_577));
    expect(refused()).toContain('agent.toml is larger than 1048576 bytes');
    expect(inForce('agent.toml')).toBe('default\n');
  });

  test('every name that is not taken is said, without what a terminal would obey; not more than twenty', () => {
    put('agent.toml', 'one\n');
    put('agent copy.pem', 'x');
    put('.hidden', 'x');
    put('README.txt', 'x');
    put('credential/the key\u001b[2J.bin', 'x');
    mkdirSync(join(partition(), 'folder.pem'));
    const output = done();
    for (const name of ['agent copy.pem', '.hidden', 'credential/the key??2J.bin', 'folder.pem'])
      expect(output.split('\n')).toContain(`ignored on the configuration partition: ${name}`);
    expect(output).not.toContain('README');
    expect(inForce('agent copy.pem')).toBeUndefined();
    for (let i = 0; i < 30; i++) put(`credential/odd ${i}`, 'x');
    const many = done();
    expect(many.match(/ignored/g)).toHaveLength(21);
    expect(many).toContain('ignored on the configuration partition: 14 more');
  });
});
