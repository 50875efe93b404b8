import { describe, expect, test } from 'vitest';
import type { Registry } from '../../../../fabric/registry/registry.ts';
import { formatIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { anyGroup, NETWORK, random } from '../../place.ts';
import { applicant, type OpenEmpty } from './place.ts';

/** Two processes' views of one file: the fabric that serves, and a command line. */
async function two(openEmpty: OpenEmpty): Promise<{
  fabric: Registry;
  cli: Registry;
  gid: Uint8Array;
  address: Uint8Array;
  heard: string[];
}> {
  const open = await openEmpty();
  const cli = await open();
  const fabric = await open();
  await cli.addNetwork('owner', NETWORK, '');
  const { gid } = await cli.addGroup('owner', anyGroup());
  const address = await fabric.admit(applicant({ gid }));
  await fabric.catchUp();
  const heard: string[] = [];
  fabric.onChange((changed) => heard.push(formatIpv6(changed)));
  return { fabric, cli, gid, address, heard };
}

/** What subscribers receive. */
export function changesContract(openEmpty: OpenEmpty): void {
  describe('changes', () => {
    test('a change of a standing by another process is received once, at the next look', async () => {
      const { fabric, cli, address, heard } = await two(openEmpty);
      await cli.setStanding('cli', address, 'ban');
      expect(heard).toEqual([]);
      await fabric.catchUp();
      await fabric.catchUp();
      expect(heard).toEqual([formatIpv6(address)]);
      expect(fabric.lookup(address)?.standing).toBe('banned');
    });

    test('following finds it without a notification', async () => {
      const { fabric, cli, address } = await two(openEmpty);
      const stop = await fabric.follow(5);
      const heard = new Promise<Uint8Array>((resolve) => fabric.onChange(resolve));
      await cli.setStanding('cli', address, 'evict');
      expect(await heard).toEqual(address);
      stop();
    });

    test('a suspended group is a change of each of its devices', async () => {
      const { fabric, cli, gid, address, heard } = await two(openEmpty);
      const other = await fabric.admit(applicant({ gid }));
      await cli.setGroupStatus('owner', gid, 'suspended');
      await fabric.catchUp();
      expect(heard.sort()).toEqual([address, other].map(formatIpv6).sort());
    });

    test('a new key is a change, a new device or the same key again is none', async () => {
      const { fabric, gid, heard } = await two(openEmpty);
      const chip = applicant({ gid });
      const address = await fabric.admit(chip);
      await fabric.admit(chip);
      expect(heard).toEqual([]);
      await fabric.admit({ ...chip, longtermKey: random(65) });
      expect(heard).toEqual([formatIpv6(address)]);
    });

    test('a new network is passed to a subscriber, until it ends the subscription', async () => {
      const { fabric, cli } = await two(openEmpty);
      const kinds: string[] = [];
      const stop = fabric.subscribe((change) => kinds.push(change.kind));
      await cli.addNetwork('owner', parsePrefix('fd00:7::/64'), 'late');
      await fabric.catchUp();
      stop();
      await cli.addNetwork('owner', parsePrefix('fd00:8::/64'), 'later');
      await fabric.catchUp();
      expect(kinds).toEqual(['network']);
    });

    test('a listener that throws takes nothing from the others', async () => {
      const errors: unknown[] = [];
      const registry = await (await openEmpty())({ onError: (error) => errors.push(error) });
      const heard: string[] = [];
      registry.subscribe(() => {
        throw new Error('broken listener');
      });
      registry.subscribe((change) => heard.push(change.kind));
      await registry.addNetwork('owner', NETWORK, '');
      expect(heard).toEqual(['network']);
      expect(errors).toHaveLength(1);
    });
  });
}
