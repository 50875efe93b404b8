import { writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratch } from '../../place.ts';
import { fabricProgram } from '../program.ts';

const fabric = fabricProgram();

/** A founded fabric, and the configuration of a node of it that serves some duties. */
async function node(serves: string) {
  const folder = scratch();
  const data = join(folder, 'fabric');
  const file = join(folder, 'fabric.toml');
  writeFileSync(file, `[node]\nname = "a"\nserves = [${serves}]\n`);
  await fabric.json('init', '--data', data);
  const config = ['--config', file];
  return { data, at: ['--data', data], config, served: await fabric.serve(data, ...config) };
}

/** Whether somebody listens. */
const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });

const metricsOf = (data: string): Promise<string> =>
  new Promise((resolve, reject) => {
    get({ socketPath: join(data, 'control.sock'), path: '/metrics' }, async (answer) =>
      resolve(Buffer.concat(await answer.toArray()).toString()),
    ).on('error', reject);
  });

interface Status {
  readonly serving: {
    serves: string[];
    identity: string | null;
    tunnel: string | null;
    host: unknown;
  } | null;
}

const checksOf = async (at: readonly string[]): Promise<Record<string, string>> => {
  const { out } = await fabric.run('doctor', '--json', ...at);
  const { findings } = JSON.parse(out) as { findings: { id: string; outcome: string; message: string }[] };
  return Object.fromEntries(findings.map(({ id, outcome, message }) => [id, `${outcome}: ${message}`]));
};

test('an identity server alone: handshakes and the control socket, and nothing else', async () => {
  const { data, at, config, served } = await node('"identity"');
  expect(await listens(served.identityPort)).toBe(true);
  expect(served.tunnelPort).toBe(0);
  const said = async (...words: string[]): Promise<string> => (await fabric.run(...words, ...at)).out;
  const { serving } = await fabric.json<Status>('status', ...at);
  expect(serving).toEqual({
    ...{ serves: ['identity'], identity: `127.0.0.1:${served.identityPort}` },
    ...{ tunnel: null, host: null },
  });
  expect(await said('status', '--check')).toBe(`identity 127.0.0.1:${served.identityPort}\n`);
  expect(await said('node', 'list')).toMatch(/^a +serving +development +identity +- /m);
  expect(await fabric.json('node', 'show', 'a', ...at)).toMatchObject({
    serves: ['identity'],
    tunnels: null,
  });
  expect(await said('node', 'show', 'a')).not.toContain('Tunnels');
  expect(await said('drain')).toContain('this host serves no tunnels');
  expect(await fabric.json('drain', '--show', ...at)).toEqual({ draining: null, tunnels: null });
  const checks = await checksOf(at);
  expect(checks.control).toMatch(/^ok: the fabric answers: identity 127\.0\.0\.1:\d+$/);
  expect(checks.ports).toMatch(/^ok: 127\.0\.0\.1:\d+ accepts connections$/);
  expect(checks.tun).toBe('skipped: this host serves no tunnels (node.serves)');
  const metrics = await metricsOf(data);
  expect(metrics).toContain('enf_fabric_serves{duty="tunnels"} 0');
  expect(metrics).not.toMatch(/enf_router_|alarms/);
  // The only identity server goes on while it drains.
  expect(await said('node', 'drain', 'a')).toContain('Node a drains: others serve handshakes from now on');
  expect(served.log()).toContain('this node drains');
  expect(await listens(served.identityPort)).toBe(true);
  expect(await fabric.refusal('console', 'serve', ...config, ...at)).toMatchObject({
    code: 'config.bad-serves',
    message: expect.stringContaining('to serve the console'),
  });
  expect(await fabric.json<{ node: unknown }>('check-config', ...config)).toMatchObject({
    node: { serves: ['identity'] },
  });
  // A command of the host still runs here.
  await fabric.json('network', 'add', 'fd00:1:2:3::/64', ...at);
  expect(await served.stop()).toBe(0);
});

test('a router with a console: no handshakes; and a console alone, to which no device comes', async () => {
  const { at, served, data, config } = await node('"tunnels", "console"');
  expect(await listens(served.tunnelPort)).toBe(true);
  expect(served.identityPort).toBe(0);
  expect((await fabric.run('status', '--check', ...at)).out).toBe(
    `tunnel 127.0.0.1:${served.tunnelPort}, console, without a TUN device\n`,
  );
  expect((await fabric.console(data, ...config)).url).toMatch(/^http/);
  expect(await served.stop()).toBe(0);

  const alone = await fabric.serve(data, ...config, '--serves', 'console');
  expect([alone.identityPort, alone.tunnelPort]).toEqual([0, 0]);
  expect((await fabric.run('status', '--check', ...at)).out).toBe('console\n');
  const checks = await checksOf(at);
  expect(checks.ports).toBe('skipped: devices do not come to this host (node.serves)');
  expect(await fabric.json('node', 'show', 'a', ...at)).toMatchObject({ serves: ['console'] });
});

test('what makes no sense together is refused before anything is opened', async () => {
  const folder = scratch();
  const data = join(folder, 'fabric');
  await fabric.json('init', '--data', data);
  const refused = (...args: string[]) => fabric.refusal('serve', '--data', data, ...args);
  expect(await refused('--serves', 'identity')).toMatchObject({ code: 'config.bad-serves' });
  expect(await refused('--serves', 'router')).toMatchObject({ code: 'cli.bad-option' });
  const file = join(folder, 'fabric.toml');
  writeFileSync(file, '[node]\nname = "a"\nserves = ["console"]\n[routes]\ninstall = true\n');
  for (const args of [['serve', '--data', data], ['check-config']])
    expect(await fabric.refusal(...args, '--config', file)).toMatchObject({
      code: 'config.bad-serves',
      message: expect.stringContaining('routes.install is on'),
    });
});
