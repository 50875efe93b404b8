import { describe, expect, test } from 'vitest';
import type { Registry } from '../../../../fabric/registry/registry.ts';
import { formatIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { anyGroup, NETWORK, opened, random, registryFile } from '../../place.ts';

/** Two processes' views of one file: the fabric that serves, and a command line. */
async function two(): Promise<{
  fabric: Registry;
  cli: Registry;
  gid: Uint8Array;
  address: Uint8Array;
  heard: string[];
}> {
  const file = registryFile();
  const cli = opened(file, { actor: 'cli' });
  const fabric = opened(file, { actor: 'fabric' });
  cli.addNetwork(NETWORK, '');
  const { gid } = cli.addGroup(anyGroup());
  const address = await fabric.admit(claim(gid));
  fabric.catchUp();
  const heard: string[] = [];
  fabric.onChange((changed) => heard.push(formatIpv6(changed)));
  return { fabric, cli, gid, address, heard };
}

function claim(gid: Uint8Array, pseudonym = random(65)): Parameters<Registry['admit']>[0] {
  return {
    gid,
    pseudonym,
    longtermKey: random(65),
    requested: new Uint8Array(16),
    source: '192.0.2.7',
    suite: 1,
  };
}

describe('changes', () => {
  test('another process’s verdict is heard once, at the next look', async () => {
    const { fabric, cli, address, heard } = await two();
    cli.judge(address, 'ban');
    expect(heard).toEqual([]);
    fabric.catchUp();
    fabric.catchUp();
    expect(heard).toEqual([formatIpv6(address)]);
    expect(fabric.lookup(address)?.standing).toBe('banned');
  });

  test('following finds it without a nudge', async () => {
    const { fabric, cli, address } = await two();
    const stop = fabric.follow(5);
    const heard = new Promise<Uint8Array>((resolve) => fabric.onChange(resolve));
    cli.judge(address, 'evict');
    expect(await heard).toEqual(address);
    stop();
  });

  test('a suspended group is a change of each of its devices', async () => {
    const { fabric, cli, gid, address, heard } = await two();
    const other = await fabric.admit(claim(gid));
    cli.setGroupStatus(gid, 'suspended');
    fabric.catchUp();
    expect(heard.sort()).toEqual([address, other].map(formatIpv6).sort());
  });

  test('a new key is heard, a new device or the same key again is none', async () => {
    const { fabric, gid, heard } = await two();
    const chip = claim(gid);
    const address = await fabric.admit(chip);
    await fabric.admit(chip);
    expect(heard).toEqual([]);
    await fabric.admit({ ...chip, longtermKey: random(65) });
    expect(heard).toEqual([formatIpv6(address)]);
  });

  test('a new network is heard by whoever subscribed, until he has had enough', async () => {
    const { fabric, cli } = await two();
    const kinds: string[] = [];
    const stop = fabric.subscribe((change) => kinds.push(change.kind));
    cli.addNetwork(parsePrefix('fd00:7::/64'), 'late');
    fabric.catchUp();
    stop();
    cli.addNetwork(parsePrefix('fd00:8::/64'), 'later');
    fabric.catchUp();
    expect(kinds).toEqual(['network']);
  });

  test('a listener that throws takes nothing from the others', async () => {
    const errors: unknown[] = [];
    const registry = opened(registryFile(), { onError: (error) => errors.push(error) });
    const heard: string[] = [];
    registry.subscribe(() => {
      throw new Error('broken listener');
    });
    registry.subscribe((change) => heard.push(change.kind));
    registry.addNetwork(NETWORK, '');
    expect(heard).toEqual(['network']);
    expect(errors).toHaveLength(1);
  });
});
