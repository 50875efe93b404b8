import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, test as anyTest, beforeAll, describe, expect } from 'vitest';
import {
  ANSWERED_MS,
  admit,
  inSoftware,
  must,
  NETWORK,
  openBatch,
  softwareIdentity,
  startListener,
  UNANSWERED_MS,
  WIRES,
} from '../batch.ts';
import { eventually, type Running, runIn, startIn } from '../process.ts';
import { type AgentStatus, type Device, ping, type World } from '../world.ts';

const POOL = 'fd00:e4f:8000::/48';
const FIRST = 'fd00:e4f:8000::/64';

/** Answers over TCP. */
const LISTENER = `for (const port of [7001, 7002])
  require('node:net').createServer((from) => from.pipe(from)).listen(port, '::');
console.log('listening');`;
const TCP = `const [ms, address, port] = process.argv.slice(1);
  const socket = require('node:net').connect({ host: address, port: Number(port) });
  socket.on('data', () => process.exit(0)).on('error', () => process.exit(1)).write('hello');
  setTimeout(() => process.exit(2), Number(ms));`;

interface Told extends AgentStatus {
  readonly delegation: {
    readonly prefix: string;
    readonly lan: string | null;
    readonly failure: { readonly code: string } | null;
  } | null;
}

/** The global addresses of an interface, by the prefix that they begin with. */
const addressesIn = async (namespace: string, link: string, start: string): Promise<string[]> => {
  const shown = await must(
    runIn(namespace, ['ip', '-j', '-6', 'addr', 'show', 'dev', link, 'scope', 'global']),
  );
  const [found] = JSON.parse(shown) as {
    addr_info?: { local?: string; tentative?: boolean; deprecated?: boolean }[];
  }[];
  return (found?.addr_info ?? [])
    .filter(({ local, tentative, deprecated }) => local?.startsWith(start) && !tentative && !deprecated)
    .map(({ local }) => local!);
};

/** In order on each wire; the wires at once: most of this is waiting. */
const test = anyTest.sequential;

describe.concurrent.each(WIRES)('a LAN behind a gateway on the wire %s', (wire, spoken) => {
  let world: World;
  let [gateway, other]: Device[] = [];
  let [address, otherAddress] = ['', ''];
  let machine: string;
  /** Of the machine on the LAN. */
  let own: string;
  const listeners: Running[] = [];
  const asking = (ms: number) => ({
    tcp: async (from: string, to: string, port: number): Promise<boolean> =>
      (await runIn(from, [process.execPath, '-e', TCP, String(ms), to, String(port)])).code === 0,
  });
  const { tcp } = asking(ANSWERED_MS);
  const briefly = asking(UNANSWERED_MS);
  const told = async (): Promise<Told> => (await gateway!.status()) as Told;
  const autoconfigured = (start = 'fd00:e4f:8000:'): Promise<string> =>
    eventually('an address on the LAN', async () => (await addressesIn(machine, 'eth0', start))[0]);
  const restart = async (open: readonly string[], more: object = {}): Promise<void> => {
    await gateway!.stop();
    gateway!.configure({
      identity: softwareIdentity(world, 1),
      route: { prefixes: ['fd00:e4f::/32'] },
      tunnel: { wire },
      delegation: { interface: 'lan0', open, ...more },
    });
    gateway!.start();
    await gateway!.until('online');
  };

  beforeAll(async () => {
    const batch = await openBatch(`prefix-${wire}`, ['--host-services', 'all']);
    world = batch.world;
    await admit(world, batch.label);
    await world.fabric.json('network', 'delegate', NETWORK, POOL);
    [gateway, other] = [await inSoftware(world, batch.group, 1), await inSoftware(world, batch.group, 2)];
    machine = `${gateway.namespace}-lan`;
    execFileSync('ip', ['netns', 'add', machine]);
    const pair = ['lan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', machine];
    execFileSync('ip', ['-n', gateway.namespace, 'link', 'add', ...pair]);
    await must(runIn(gateway.namespace, ['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']));
    await must(runIn(gateway.namespace, ['ip', 'link', 'set', 'lan0', 'up']));
    for (const link of ['lo', 'eth0']) await must(runIn(machine, ['ip', 'link', 'set', link, 'up']));
    other.configure({
      identity: softwareIdentity(world, 2),
      route: { prefixes: ['fd00:e4f::/32'] },
      tunnel: { wire },
    });
    other.start();
    otherAddress = (await other.until('online')).address!;
    await restart([]);
    const status = await told();
    expect(status.wire).toBe(spoken);
    address = status.address!;
    expect(status.delegation).toBeNull();
    await world.fabric.json('device', 'delegate', address);
    own = await autoconfigured();
    for (const namespace of [machine, other.namespace, gateway.namespace, world.network.fabric])
      listeners.push(await startListener(world, namespace, LISTENER));
  });
  afterAll(async () => {
    for (const each of listeners) await each.stop('SIGKILL');
    if (machine !== undefined) execFileSync('ip', ['netns', 'del', machine]);
    await world?.close();
  });

  test('the machine makes itself an address, and its gateway knows the prefix', async () => {
    expect((await told()).delegation).toEqual({ prefix: FIRST, lan: 'lan0', failure: null });
    expect(await addressesIn(gateway!.namespace, 'lan0', 'fd00:')).toEqual(['fd00:e4f:8000::1']);
    const route = await must(runIn(machine, ['ip', '-6', 'route', 'show', 'default']));
    expect(route).toMatch(/via fe80::.* dev eth0 proto ra .*pref low/);
    expect(await must(runIn(machine, ['cat', '/proc/sys/net/ipv6/conf/eth0/mtu']))).toBe('1280\n');
    const { delegated } = await world.fabric.json<{ delegated: string }>('device', 'show', address);
    expect(delegated).toBe(FIRST);
    expect(await world.fabric.json('network', 'delegations', NETWORK)).toMatchObject([
      { prefix: FIRST, address, inForce: true },
    ]);
  });

  test('what it begins is answered by devices and by the host', async () => {
    for (const to of [otherAddress, 'fd00:e4f:1::1', address])
      expect(await tcp(machine, to, 7001)).toBe(true);
    expect(await ping(machine, otherAddress)).toBeGreaterThan(0);
  });

  test('nothing is begun with it from outside, until that is open', async () => {
    const from = [other!.namespace, world.network.fabric];
    for (const namespace of from) {
      expect(await briefly.tcp(namespace, own, 7001)).toBe(false);
      expect(await ping(namespace, own)).toBeUndefined();
    }
    // The gateway itself is no machine on the LAN.
    expect(await tcp(other!.namespace, 'fd00:e4f:8000::1', 7001)).toBe(true);
    await restart(['tcp/7001', 'icmp']);
    await eventually('the LAN', async () => (await briefly.tcp(other!.namespace, own, 7001)) || undefined);
    for (const namespace of from) {
      expect(await tcp(namespace, own, 7001)).toBe(true);
      expect(await briefly.tcp(namespace, own, 7002)).toBe(false);
      expect(await ping(namespace, own)).toBeGreaterThan(0);
    }
  });

  test('a rule for the gateway is one for what is behind it', async () => {
    const rule = (...words: string[]) => world.fabric.json<{ id: number }>('rule', 'add', NETWORK, ...words);
    const refused = await rule('deny', 'in', '--with', `device:${address}`, '--traffic', 'tcp/7001');
    expect(await briefly.tcp(machine, otherAddress, 7001)).toBe(false);
    expect(await tcp(machine, otherAddress, 7002)).toBe(true);
    await world.fabric.json('rule', 'remove', String(refused.id));
    expect(await tcp(machine, otherAddress, 7001)).toBe(true);
    const into = await rule('deny', 'in', '--devices', `device:${address}`, '--traffic', 'tcp/7001');
    expect(await briefly.tcp(other!.namespace, own, 7001)).toBe(false);
    const { code, stdout } = await world.fabric.run('rule', 'test', otherAddress, own, 'tcp/7001');
    expect({ code, stdout }).toMatchObject({ code: 1 });
    await world.fabric.json('rule', 'remove', String(into.id));
    expect(await tcp(other!.namespace, own, 7001)).toBe(true);
  });

  test('a machine that asks by DHCPv6 gets the same address each time, and the DNS servers', async () => {
    await restart(['tcp/7001', 'icmp'], { dhcp: 'stateful', dns: [otherAddress] });
    const script = join(world.folder, 'dhclient-script');
    writeFileSync(
      script,
      `#!/bin/sh
[ "$reason" != BOUND6 ] || ip addr add "$new_ip6_address/64" dev "$interface"
echo "$reason address=$new_ip6_address servers=$new_dhcp6_name_servers"
`,
      { mode: 0o755 },
    );
    const client = (n: number, ...options: readonly string[]): Running => {
      const files = ['-lf', join(world.folder, `leases${n}`), '-pf', join(world.folder, `dhclient${n}.pid`)];
      const command = ['dhclient', '-6', '-d', '-1', '-D', 'LL', ...options, ...files, '-sf', script, 'eth0'];
      return startIn(machine, command, join(world.folder, `dhclient${n}.log`));
    };
    const given: string[] = [];
    for (const n of [1, 2]) {
      const running = client(n);
      const [, leased, servers] = await eventually(
        'an address by DHCPv6',
        async () => /^BOUND6 address=(\S+) servers=(\S+)$/m.exec(running.output()) ?? undefined,
      );
      expect(servers).toBe(otherAddress);
      given.push(leased!);
      await eventually(
        'the machine at it',
        async () => (await briefly.tcp(other!.namespace, leased!, 7001)) || undefined,
      );
      await running.stop('SIGTERM');
      await must(runIn(machine, ['ip', '-6', 'addr', 'flush', 'dev', 'eth0', 'to', leased!]));
    }
    expect(given[0]).toMatch(/^fd00:e4f:8000:0:[4-7]/);
    expect(given[1]).toBe(given[0]);
    await restart(['tcp/7001', 'icmp'], { dhcp: 'stateless', dns: [otherAddress] });
    const asking = client(3, '-S');
    await eventually(
      'the DNS servers',
      async () => asking.output().includes(`address= servers=${otherAddress}`) || undefined,
    );
    await asking.stop('SIGTERM');
    await restart(['tcp/7001', 'icmp']);
  });

  test('what other programs take away comes back', async () => {
    for (const command of [
      ['ip', 'addr', 'del', 'fd00:e4f:8000::1/64', 'dev', 'lan0'],
      ['ip', '-6', 'route', 'flush', 'table', '2096'],
      ['ip', '-6', 'rule', 'del', 'priority', '8385'],
      ['nft', 'delete', 'table', 'inet', 'enf_lan_enf0'],
    ])
      await must(runIn(gateway!.namespace, command));
    const list = (): Promise<string> =>
      must(runIn(gateway!.namespace, ['nft', 'list', 'table', 'inet', 'enf_lan_enf0'])).catch(() => '');
    await eventually('the filter', async () => (await list()).includes('drop') || undefined);
    await eventually('the LAN', async () => (await briefly.tcp(machine, otherAddress, 7001)) || undefined);
    expect(await addressesIn(gateway!.namespace, 'lan0', 'fd00:')).toEqual(['fd00:e4f:8000::1']);
    // The interface itself is lost, and is there again.
    await must(runIn(gateway!.namespace, ['ip', 'link', 'set', 'lan0', 'down']));
    await eventually('the trouble', async () =>
      (await told()).delegation?.failure?.code === 'delegation.no-interface' ? true : undefined,
    );
    await must(runIn(gateway!.namespace, ['ip', 'link', 'set', 'lan0', 'up']));
    await eventually('the LAN', async () => (await briefly.tcp(machine, otherAddress, 7001)) || undefined);
  });

  test('a machine that comes later asks, and is answered', async () => {
    await must(runIn(machine, ['ip', 'link', 'set', 'eth0', 'down']));
    expect(await addressesIn(machine, 'eth0', 'fd00:')).toEqual([]);
    await must(runIn(machine, ['ip', 'link', 'set', 'eth0', 'up']));
    expect(await autoconfigured()).toBe(own);
    await eventually('the LAN', async () => (await briefly.tcp(machine, otherAddress, 7001)) || undefined);
  });

  test('the LAN keeps its addresses while there is no tunnel, and after a restart', async () => {
    await gateway!.stop();
    expect(await addressesIn(machine, 'eth0', 'fd00:e4f:8000:')).toEqual([own]);
    expect(await addressesIn(gateway!.namespace, 'lan0', 'fd00:')).toEqual([]);
    await world.fabric.stop();
    gateway!.start();
    await eventually('the LAN', async () =>
      (await addressesIn(gateway!.namespace, 'lan0', 'fd00:'))[0] === 'fd00:e4f:8000::1' ? true : undefined,
    );
    expect((await told()).delegation).toMatchObject({ prefix: FIRST });
    await world.fabric.serve('--host-services', 'all');
    await gateway!.until('online');
    await other!.until('online');
    await eventually('the LAN', async () => (await briefly.tcp(machine, otherAddress, 7001)) || undefined);
  });

  test('a prefix that is withdrawn is nobody’s at once, the tunnel stays, and the same one comes back', async () => {
    const tunnel = async (): Promise<unknown> =>
      (await world.fabric.json<{ lastTunnel: unknown }>('device', 'show', address)).lastTunnel;
    const before = await tunnel();
    await world.fabric.json('device', 'withdraw', address);
    expect(await briefly.tcp(machine, otherAddress, 7001)).toBe(false);
    expect(await briefly.tcp(other!.namespace, own, 7001)).toBe(false);
    await eventually('the agent', async () => ((await told()).delegation === null ? true : undefined));
    await eventually('the end of the address', async () =>
      (await addressesIn(machine, 'eth0', 'fd00:e4f:8000:')).length === 0 ? true : undefined,
    );
    expect(await addressesIn(gateway!.namespace, 'lan0', 'fd00:')).toEqual([]);
    expect(await tunnel()).toEqual(before);
    expect(before).toMatchObject({ ended: null });
    // Another device does not get it meanwhile.
    await world.fabric.json('device', 'delegate', otherAddress);
    const { gid } = await world.fabric.json<{ gid: string }>('device', 'show', address);
    await world.fabric.json('group', 'delegate', gid);
    expect(await autoconfigured()).toBe(own);
    expect((await told()).delegation?.prefix).toBe(FIRST);
    await eventually('the LAN', async () => (await briefly.tcp(machine, otherAddress, 7001)) || undefined);
    expect(await world.fabric.json('network', 'delegations', NETWORK)).toMatchObject([
      { prefix: FIRST, address },
      { prefix: 'fd00:e4f:8000:1::/64', address: otherAddress },
    ]);
  });

  test('nothing from the LAN leaves but by the tunnel, whatever address it claims', async () => {
    const spoofed = 'fd00:e4f:8000:1::bad';
    await must(runIn(machine, ['ip', 'addr', 'add', `${spoofed}/128`, 'dev', 'eth0', 'nodad']));
    const from = await runIn(machine, ['ping', '-6', '-c', '1', '-W', '2', '-I', spoofed, otherAddress]);
    expect(from.code).not.toBe(0);
    const rules = await must(
      runIn(gateway!.namespace, ['ip', '-6', 'route', 'get', '2001:db8::1', 'from', own, 'iif', 'lan0']),
    );
    expect(rules).toContain('dev enf0');
  });

  test('a device that is retired leaves nothing on the LAN, and its prefix is free', async () => {
    await world.fabric.json('device', 'retire', address, '--yes');
    expect(await briefly.tcp(machine, otherAddress, 7001)).toBe(false);
    expect(await world.fabric.json('network', 'delegations', NETWORK)).toMatchObject([
      { address: otherAddress },
    ]);
    await gateway!.stop();
    for (const command of [
      ['ip', '-6', 'rule', 'show', 'priority', '8384'],
      ['ip', '-6', 'rule', 'show', 'priority', '8385'],
    ])
      expect(await must(runIn(gateway!.namespace, command))).toBe('');
    expect((await runIn(gateway!.namespace, ['nft', 'list', 'table', 'inet', 'enf_lan_enf0'])).code).not.toBe(
      0,
    );
  });
});
