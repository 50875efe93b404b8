import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { parseTrust } from '../../../../protocol/identity/trust.ts';
import { makeBatch } from '../../device.ts';
import { scratch } from '../../place.ts';
import { fabricProgram, type Serving } from '../program.ts';
import { tunnel } from '../tunnel.ts';

const fabric = fabricProgram();
// The test connects to the fabric, so it is in no namespace: names, table and network are its own.
const own = process.pid % 65_536;
const TUN = `enf-rt${own}`;
const TABLE = 200_000 + own;
const NETWORK = `fd77:0:0:${own.toString(16)}::/64`;

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });
/** "destination metric" of each. */
function routes(): string[] {
  try {
    const found = JSON.parse(ip('-j', '-N', '-6', 'route', 'show', 'table', String(TABLE))) as {
      dst: string;
      dev: string;
      protocol: string;
      metric: number;
    }[];
    return found.map(({ dst, dev, protocol, metric }) => `${dst} ${dev} ${protocol} ${metric}`);
  } catch {
    return []; // a table that never had a route
  }
}
const rules = (): string => ip('-6', 'rule', 'show', 'table', String(TABLE));
afterAll(() => {
  while (rules() !== '') ip('-6', 'rule', 'del', 'table', String(TABLE));
});

/** A fabric's folder and its configuration, with routes for other nodes. */
async function founded(text = `[node]\nname = "a"\n[routes]\ninstall = true\ntable = ${TABLE}\n`) {
  const folder = scratch();
  const data = join(folder, 'fabric');
  const config = join(folder, 'fabric.toml');
  writeFileSync(config, text);
  const batch = makeBatch();
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', NETWORK, '--data', data);
  await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, '--data', data);
  const serve = (): Promise<Serving> => fabric.serve(data, '--tun', TUN, '--config', config);
  const { xttRoot, tlsRoot } = parseTrust(readFileSync(join(data, 'trust.json'), 'utf8'));
  return { data, config, batch, serve, xttRoot, tlsRoot };
}

test('the route of a tunnel is in the table as long as it, and the doctor sees it', async () => {
  const { data, batch, serve, xttRoot, tlsRoot } = await founded();
  const serving = await serve();
  expect(rules()).toMatch(/^8380:\tfrom all lookup \d+\n$/);
  expect(routes()).toEqual([]);
  const { identityPort, tunnelPort: port } = serving;
  await tunnel({
    ...{ port, identityPort, ca: tlsRoot, root: xttRoot },
    gid: batch.gid,
    chip: await batch.chip(),
  });
  await vi.waitFor(
    () => expect(routes()).toEqual([expect.stringMatching(new RegExp(`^fd77:.* ${TUN} 77 101$`))]),
    10_000,
  );
  const found = async (id: string) =>
    JSON.parse((await fabric.run('doctor', '--data', data, '--only', id, '--json')).out).findings[0];
  expect(await found('routes')).toMatchObject({
    outcome: 'ok',
    message: expect.stringContaining('1 route of tunnels'),
  });
  const address = routes()[0]!.split(' ')[0]!;
  await fabric.json('device', 'ban', address, '--data', data);
  await vi.waitFor(() => expect(routes()).toEqual([]), 10_000);
  expect(await serving.stop()).toBe(0);
  expect(rules()).toBe('');
});

test('what a fabric that was killed has left is gone once the next one serves', async () => {
  const { serve } = await founded();
  const serving = await serve();
  await serving.stop('SIGKILL');
  expect(rules()).not.toBe('');
  ip(
    '-6',
    'route',
    'add',
    'unreachable',
    'fd77::dead/128',
    'table',
    String(TABLE),
    'proto',
    '77',
    'metric',
    '100',
  );
  const again = await serve();
  expect(routes()).toEqual([]);
  expect(again.log()).toContain('removed 1 route that an earlier process left');
  expect(rules().trim().split('\n')).toHaveLength(1);
  expect(await again.stop()).toBe(0);
});

test('a node without a name, or without a TUN device, serves nothing', async () => {
  const unnamed = await founded('[routes]\ninstall = true\n');
  const listen = ['--identity-listen', '127.0.0.1:0', '--tunnel-listen', '127.0.0.1:0'];
  const serve = ['serve', '--data', unnamed.data, '--config', unnamed.config, ...listen];
  expect(await fabric.refusal(...serve, '--tun', TUN)).toMatchObject({ code: 'config.bad-routes' });
  const { data, config } = await founded();
  expect(
    await fabric.refusal('serve', '--data', data, '--config', config, ...listen, '--tun', 'none'),
  ).toMatchObject({
    code: 'config.bad-routes',
    message: expect.stringContaining('host.tun'),
  });
  expect((await fabric.run('check-config', '--config', config)).code).toBe(0);
  expect(await fabric.refusal('check-config', '--config', unnamed.config)).toMatchObject({
    code: 'config.bad-routes',
  });
});

test('the configuration of BIRD as text and as JSON, with the table of this node', async () => {
  const { config } = await founded('[routes]\ntable = 300\nprotocol = 78\n');
  const args = [
    'bgp',
    'config',
    '--router-id',
    '10.0.0.1',
    '--peer',
    'b=fd99::2',
    '--peer',
    'c=fd99::3',
    '--config',
    config,
  ];
  const { code, out } = await fabric.run(...args);
  expect(code).toBe(0);
  expect(out).toContain('kernel table 300;');
  expect(out).toContain('if krt_source != 78 then reject;');
  expect(await fabric.json(...args)).toEqual({
    routerId: '10.0.0.1',
    as: 64_512,
    peers: [
      { name: 'b', address: 'fd99::2' },
      { name: 'c', address: 'fd99::3' },
    ],
    table: 300,
    protocol: 78,
    install: false,
    config: out,
  });
  const within = await fabric.json(...args, '--within', 'fd00:8f80::/32', '--within', 'fd00:8::/48');
  expect(within).toMatchObject({
    within: ['fd00:8f80::/32', 'fd00:8::/48'],
    config: expect.stringContaining(
      'if net !~ [ fd00:8f80::/32{64,64}, fd00:8f80::/32{128,128}, fd00:8::/48{64,64}, fd00:8::/48{128,128} ] then reject;',
    ),
  });
  expect(await fabric.refusal(...args, '--within', 'fd00::/0')).toMatchObject({ code: 'ipv6.bad-prefix' });
  expect(await fabric.refusal(...args, '--within', '::/0')).toMatchObject({ code: 'cli.bad-option' });
  expect(await fabric.refusal('bgp', 'config', '--router-id', '10.0.0.1', '--config', config)).toMatchObject({
    code: 'bgp.bad-peer',
  });
  expect(await fabric.refusal('bgp', 'config', '--peer', 'b=fd99::2', '--config', config)).toMatchObject({
    code: 'cli.missing-option',
  });
  const named = await founded('[node]\nname = "b"\n');
  expect(await fabric.refusal(...args.slice(0, -1), named.config)).toMatchObject({
    code: 'bgp.bad-peer',
    message: '--peer b=fd99::2 names this node itself: node.name is "b"',
  });
  expect(await fabric.refusal(...args, '--local', 'fd99::3')).toMatchObject({
    code: 'bgp.bad-peer',
    message: '--peer c=fd99::3 names this node itself: that is its own address',
  });
  const there = await founded('[node]\nname = "d"\naddress = "fd99:0::3"\n');
  expect(await fabric.refusal(...args.slice(0, -1), there.config)).toMatchObject({ code: 'bgp.bad-peer' });
  expect(await fabric.refusal(...args, '--as', '0')).toMatchObject({ code: 'cli.bad-option' });
  expect(await fabric.refusal(...args, '--local', '10.0.0.1')).toMatchObject({ code: 'bgp.bad-peer' });
});
