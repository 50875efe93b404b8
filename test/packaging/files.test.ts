import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseConfig, SCHEMA } from '../../agent/config/config.ts';
import { describeProgram, folder, packaged, ROOT, run } from './place.ts';

const DEVICE = JSON.parse(SCHEMA.tunnel.device.default!);
const path = (name: string): string => join(ROOT, 'packaging/agent', name);

/** Does a glob of systemd or NetworkManager match? Only `*` is used. */
const matches = (glob: string, name: string): boolean =>
  new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(name);

test('C-24 the user exists, has the TPM group and no shell; its folders are its own', () => {
  const root = folder();
  for (const each of ['etc', 'var/lib', 'run']) mkdirSync(join(root, each), { recursive: true });
  expect(run('systemd-sysusers', [`--root=${root}`, path('sysusers.d/enf-agent.conf')])).toMatchObject({
    code: 0,
  });
  const passwd = readFileSync(join(root, 'etc/passwd'), 'utf8');
  const [, uid] =
    /^enf:x:(\d+):\d+:[^:]*:\/var\/lib\/enf-agent:\/usr\/sbin\/nologin$/m.exec(passwd) ?? expect.fail(passwd);
  expect(readFileSync(join(root, 'etc/group'), 'utf8')).toMatch(/^tss:x:\d+:(.*,)?enf$/m);
  expect(
    run('systemd-tmpfiles', [`--root=${root}`, '--create', path('tmpfiles.d/enf-agent.conf')]),
  ).toMatchObject({
    code: 0,
  });
  for (const [each, mode] of [
    ['var/lib/enf-agent', 0o700],
    ['run/enf-agent', 0o750],
  ] as const) {
    const found = statSync(join(root, each));
    expect([each, found.uid, found.mode & 0o777]).toEqual([each, Number(uid), mode]);
  }
});

test('C-15 IPv6 is enabled on our interface, although the machine has it disabled', () => {
  const script = `set -e
    echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
    ip tuntap add ${DEVICE} mode tun && ip tuntap add other0 mode tun
    conf=/proc/sys/net/ipv6/conf
    cat $conf/${DEVICE}/disable_ipv6
    /lib/systemd/systemd-sysctl --prefix=/net/ipv6/conf/${DEVICE} ${path('sysctl.d/50-enf-agent.conf')}
    cat $conf/${DEVICE}/disable_ipv6 $conf/${DEVICE}/accept_ra $conf/other0/disable_ipv6`;
  const { code, output } = run('unshare', ['--net', 'bash', '-c', script]);
  expect([code, output.trim().split('\n')]).toEqual([0, ['1', '0', '0', '1']]);
});

test('C-11 networkd and NetworkManager leave our interface and our routes alone', () => {
  const conf = packaged('agent/networkd.conf.d/50-enf-agent.conf');
  expect(conf).toContain('[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\n');
  const network = /\[Match\]\nName=(\S+)\n\n\[Link\]\nUnmanaged=yes\n/.exec(
    packaged('agent/network/50-enf-agent.network'),
  );
  const manager = /\[keyfile\]\nunmanaged-devices\+=interface-name:(\S+)\n/.exec(
    packaged('agent/NetworkManager/50-enf-agent.conf'),
  );
  for (const glob of [network?.[1], manager?.[1]]) {
    expect([glob, matches(glob!, DEVICE), matches(glob!, 'enf1')]).toEqual([glob, true, true]);
    for (const other of ['eth0', 'eno1', 'enp0s3', 'ens3', 'enx001122334455', 'end0', 'wlan0'])
      expect(matches(glob!, other), other).toBe(false);
  }
});

test('C-24 the udev rule gives the resource manager to the TPM group, and nothing else', () => {
  const rules = packaged('agent/udev/61-enf-agent.rules')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(rules).toEqual(['SUBSYSTEM=="tpmrm", KERNEL=="tpmrm[0-9]*", GROUP="tss", MODE="0660"']);
});

test('the example configuration lacks only what the package cannot know', () => {
  const example = packaged('agent/etc/agent.toml');
  expect(() => parseConfig(example, 'agent.toml')).toThrow(
    expect.objectContaining({ code: 'config.missing-key', message: expect.stringContaining('remote.hosts') }),
  );
  const filled = parseConfig(example.replace('# hosts', 'hosts'), 'agent.toml');
  expect(filled.remote.hosts).toHaveLength(2);
});

test('the example of an instance has the paths of its unit', () => {
  const config = parseConfig(packaged('agent/examples/instance.toml'), 'lab.toml');
  const unit = packaged('agent/systemd/enf-agent@.service').replaceAll('%i', 'lab');
  expect(unit).toContain(`RequiresMountsFor=${config.state.directory}\n`);
  expect(`/var/lib/${/^StateDirectory=(.*)$/m.exec(unit)?.[1]}`).toBe(config.state.directory);
  expect(config.control.socket).toBe(`/run/${/^RuntimeDirectory=(.*)$/m.exec(unit)?.[1]}/control.sock`);
  expect(config.tunnel.device).not.toBe(DEVICE);
});

test('docs/operate.md names every unit, every file for other managers, and the exit codes', () => {
  const text = readFileSync(join(ROOT, 'docs/operate.md'), 'utf8');
  const units = readdirSync(path('systemd')).filter((each) => !each.includes('@'));
  const files = ['sysctl.d', 'udev', 'network', 'networkd.conf.d', 'NetworkManager'].flatMap((each) =>
    readdirSync(path(each)),
  );
  for (const each of [...units, 'enf-agent@NAME.service', 'enf-online@NAME.target', ...files])
    expect(text).toMatch(new RegExp(`[\`/]${each.replaceAll('.', '\\.')}\``));
  for (const { code, meaning } of describeProgram('enf-agent').exits)
    expect(text).toContain(`\n| ${code} | ${meaning}`);
});

test('the scripts of the package are plain shell', () => {
  for (const name of ['preinst', 'postinst', 'prerm', 'postrm'])
    expect(run('sh', ['-n', path(`debian/${name}`)])).toEqual({ code: 0, output: '' });
});

test('only a Node.js that is too old causes a warning', () => {
  const tools = folder();
  for (const [version, warns] of [
    ['installed 18.20.4+dfsg-1~deb12u3', true],
    ['installed 20.20.2-1nodesource1', false],
    ['not-installed ', false],
  ] as const) {
    writeFileSync(join(tools, 'dpkg-query'), `#!/bin/sh\necho '${version}'\n`, { mode: 0o755 });
    const { code, output } = run('sh', [path('debian/preinst'), 'install'], {
      env: { PATH: `${tools}:${process.env.PATH}` },
    });
    expect([version, code, output.includes('On Debian 12')]).toEqual([version, 0, warns]);
  }
});
