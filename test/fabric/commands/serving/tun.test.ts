import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scratch } from '../../place.ts';
import { fabricProgram } from '../program.ts';

// A namespace of its own: this host's routes are nobody's to change.
const namespace = `enf-d-${process.pid}`;
const inside = ['ip', 'netns', 'exec', namespace];
const fabric = fabricProgram(inside);
/** On a machine without nft. */
const withoutNft = fabricProgram([
  ...inside,
  ...[
    'unshare',
    '--mount',
    'sh',
    '-c',
    'mount --bind /dev/null $(readlink -f /usr/sbin/nft); exec "$@"',
    'sh',
  ],
]);

const ip = (...args: string[]): string =>
  execFileSync(inside[0]!, [...inside.slice(1), 'ip', ...args], { encoding: 'utf8', stdio: 'pipe' });

beforeAll(() => {
  execFileSync('ip', ['netns', 'add', namespace]);
  ip('link', 'set', 'lo', 'up');
});
afterAll(() => {
  execFileSync('ip', ['netns', 'del', namespace]);
});

test('the host reaches every network, also one added while serving, and nothing is left behind', async () => {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  await fabric.json('init', ...at);
  await fabric.json('network', 'add', 'fd00:1:2:3::/64', ...at);
  const serving = await fabric.serve(data, '--tun', 'enf-test0');
  const addresses = (): string => ip('-6', '-o', 'addr', 'show', 'dev', 'enf-test0');
  expect(addresses()).toContain('fd00:1:2:3::1/128');
  expect(ip('-6', 'route', 'get', 'fd00:1:2:3:aa::5')).toMatch(/dev enf-test0 .*src fd00:1:2:3::1 /);
  expect(ip('link', 'show', 'enf-test0')).toContain('mtu 1280');

  const added = await fabric.run('network', 'add', 'fd00:9:9:9::/64', ...at);
  expect(added.out).toContain('in force');
  expect(addresses()).toContain('fd00:9:9:9::1/128');
  expect(ip('-6', 'route', 'show', 'dev', 'enf-test0')).toContain('fd00:9:9:9::/64');

  expect((await fabric.run('network', 'remove', 'fd00:9:9:9::/64', '--yes', ...at)).out).toContain(
    'in force',
  );
  expect(addresses()).not.toContain('fd00:9:9:9::');
  expect(ip('-6', 'route', 'show', 'dev', 'enf-test0')).not.toContain('fd00:9:9:9::');
  expect(addresses()).toContain('fd00:1:2:3::1/128');

  expect(await serving.stop()).toBe(0);
  expect(() => ip('link', 'show', 'enf-test0')).toThrow(/does not exist/);
});

test('[16.4] what another program takes away is restored, and logged', async () => {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  await fabric.json('init', ...at);
  await fabric.json('network', 'add', 'fd00:1:2:3::/64', ...at);
  await fabric.json('network', 'add', 'fd00:1:2:4::/64', ...at);
  const serving = await fabric.serve(data, '--tun', 'enf-test0');
  const eventually = async (fact: () => boolean): Promise<void> => {
    while (!fact()) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  const has = (text: string, ...command: string[]) => ip(...command).includes(text);
  const address = () => has('fd00:1:2:3::1/128', '-6', '-o', 'addr', 'show', 'dev', 'enf-test0');
  const route = () => has('fd00:1:2:4::/64', '-6', 'route', 'show', 'dev', 'enf-test0');

  ip('-6', 'addr', 'del', 'fd00:1:2:3::1/128', 'dev', 'enf-test0');
  await eventually(address);
  ip('-6', 'route', 'del', 'fd00:1:2:4::/64', 'dev', 'enf-test0');
  await eventually(route);
  // Taken down, it loses its routes and addresses.
  ip('link', 'set', 'enf-test0', 'down', 'mtu', '1400');
  await eventually(() => has('mtu 1280', 'link', 'show', 'enf-test0') && address() && route());
  expect(serving.log()).toContain(
    'the address fd00:1:2:3::1/128 of enf-test0 was changed by another program',
  );
  // A network that is removed is not restored.
  await fabric.run('network', 'remove', 'fd00:1:2:4::/64', '--yes', ...at);
  ip('-6', 'addr', 'del', 'fd00:1:2:3::1/128', 'dev', 'enf-test0');
  await eventually(address);
  expect(route()).toBe(false);
  expect(await serving.stop()).toBe(0);
});

test('[16.4] a network that another fabric serves on this host is refused, and left to it', async () => {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', 'fd00:1:2:3::/64', '--data', data);
  const first = await fabric.serve(data, '--tun', 'enf-test0');
  const second = join(scratch(), 'fabric');
  await fabric.json('init', '--data', second);
  await fabric.json('network', 'add', 'fd00:1:2:3::/64', '--data', second);
  const listen = ['--identity-listen', '127.0.0.1:0', '--tunnel-listen', '127.0.0.1:0'];
  expect(await fabric.refusal('serve', '--data', second, '--tun', 'enf-test1', ...listen)).toMatchObject({
    code: 'fabric.network-elsewhere',
    message: expect.stringContaining('enf-test0 has the address fd00:1:2:3::1/128'),
  });
  expect(ip('-6', 'route', 'show', 'dev', 'enf-test0')).toContain('fd00:1:2:3::/64');
  expect(await first.stop()).toBe(0);
  // A route of somebody else, as an agent on this host has it, keeps no fabric from its work.
  ip('link', 'add', 'enf-other0', 'type', 'veth', 'peer', 'name', 'enf-other1');
  ip('link', 'set', 'enf-other1', 'up');
  ip('link', 'set', 'enf-other0', 'up');
  ip('-6', 'route', 'add', 'fd00:1:2:3::/64', 'dev', 'enf-other0');
  const again = await fabric.serve(second, '--tun', 'enf-test1');
  expect(ip('-6', 'route', 'get', 'fd00:1:2:3:aa::5')).toContain('dev enf-test1 ');
  ip('link', 'del', 'enf-other0');
  expect(await again.stop()).toBe(0);
});

test('a TUN device that cannot be is refused before anything listens', async () => {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  expect(await fabric.refusal('serve', '--data', data, '--tun', 'no/such')).toMatchObject({
    code: 'cli.bad-option',
  });
});

test('[H-A4] without nft it does not serve, unless every service is offered', async () => {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  await fabric.json('init', ...at);
  await fabric.json('network', 'add', 'fd00:1:2:3::/64', ...at);
  expect(await withoutNft.refusal('serve', ...at, '--tun', 'enf-test1')).toMatchObject({
    code: 'fabric.host-not-closed',
    remedy: 'operator',
    action: expect.stringContaining('Install the package nftables'),
  });
  expect(() => ip('link', 'show', 'enf-test1')).toThrow(/does not exist/);
  const serving = await withoutNft.serve(data, '--tun', 'enf-test1', '--host-services', 'all');
  expect(ip('-6', '-o', 'addr', 'show', 'dev', 'enf-test1')).toContain('fd00:1:2:3::1/128');
  expect(serving.log()).toContain('nothing keeps other hosts from pretending');
  expect(await serving.stop()).toBe(0);
});

test.each(['tcp', 'tcp/0', 'all,tcp/22', ''])('[H-A4] --host-services %j is refused', async (services) => {
  expect(await fabric.refusal('serve', '--host-services', services)).toMatchObject({
    code: 'cli.bad-option',
  });
});

interface Examination {
  readonly healthy: boolean;
  readonly findings: readonly { readonly id: string; readonly outcome: string; readonly message: string }[];
}

test('[H-A4] the doctor shows what a fabric offers of its host, and fails without one', async () => {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  await fabric.json('init', ...at);
  await fabric.json('network', 'add', 'fd00:1:2:3::/64', ...at);
  const examine = async (...args: string[]): Promise<Examination & { code: number; text: string }> => {
    const { code, out } = await fabric.run('doctor', ...at, '--json', ...args);
    // Whether something synchronises the clock is this machine's doing.
    const outcomes = (JSON.parse(out) as Examination).findings.map(({ id, outcome }) =>
      id === 'clock' ? id : `${id} ${outcome}`,
    );
    return { code, ...(JSON.parse(out) as Examination), text: outcomes.join(', ') };
  };
  const alone = await examine();
  expect(alone.text).toBe(
    'certificates ok, cas skipped, control failed, ports skipped, tun skipped, host-services skipped, forwarding skipped, routes skipped, bgp skipped, database skipped, disk ok, backup warning, places ok, revocation-lists skipped, clock, entropy ok',
  );
  expect([alone.code, alone.healthy]).toEqual([1, false]);

  const serving = await fabric.serve(data, '--tun', 'enf-test2', '--host-services', 'tcp/22,udp/53');
  const all = await examine();
  expect(all.text).toBe(
    'certificates ok, cas skipped, control ok, ports ok, tun ok, host-services ok, forwarding ok, routes skipped, bgp skipped, database skipped, disk ok, backup warning, places ok, revocation-lists skipped, clock, entropy ok',
  );
  expect([all.code, all.healthy]).toEqual([0, true]);
  expect(all.findings[5]!.message).toMatch(/tcp\/22,udp\/53 .*enf_fabric_enf-test2/);
  const text = await fabric.run('doctor', ...at, '--only', 'host-services');
  expect(text.out).toMatch(/^ok {5} {2}host-services {2}devices may use tcp\/22,udp\/53/);
  expect(await fabric.refusal('doctor', ...at, '--only', 'dns')).toMatchObject({ code: 'cli.bad-value' });

  // What cannot be restored.
  ip('link', 'set', 'enf-test2', 'down');
  ip('link', 'set', 'enf-test2', 'name', 'enf-other');
  expect((await examine('--only', 'tun')).findings).toMatchObject([
    { outcome: 'failed', message: expect.stringContaining('there is no interface enf-test2') },
  ]);
  while (!serving.log().includes('the TUN device enf-test2 is gone'))
    await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await serving.stop()).toBe(0);
});
