import { expect, test } from 'vitest';
import { notedPriority, ruleNumber, ruleUuid } from '../../../../fabric/api/compat/quirks.ts';
import type { WholeRegistry } from '../../place.ts';
import { fabricOf } from '../console.ts';
import { exchanges, fabricWithAnna, servedCompat } from './client.ts';

const RULE = {
  priority: 10,
  action: 'ACCEPT',
  direction: 'INGRESS',
  ip_family: 'IP6',
  protocol: 'TCP',
};

async function place() {
  const registry = await fabricWithAnna();
  const client = await servedCompat(registry);
  const token = await client.signIn();
  const prefixOf = async (name: string): Promise<string> => {
    const { body } = await client.send('POST', '/api/xcr/v2/domains/1/nws', { body: { name }, token });
    return (body as { data: { network: string }[] }).data[0]!.network;
  };
  const [network, other] = [await prefixOf('plant'), await prefixOf('office')];
  const { body: endpoint } = exchanges.find(({ path }) => path.endsWith('/endpoints'))!;
  const made = await client.send('POST', '/api/xiam/v1/endpoints', {
    body: { ...(endpoint as object), address_request: { network } },
    token,
  });
  const { address } = made.body as { address: string };
  const create = (rule: object) =>
    client.send('POST', `/api/xfw/v1/${network}/rule`, { body: { ...RULE, ...rule }, token });
  const list = async () =>
    (await client.send('GET', `/api/xfw/v1/${network}/rule`, { token })).body as Record<string, unknown>[];
  return { registry, client, token, network, other, address, create, list };
}

/** As the fabric's own API shows them. */
async function rulesIn(registry: WholeRegistry, network: string) {
  const done = await fabricOf(registry).call('rule-list', {}, { network, limit: 50 });
  const { rows } = done!.view as {
    rows: {
      action: string;
      direction: string;
      devices: { names: string };
      with: { names: string };
      traffic: string;
    }[];
  };
  return rows.map((rule) =>
    [rule.action, rule.direction, rule.devices.names, rule.with.names, rule.traffic].join(' '),
  );
}

test('rules become those of the fabric, for whoever begins', async () => {
  const { registry, network, other, address, create } = await place();
  const host = network.replace('/64', '1');
  for (const [rule, shown] of [
    [{ dest_port: 22 }, 'allow in any any tcp/22'],
    [{ dest_ip: network, source_ip: '::/0' }, 'allow in any any tcp'],
    [
      { direction: 'EGRESS', protocol: 'UDP', dest_ip: other, dest_port: 53 },
      `allow out any network:${other} udp/53`,
    ],
    [
      { dest_ip: address, source_ip: other, action: 'DROP' },
      `deny in device:${address} network:${other} tcp`,
    ],
    [
      { direction: 'EGRESS', source_ip: `${address}/128`, dest_ip: `${host}/128` },
      `allow out device:${address} host tcp`,
    ],
  ] as const) {
    expect((await create(rule)).status, shown).toBe(200);
    expect((await rulesIn(registry, network)).at(-1)).toBe(shown);
  }
});

test('a rule that would not say the same is refused, and nothing is added', async () => {
  const { registry, network, create } = await place();
  for (const rule of [
    { source_port: 443 },
    { protocol: 'ICMP6' },
    { source_ip: '2001:db8::/32' },
    { source_ip: '2001:db8::7' },
    { source_ip: 'fd00:9:9:9::/64' },
    { dest_ip: 'fd00:9:9:9::/64' },
    { dest_ip: '::/0' },
    { direction: 'EGRESS', source_ip: 'fd00:9:9:9::1' },
  ]) {
    const got = await create(rule);
    expect([got.status, got.body], JSON.stringify(rule)).toMatchObject([
      501,
      { error: { code: 'compat.unsupported' } },
    ]);
  }
  for (const rule of [{ source_ip: 'x' }, { dest_port: 70_000 }, { action: 'REJECT' }, { ip_family: 'IP4' }])
    expect((await create(rule)).status, JSON.stringify(rule)).toBe(400);
  expect(await rulesIn(registry, network)).toEqual([]);
});

test('smaller priorities come first, equal ones in the order in which they came', async () => {
  const { create, list } = await place();
  for (const [priority, dest_port] of [
    [10, 1],
    [20, 2],
    [10, 3],
    [-5, 4],
    [15, 5],
  ]) {
    expect((await create({ priority, dest_port })).body).toMatchObject({ priority, dest_port });
  }
  expect((await list()).map(({ dest_port }) => dest_port)).toEqual([4, 1, 3, 5, 2]);
  expect((await list()).map(({ priority }) => priority)).toEqual([-5, 10, 10, 15, 20]);
});

test('rules that were made elsewhere are listed in the words of the fabric, and can be deleted', async () => {
  const { registry, client, token, network, other, list } = await place();
  const { call } = fabricOf(registry);
  const add = (input: object) => call('rule-add', {}, { network, action: 'deny', direction: 'in', ...input });
  await add({ with: 'outside', traffic: 'udp/8000-8010' });
  await add({ with: 'host', traffic: 'icmpv6', note: 'priority x' });
  await add({ devices: `group:registered keys` });
  expect(await list()).toMatchObject([
    { priority: 1, source_ip: 'outside', protocol: 'UDP/8000-8010', dest_port: 0 },
    { priority: 2, source_ip: `${network.replace('/64', '1')}/128`, protocol: 'ICMPV6' },
    { priority: 3, source_ip: null, dest_ip: expect.stringMatching(/^group:[0-9a-f]{64}$/), protocol: 'ANY' },
  ]);
  const remove = (of: string, id: unknown) =>
    client.send('DELETE', `/api/xfw/v1/${of}/rule/${id}`, { token });
  const [first] = await list();
  expect((await remove(other, first!.id)).status).toBe(404);
  expect((await remove(network, 'c0ffee00-0000-4000-8000-000000000001')).status).toBe(404);
  expect((await remove(network, first!.id)).status).toBe(200);
  expect((await remove(network, first!.id)).status).toBe(404);
  expect(await list()).toHaveLength(2);
});

test('numbers of rules travel as UUIDs, and priorities as notes', () => {
  for (const id of [1, 255, 2 ** 40]) expect(ruleNumber(ruleUuid(id))).toBe(id);
  expect(ruleUuid(255)).toBe('00000000-0000-4000-8000-0000000000ff');
  expect(ruleNumber('00000000-0000-4000-2000-000000000001')).toBeUndefined();
  expect([notedPriority('priority -3'), notedPriority('priority'), notedPriority(null)]).toEqual([
    -3,
    undefined,
    undefined,
  ]);
});
