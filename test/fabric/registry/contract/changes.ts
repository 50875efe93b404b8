import { describe, expect, test } from 'vitest';
import type { StandingChange } from '../../../../fabric/registry/records.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { formatIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import type { WholeRegistry as Registry } from '../../place.ts';
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

    test('[H-E] a suspended group is one change, whatever the number of its devices', async () => {
      const { fabric, cli, gid, address, heard } = await two(openEmpty);
      const others = await Promise.all(Array.from({ length: 20 }, () => fabric.admit(applicant({ gid }))));
      const kinds: string[] = [];
      const groups: string[] = [];
      fabric.subscribe(({ kind }) => kinds.push(kind));
      fabric.onChange(
        () => {},
        (changed) => groups.push(toHex(changed)),
      );
      await cli.setGroupStatus('owner', gid, 'suspended');
      await fabric.catchUp();
      expect([kinds, groups, heard]).toEqual([['group'], [toHex(gid)], []]);
      for (const each of [address, ...others]) expect(fabric.lookup(each)?.standing).toBe('suspended');
      expect((await fabric.device(address)).standing).toBe('active');
    });

    test('[H-E] whoever waits for a change waits for what subscribers do about it', async () => {
      const { fabric, gid, address } = await two(openEmpty);
      const order: string[] = [];
      let finish = (): void => {};
      fabric.onChange(
        () => order.push('device'),
        () => new Promise<void>((resolve) => (finish = resolve)).then(() => order.push('group')),
      );
      await fabric.setGroupStatus('owner', gid, 'suspended');
      // A later change overtakes the group's, which takes long.
      await fabric.setStanding('owner', address, 'ban');
      const caughtUp = fabric.catchUp().then(() => order.push('caught up'));
      await new Promise((resolve) => setTimeout(resolve, 20));
      finish();
      await caughtUp;
      expect(order).toEqual(['device', 'group', 'caught up']);
    });

    test('[H-E] who reads so late that changes are gone is told of everything; who reads in time of each change', async () => {
      const { fabric, cli, gid, address } = await two(openEmpty);
      const told = (registry: Registry): string[] => {
        const changes: string[] = [];
        registry.subscribe((change) => changes.push(change.kind));
        return changes;
      };
      const [inTime, late] = [told(fabric), told(cli)];
      const { change } = await fabric.newsPosition();
      const missed: string[] = [];
      for (const [name, registry] of Object.entries({ fabric, cli }))
        registry.onChange(
          () => {},
          () => {},
          () => missed.push(name),
        );
      const stop = await fabric.follow(5);
      const turns = Array.from({ length: 1_100 }, (_, n): StandingChange => (n % 2 === 0 ? 'ban' : 'unban'));
      await Promise.all(turns.map((change) => fabric.setStanding('owner', address, change)));
      expect(inTime).toHaveLength(1_100);
      const before = { ...(await fabric.newsPosition()), change };
      // News are those of the first 1,000 changes; the newest 1,000 are kept.
      await expect.poll(async () => (await fabric.newsSince(before, 1_000)).changes).toHaveLength(900);
      stop();
      await cli.catchUp();
      expect(late).toEqual(['everything', 'network', ...Array(1_000).fill('device')]);
      expect(missed).toEqual(['cli']);
      // From here on it misses nothing.
      late.length = 0;
      await fabric.setGroupStatus('owner', gid, 'suspended');
      await cli.catchUp();
      expect(late).toEqual(['group']);
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
