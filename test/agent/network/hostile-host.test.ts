import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { route as routeCheck } from '../../../agent/doctor/checks/route.ts';
import { checkPrefixes } from '../../../agent/network/desired.ts';
import { isInside, type Policy, policyOf } from '../../../agent/network/policy.ts';
import { parsePrefix } from '../../../protocol/ipv6.ts';
import { bundle } from '../../bundle.ts';
import { createHost, type Host } from '../netns.ts';
import { fakeProbes } from '../probes.ts';

const OWN = 'fd00:5::7';
const MARK = 363;
const SPLIT: Policy = {
  mode: 'split',
  device: 'enf0',
  mtu: 1280,
  assignAddress: true,
  prefixes: [],
  table: 2097,
  mark: 0,
  allowIpv4: false,
  trusted: [],
};
const LOCKDOWN: Policy = { ...SPLIT, mode: 'lockdown', mark: MARK };

let host: Host;
const folder = mkdtempSync(join(tmpdir(), 'enf-hostile-'));
beforeAll(async () => {
  host = createHost('hostile');
  await host.serve(host.world);
  await bundle(new URL('reconciler-child.ts', import.meta.url), join(folder, 'child.mjs'));
});
afterAll(() => {
  host?.close();
  rmSync(folder, { recursive: true });
});

const inHost = (...command: string[]): string => host.must(host.host, ...command);
const routes = (): string => inHost('ip', '-6', 'route', 'show', 'fd00:5::/64');
const pings = (target: string, ...options: string[]): boolean =>
  host.run(host.host, 'ping', '-n', '-c', '1', '-W', '0.5', ...options, target).code === 0;

describe('[H-C3] a route of others to the same prefix', () => {
  const theirs = 'fd00:5::/64 via fd78::1 dev up0 metric 1024';

  test('stays while the tunnel is up, and afterwards; ours comes first', async () => {
    inHost('ip', '-6', 'route', 'add', ...theirs.split(' '));
    const before = routes();
    const program = await host.reconcile(SPLIT, OWN);
    expect(routes()).toContain(theirs);
    expect(inHost('ip', '-6', 'route', 'get', 'fd00:5::99')).toContain('dev enf0');
    await program.stop();
    expect(routes()).toBe(before);
    inHost('ip', '-6', 'route', 'del', ...theirs.split(' '));
  });

  test('that takes the place of ours keeps it, and ours gets another', async () => {
    const program = await host.reconcile(SPLIT, OWN);
    inHost('ip', '-6', 'route', 'replace', ...theirs.split(' '));
    expect(routes()).not.toContain('enf0');
    await vi.waitFor(() => expect(routes()).toContain('dev enf0'), { timeout: 10_000 });
    expect(routes()).toContain(theirs);
    await program.stop();
    expect(routes()).toContain(theirs);
    inHost('ip', '-6', 'route', 'del', ...theirs.split(' '));
  });
});

describe('[H-C4] the fabric’s address inside route.prefixes', () => {
  const prefixes = [parsePrefix('2001:db8::/32'), parsePrefix('fd00::/8')];
  const config = (remote: string, list: string) =>
    parseConfig(`[remote]\n${remote}\n[route]\nprefixes = ${list}`, 'x');

  test('the tunnel’s own connection stays outside, and so do the machine’s links', async () => {
    const rules = inHost('ip', '-6', 'rule');
    expect(await host.dial(0, '2001:db8:1::1', 443)).toBe('2001:db8:1::1');
    const program = await host.reconcile({ ...SPLIT, prefixes, bypass: true, mark: MARK }, OWN);
    expect(await host.dial(MARK, '2001:db8:1::1', 443)).toBe('2001:db8:1::1');
    expect(await host.dial(0, '2001:db8:1::1', 443)).toMatch(/^net\./);
    expect([pings('fd78::1'), pings('fd79::1'), pings('198.51.100.1')]).toEqual([true, true, true]);
    inHost('ip', '-6', 'rule', 'del', 'priority', '8391');
    await vi.waitFor(() => expect(inHost('ip', '-6', 'rule')).toContain('8391:'), { timeout: 10_000 });
    await program.stop();
    expect(inHost('ip', '-6', 'rule')).toBe(rules);
    expect(await host.dial(0, '2001:db8:1::1', 443)).toBe('2001:db8:1::1');
  });

  test('is known from the configuration: a literal address, or a name that may have any', () => {
    const inside = (remote: string, list: string): boolean => isInside(config(remote, list));
    expect(inside('hosts = ["2001:db8:1::1"]', '["2001:db8::/32"]')).toBe(true);
    expect(inside('hosts = ["2001:db9:1::1"]', '["2001:db8::/32"]')).toBe(false);
    expect(inside('hosts = ["192.0.2.1"]', '["2001:db8::/32"]')).toBe(false);
    expect(inside('hosts = ["enf.example"]', '["2001:db8::/32"]')).toBe(true);
    expect(inside('hosts = ["enf.example"]', '[]')).toBe(false);
    const proxied = 'hosts = ["2001:db8:1::1"]\nproxy = "http://192.0.2.1:1"';
    expect(inside(proxied, '["2001:db8::/32"]')).toBe(false);
    expect(policyOf(config('hosts = ["enf.example"]', '["2001:db8::/32"]'))).toMatchObject({
      bypass: true,
      mark: MARK,
    });
    expect(policyOf(config('hosts = ["enf.example"]', '[]'))).not.toHaveProperty('bypass');
  });

  test('is told by the doctor', async () => {
    const probes = fakeProbes({ config: config('hosts = ["2001:db8:1::1"]', '["2001:db8::/32"]') });
    expect(await routeCheck.run(probes)).toMatchObject({
      outcome: 'ok',
      message: expect.stringContaining('mark 363'),
    });
  });
});

describe('[H-C10] a link that has the prefix of the overlay', () => {
  const links = [parsePrefix('2001:db8:5::/64')];

  test('is a named failure, one that is more specific or wider is none', () => {
    expect(() => checkPrefixes([parsePrefix('2001:db8:5::/64')], links)).toThrowError(
      expect.objectContaining({
        code: 'os.prefix-in-use',
        message: expect.stringContaining('2001:db8:5::/64'),
      }),
    );
    for (const other of ['2001:db8::/32', '2001:db8:5::/80', '2001:db8:6::/64'])
      expect(() => checkPrefixes([parsePrefix(other)], links)).not.toThrow();
  });

  test('is told by the doctor', async () => {
    const config = parseConfig(
      '[remote]\nhosts = ["192.0.2.1"]\n[route]\nprefixes = ["2001:db8:5::/64"]',
      'x',
    );
    const found = await routeCheck.run(fakeProbes({ config, links: () => links }));
    expect(found).toMatchObject({ outcome: 'failed', message: expect.stringContaining('2001:db8:5::/64') });
    expect((await routeCheck.run(fakeProbes({ config, links: () => [] }))).outcome).toBe('ok');
  });
});

describe('[H-C5] lockdown without what it needs', () => {
  /** A reconciler that finds this program in place of the one of that name; it ends when it cannot begin. */
  const attempt = (name: string, program: string) => {
    writeFileSync(join(folder, 'instead'), program);
    chmodSync(join(folder, 'instead'), program === '' ? 0o644 : 0o755);
    writeFileSync(join(folder, 'policy.json'), JSON.stringify({ ...LOCKDOWN, prefixes: [] }));
    const script = `mount --bind ${folder}/instead $(readlink -f $(command -v ${name}))
      exec ${process.execPath} ${folder}/child.mjs ${folder}/policy.json ${OWN} -`;
    return host.run(host.host, 'unshare', '--mount', 'env', `ENF_ADDON=${ADDON}`, 'sh', '-ec', script);
  };
  const tidy = async (): Promise<void> => (await host.reconcile(LOCKDOWN, OWN)).stop();

  for (const [how, program] of [
    ['is not there', ''],
    ['fails', '#!/bin/sh\necho no >&2; exit 1\n'],
    ['is denied', '#!/bin/sh\necho "Operation not permitted" >&2; exit 1\n'],
  ] as const) {
    test(`nft ${how}: closed by routes and rules, and said so`, async () => {
      expect([pings('198.51.100.1'), pings('2001:db8:1::1')]).toEqual([true, true]);
      const { code, stdout, stderr } = attempt('nft', program);
      expect(code).not.toBe(0);
      expect(stdout).toContain('closed by routes and rules only');
      expect(stderr).toMatch(/os\.(no-nftables|nft-failed|not-permitted)/);
      for (const target of ['198.51.100.1', '10.78.0.1', '2001:db8:1::1', 'fd78::1']) {
        expect([target, pings(target)]).toEqual([target, false]);
        const own = target.includes(':') ? 'fd78::2' : '10.78.0.2';
        expect([target, pings(target, '-I', own)]).toEqual([target, false]);
      }
      expect(pings('2001:db8:1::1', '-m', String(MARK))).toBe(true);
      await tidy();
      expect([pings('198.51.100.1'), pings('2001:db8:1::1')]).toEqual([true, true]);
    });
  }

  for (const [how, program] of [
    ['is not there', ''],
    ['fails', '#!/bin/sh\necho no >&2; exit 1\n'],
  ] as const) {
    test(`ip ${how}: it is open, and called so`, () => {
      const { code, stderr } = attempt('ip', program);
      expect(code).not.toBe(0);
      expect(stderr).toContain('os.lockdown-open');
      expect(stderr).toContain('OPEN');
    });
  }
});

const ADDON = process.env.ENF_ADDON ?? new URL('../../../dist/enf.node', import.meta.url).pathname;
