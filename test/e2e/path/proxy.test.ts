import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, inSoftware, openBatch } from '../batch.ts';
import { FABRIC_ADDRESS } from '../network.ts';
import { eventually, type Running, runIn, startIn } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

const PROXY = fileURLToPath(new URL('proxy.mjs', import.meta.url));
const PORT = '3128';
const PASSWORD = 'correct-horse-7';

/** A network that lets nothing out but through its HTTP proxy, which wants a password. */
describe('[C-9] behind an HTTP proxy', () => {
  let world: World;
  let device: Device;
  let proxy: Running;
  let login: string;

  beforeAll(async () => {
    const batch = await openBatch('proxy');
    world = batch.world;
    await admit(world, batch.label);
    device = await inSoftware(world, batch.group, 1);
    login = join(world.folder, 'login');
    const command = [process.execPath, PROXY, FABRIC_ADDRESS, PORT, `device:${PASSWORD}`];
    proxy = startIn(world.network.fabric, command, join(world.folder, 'proxy.log'));
    await eventually('the proxy', async () => (proxy.output().includes('ready') ? true : undefined));
    for (const rule of [
      ['table', 'inet', 'gate'],
      ['chain', 'inet', 'gate', 'out', '{ type filter hook output priority 0; policy drop; }'],
      ['rule', 'inet', 'gate', 'out', 'oifname', 'lo', 'accept'],
      ['rule', 'inet', 'gate', 'out', 'oifname', 'enf0', 'accept'],
      ['rule', 'inet', 'gate', 'out', 'ip', 'daddr', FABRIC_ADDRESS, 'tcp', 'dport', PORT, 'accept'],
    ]) {
      expect((await runIn(device.namespace, ['nft', 'add', ...rule])).stderr).toBe('');
    }
    const file = readFileSync(device.config, 'utf8');
    writeFileSync(
      device.config,
      file.replace(
        /^hosts = .*$/m,
        // The name is one that only the proxy's side knows how to find.
        `hosts = ["localhost"]\nproxy = "http://${FABRIC_ADDRESS}:${PORT}"\nproxy-login-file = "${login}"`,
      ),
    );
  });
  afterAll(async () => {
    await proxy?.stop('SIGKILL');
    await world?.close();
  });

  /** As any other program of the host. */
  const reachesProxy = async (): Promise<boolean> => {
    const open = ['timeout', '2', 'bash', '-c', `: </dev/tcp/${FABRIC_ADDRESS}/${PORT}`];
    return (await runIn(device.namespace, open)).code === 0;
  };

  test('a wrong password is for a person; once it is right, the same running agent gets its identity and is online', async () => {
    writeFileSync(login, 'device:wrong-7\n', { mode: 0o600 });
    device.start();
    expect((await device.until('backing-off')).trouble?.code).toBe('net.proxy-login');
    expect(await world.fabric.handshakes()).toEqual([]);
    writeFileSync(login, `device:${PASSWORD}\n`);
    await device.stop(); // it would look again by itself, only later
    device.start();
    const { address } = await device.until('online');
    expect(await eventually('an answer', () => ping(world.network.fabric, address!))).toBeGreaterThan(0);
    expect(proxy.output().trim().split('\n').slice(-2)).toEqual(['localhost:444', 'localhost:443']);
  });

  test('lockdown lets the connection to the proxy out, and nothing else', async () => {
    await device.stop();
    await eventually('a way to the proxy', async () => (await reachesProxy()) || undefined);
    writeFileSync(device.config, `${readFileSync(device.config, 'utf8')}\n[route]\nmode = "lockdown"\n`);
    device.start();
    const { address } = await device.until('online');
    expect(await eventually('an answer', () => ping(world.network.fabric, address!))).toBeGreaterThan(0);
    expect(await reachesProxy()).toBe(false);
  });

  test('doctor and netcheck use the proxy; no command prints the password', async () => {
    const report = join(world.folder, 'report');
    const said = [
      await device.agent('doctor', '--json'),
      await device.agent('netcheck'),
      await device.agent('status'),
      await device.agent('check-config'),
      await device.agent('check-config', '--json'),
      await device.agent('bugreport', '--out', report),
    ];
    const { findings } = JSON.parse(said[0]!.stdout) as { findings: { id: string; outcome: string }[] };
    const outcome = (id: string) => findings.find((each) => each.id === id)?.outcome;
    for (const id of ['proxy', 'ports', 'tls', 'captive-portal', 'route'])
      expect([id, outcome(id)]).toEqual([id, 'ok']);
    expect(said[1]!.stdout).toContain('A tunnel can be set up from here.');
    expect(said[2]!.stdout).toMatch(new RegExp(`via proxy +${FABRIC_ADDRESS} port ${PORT}`));
    const all = [
      ...said.flatMap(({ stdout, stderr }) => [stdout, stderr]),
      readFileSync(report, 'utf8'),
      readFileSync(join(world.folder, 'device1.log'), 'utf8'),
    ].join('\n');
    expect(all).toContain(`${FABRIC_ADDRESS}:${PORT}`);
    for (const secret of [PASSWORD, 'wrong-7', Buffer.from(`device:${PASSWORD}`).toString('base64')])
      expect(all).not.toContain(secret);
  });
});
