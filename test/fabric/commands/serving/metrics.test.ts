import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { parseTrust } from '../../../../protocol/identity/trust.ts';
import { makeBatch, provision } from '../../device.ts';
import { scratch } from '../../place.ts';
import { fabricProgram } from '../program.ts';

/** The metrics of a fabric that serves, as Prometheus reads them, and the alert rules: promtool judges both. */

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const PROMTOOL = join(ROOT, '.cache/promtool/promtool');

/** Debian's package prometheus would start a server; its promtool alone is taken out of it. */
function fetchPromtool(): void {
  if (existsSync(PROMTOOL)) return;
  const folder = mkdtempSync(join(tmpdir(), 'enf-promtool-'));
  const get = (): unknown =>
    execFileSync('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', '-qq', 'prometheus'], {
      cwd: folder,
      stdio: 'pipe',
    });
  try {
    try {
      get();
    } catch {
      execFileSync('apt-get', ['update', '-qq'], { stdio: 'pipe' });
      get();
    }
    mkdirSync(join(PROMTOOL, '..'), { recursive: true });
    execFileSync('bash', [
      '-c',
      'dpkg-deb --fsys-tarfile "$0"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$1.part" && chmod 755 "$1.part" && mv "$1.part" "$1"',
      folder,
      PROMTOOL,
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What promtool says; it fails if it finds anything. */
const promtool = (args: string[], input = ''): string =>
  execFileSync(PROMTOOL, args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });

const fabric = fabricProgram();
beforeAll(fetchPromtool, 300_000);

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

test('a configured fabric shows its metrics on loopback, and the age of its newest backup', async () => {
  const folder = scratch();
  const data = join(folder, 'fabric');
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', 'fd00:1::/64', '--data', data);
  const port = await freePort();
  const config = join(folder, 'fabric.toml');
  writeFileSync(config, `[metrics]\nlisten = "127.0.0.1:${port}"\n[tunnel]\nthreads = 1\n`);
  const serving = await fabric.serve(data, '--config', config);
  const get = async (path = '/metrics'): Promise<{ status: number; text: string }> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  const before = await get();
  expect(before.status).toBe(200);
  expect(promtool(['check', 'metrics'], before.text)).toBe('');
  for (const line of [
    'enf_fabric_networks 1',
    'enf_fabric_devices 0',
    'enf_router_threads 1',
    'enf_fabric_alarms_open 0',
  ])
    expect(before.text).toContain(`\n${line}\n`);
  expect(before.text).not.toContain('backup_timestamp');
  // Nothing else of the control socket is here.
  expect((await get('/sessions')).status).toBe(404);

  const { created } = await fabric.json<{ created: string }>(
    'backup',
    'create',
    join(folder, 'b'),
    '--data',
    data,
  );
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  expect((await get()).text).toContain(
    `\nenf_fabric_backup_timestamp_seconds ${Date.parse(created) / 1_000}\n`,
  );
  expect(await serving.stop()).toBe(0);
});

test.each([1, 2])(
  'handshakes are counted by their result, with %d processes that serve them',
  async (processes) => {
    const folder = scratch();
    const data = join(folder, 'fabric');
    await fabric.json('init', '--data', data);
    await fabric.json('network', 'add', 'fd00:1::/64', '--data', data);
    const port = await freePort();
    const config = join(folder, 'fabric.toml');
    writeFileSync(config, `[metrics]\nlisten = "127.0.0.1:${port}"\n[identity]\nprocesses = ${processes}\n`);
    const serving = await fabric.serve(data, '--config', config);
    const batch = makeBatch();
    const { xttRoot: root } = parseTrust(readFileSync(join(data, 'trust.json'), 'utf8'));
    const device = { port: serving.identityPort, root, gid: batch.gid, chip: await batch.chip() };
    await expect(provision(device)).rejects.toMatchObject({ code: 'xtt.error-received' });
    await fabric.json('group', 'add', '--label', batch.label, '--network', 'fd00:1::/64', '--data', data);
    await provision(device);
    const read = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    let text = await read();
    // What is refused is told of after the answer.
    while (!/result="fabric.group-not-admitted"\} 1\n/.test(text) || !/result="ok"\} 1\n/.test(text)) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      text = await read();
    }
    for (const name of ['admission', 'handshake'])
      expect(text).toContain(`\nenf_fabric_${name}_seconds_bucket{le="+Inf"} 1\n`);
    expect(promtool(['check', 'metrics'], text)).toBe('');
    expect(text).toContain('\nenf_fabric_devices 1\n');
    expect(await serving.stop()).toBe(0);
  },
);

test('a port that is taken costs the metrics, not the fabric', async () => {
  const folder = scratch();
  const data = join(folder, 'fabric');
  await fabric.json('init', '--data', data);
  const other = createServer();
  const port = await new Promise<number>((resolve) => {
    other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
  });
  const config = join(folder, 'fabric.toml');
  writeFileSync(config, `[metrics]\nlisten = "127.0.0.1:${port}"\n`);
  const serving = await fabric.serve(data, '--config', config);
  expect(serving.log()).toContain('the fabric runs without metrics on loopback');
  expect(await serving.stop()).toBe(0);
  other.close();
});

test('a configuration that is not there or wrong ends with 78', async () => {
  const folder = scratch();
  const config = join(folder, 'fabric.toml');
  expect((await fabric.run('serve', '--config', config)).code).toBe(78);
  writeFileSync(config, '[tunnel]\nthread = 1\n');
  for (const command of [['serve'], ['console', 'serve'], ['check-config']]) {
    const { code, err } = await fabric.run(...command, '--config', config);
    expect([code, err]).toEqual([78, expect.stringContaining('Did you mean key tunnel.threads?')]);
  }
});

test('the alert rules are such, and a wrong one would be found', () => {
  const rules = join(ROOT, 'packaging/fabric/examples/enf-fabric.rules.yml');
  expect(promtool(['check', 'rules', rules])).toContain('SUCCESS: 9 rules found');
  const wrong = join(scratch(), 'wrong.yml');
  writeFileSync(wrong, 'groups:\n  - name: a\n    rules:\n      - alert: B\n        expr: sum(\n');
  expect(() => promtool(['check', 'rules', wrong])).toThrow();
});
