import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, NETWORK, openBatch, personalised } from '../batch.ts';
import { eventually, runIn } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

interface DeviceRow {
  readonly address: string;
  readonly standing: string;
  readonly agent: { readonly version: string; readonly lastFailure: { readonly code: string } | null } | null;
}

describe('first boot and everything after, with TPMs', () => {
  let world: World;
  let label: string;
  let one: Device;
  let two: Device;
  let first: string;
  let second: string;
  const rows = (): Promise<DeviceRow[]> => world.fabric.json('device', 'list');
  const accepted = async (): Promise<number> =>
    (await world.fabric.handshakes()).filter((each) => each.result === 'ok').length;

  beforeAll(async () => {
    const batch = await openBatch('boot');
    ({ world, label } = batch);
    one = await personalised(world, batch.group, 1);
    two = await personalised(world, batch.group, 2);
  });
  afterAll(() => world?.close());

  test('a device whose group is not admitted is refused, stays alive and is in the audit', async () => {
    one.start();
    const refused = await eventually('a refusal', async () =>
      (await world.fabric.handshakes()).find((each) => each.result === 'fabric.group-not-admitted'),
    );
    expect(refused).toMatchObject({ source: '10.77.0.11', suite: 1, address: null });
    expect(refused.gid).toMatch(/^[0-9a-f]{64}$/);
    const now = await one.until('backing-off');
    expect(now.address).toBeNull();
    expect(now.trouble?.code).toBe('xtt.error-received');
    expect(await rows()).toEqual([]);
  });

  test('once the owner has admitted the label, the same running device provisions itself', async () => {
    await admit(world, label);
    const now = await one.until('online', 60_000);
    first = now.address!;
    expect(first.startsWith('fd00:e4f:1:0:')).toBe(true);
    two.start();
    second = (await two.until('online')).address!;
    expect(second).not.toBe(first);
    expect((await rows()).map((row) => row.address).sort()).toEqual([first, second].sort());
  });

  test('[C-40] the fabric shows each agent’s version, and what went wrong with it last', async () => {
    const seen = await eventually('two reports', async () => {
      const known = await rows();
      return known.every((row) => row.agent !== null) ? known : undefined;
    });
    const of = (address: string) => seen.find((row) => row.address === address)?.agent;
    const { version } = await one.status();
    expect(of(first)).toMatchObject({ version, lastFailure: { code: 'xtt.error-received' } });
    expect(of(second)).toMatchObject({ version, lastFailure: null });
    const shown = await world.fabric.run('device', 'show', first);
    expect(shown.stdout).toMatch(
      new RegExp(`Agent     version ${version}, reported .*; last failure: xtt.error-received `),
    );
  });

  test('both answer at their addresses, from the fabric and from each other', async () => {
    expect(await eventually('an answer', () => ping(world.network.fabric, first))).toBeGreaterThan(0);
    expect(await eventually('an answer', () => ping(one.namespace, second))).toBeGreaterThan(0);
    const stranger = NETWORK.replace('::/64', '::dead');
    expect(await ping(world.network.fabric, stranger)).toBeUndefined();
  });

  test('a packet with a foreign source address does not leave the device', async () => {
    await runIn(one.namespace, ['ip', '-6', 'addr', 'add', 'fd00:e4f:1::bad/128', 'dev', 'enf0', 'nodad']);
    const answer = await runIn(one.namespace, [
      'ping',
      '-6',
      '-c',
      '1',
      '-W',
      '1',
      '-I',
      'fd00:e4f:1::bad',
      second,
    ]);
    expect(answer.code).not.toBe(0);
    const own = await runIn(one.namespace, ['ping', '-6', '-c', '1', '-W', '2', '-I', first, second]);
    expect(own.code).toBe(0);
  });

  test('a reboot brings the tunnel up again without a handshake', async () => {
    const before = await world.fabric.handshakes();
    await one.stop();
    expect(await ping(world.network.fabric, first)).toBeUndefined();
    one.start();
    expect((await one.until('online')).address).toBe(first);
    expect(await world.fabric.handshakes()).toEqual(before);
    expect(await eventually('an answer', () => ping(world.network.fabric, first))).toBeGreaterThan(0);
  });

  test('[C-33] after a SIGKILL and a power cut of the TPM it is the same device', async () => {
    const before = await accepted();
    await one.stop('SIGKILL');
    await one.powerCut();
    one.start();
    expect((await one.until('online')).address).toBe(first);
    expect(await accepted()).toBe(before);
  });

  test('[C-17] a device that lost its state comes with a new key and gets its old address', async () => {
    const before = await accepted();
    await one.stop();
    rmSync(one.state, { recursive: true });
    one.start();
    expect((await one.until('online')).address).toBe(first);
    expect(await accepted()).toBe(before + 1);
    expect(await rows()).toHaveLength(2);
  });

  test('[C-36] an evicted device provisions again by itself, and keeps its address', async () => {
    const before = await accepted();
    expect((await world.fabric.run('device', 'evict', first)).code).toBe(0);
    await eventually('another handshake', async () => ((await accepted()) > before ? true : undefined));
    expect((await one.until('online')).address).toBe(first);
    expect(await accepted()).toBe(before + 1);
    expect((await rows()).find((row) => row.address === first)?.standing).toBe('active');
  });

  test('[C-14] devices of a suspended group are refused and say so; resumed, they are back within a minute', async () => {
    const [group] = await world.fabric.json<{ gid: string }[]>('group', 'list');
    expect((await world.fabric.run('group', 'suspend', group!.gid)).code).toBe(0);
    expect((await two.until('blocked')).trouble?.code).toBe('fabric.suspended');
    await one.until('blocked');
    expect(await ping(world.network.fabric, second)).toBeUndefined();
    expect((await world.fabric.run('group', 'resume', group!.gid)).code).toBe(0);
    for (const device of [one, two]) await device.until('online', 90_000);
  });

  test('[C-36] a banned device is cut at once and refused a new handshake; the other goes on', async () => {
    expect((await world.fabric.run('device', 'ban', first)).code).toBe(0);
    const now = await one.until('blocked');
    expect(now.trouble?.code).toBe('fabric.banned');
    expect(await ping(world.network.fabric, first)).toBeUndefined();
    expect(await eventually('an answer', () => ping(world.network.fabric, second))).toBeGreaterThan(0);
    await one.stop();
    rmSync(one.state, { recursive: true });
    one.start();
    await eventually('a refusal', async () =>
      (await world.fabric.handshakes()).find((each) => each.result === 'fabric.device-banned'),
    );
    expect(await rows()).toHaveLength(2);
  });

  test('unbanned, it is the same device again', async () => {
    expect((await world.fabric.run('device', 'unban', first)).code).toBe(0);
    expect((await one.until('online', 60_000)).address).toBe(first);
  });

  test('the audit trail has all changes, and its hash chain is intact', async () => {
    const audit = await world.fabric.json<{ newest: { action: string }[] }>('audit', '--limit', '100');
    const actions = new Set(audit.newest.map((each) => each.action));
    for (const action of [
      'network.add',
      'group.add',
      'device.admit',
      'device.evict',
      'group.suspend',
      'device.ban',
    ]) {
      expect(actions).toContain(action);
    }
  });
});
