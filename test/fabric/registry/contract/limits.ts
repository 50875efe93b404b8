import { describe, expect, test } from 'vitest';
import { isFailure } from '../../../../protocol/failure.ts';
import type { WholeRegistry as Registry } from '../../place.ts';
import { allOf, anyGroup } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const PLACES: Readonly<Record<string, string>> = {
  '192.0.2.1': 'CH',
  '192.0.2.2': 'NL',
  '10.0.0.1': 'private',
};
const locate = (source: string): string | undefined => PLACES[source];

/** How many devices a group may have, and where they may come from for the first time. */
export function limitsContract(openEmpty: OpenEmpty): void {
  const outcome = (admission: Promise<unknown>): Promise<string> =>
    admission.then(
      () => 'ok',
      (error: unknown) => (isFailure(error) ? error.code : Promise.reject(error)),
    );
  const count = (registry: Registry) => allOf((page) => registry.devices(page)).then(({ length }) => length);

  describe('limits of a group', () => {
    test('[H-E21] as many devices come as may, however many try at once; those that are in stay', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const other = await registry.addGroup('owner', anyGroup('other'));
      await registry.changeGroup('owner', group.gid, { most: 20 });
      const chips = Array.from({ length: 100 }, () => applicant(group));
      const outcomes = await Promise.all([
        ...chips.map((chip) => outcome(registry.admit(chip))),
        ...chips.map((chip) => outcome(registry.admit(chip))),
      ]);
      const first = outcomes.slice(0, 100);
      expect(first.filter((each) => each === 'ok')).toHaveLength(20);
      expect(first.filter((each) => each === 'fabric.group-full')).toHaveLength(80);
      expect(outcomes.slice(100)).toEqual(first);
      expect(await count(registry)).toBe(20);
      expect(await outcome(registry.admit(applicant(other)))).toBe('ok');

      const [inside] = chips.filter((_, i) => first[i] === 'ok');
      const address = await registry.admit(inside!);
      await registry.changeGroup('owner', group.gid, { most: 1 });
      expect(await registry.admit(inside!)).toEqual(address);
      await registry.changeGroup('owner', group.gid, { most: 0 });
      expect(await registry.group('batch')).not.toHaveProperty('most');
      expect(await outcome(registry.admit(applicant(group)))).toBe('ok');
    });

    test('[H-E21] a device that was retired makes room for another', async () => {
      const { registry, group } = await withGroup(openEmpty);
      await registry.changeGroup('owner', group.gid, { most: 1 });
      const address = await registry.admit(applicant(group));
      expect(await outcome(registry.admit(applicant(group)))).toBe('fabric.group-full');
      await registry.retireDevice('owner', address);
      expect(await outcome(registry.admit(applicant(group)))).toBe('ok');
      expect(await outcome(registry.admit(applicant(group)))).toBe('fabric.group-full');
    });

    test('[H-E21] a device comes for the first time from a country of the list only, later from anywhere', async () => {
      const { registry, group } = await withGroup(openEmpty, { locate });
      await registry.changeGroup('owner', group.gid, { countries: ['CH', 'DE'] });
      const chip = applicant(group, { source: '192.0.2.2' });
      const from = (source: string) => outcome(registry.admit({ ...chip, source }));
      expect(await from('192.0.2.2')).toBe('fabric.country-unexpected');
      expect(await from('10.0.0.1')).toBe('fabric.country-unexpected');
      expect(await from('198.51.100.1')).toBe('fabric.country-unexpected');
      expect(await count(registry)).toBe(0);
      expect(await from('192.0.2.1')).toBe('ok');
      for (const source of ['192.0.2.2', '10.0.0.1', '198.51.100.1']) expect(await from(source)).toBe('ok');
      await registry.changeGroup('owner', group.gid, { countries: ['private', 'unknown'] });
      const newcomer = (source: string) => outcome(registry.admit(applicant(group, { source })));
      expect(await newcomer('192.0.2.1')).toBe('fabric.country-unexpected');
      expect(await newcomer('10.0.0.1')).toBe('ok');
      expect(await newcomer('198.51.100.1')).toBe('ok');
      await registry.changeGroup('owner', group.gid, { countries: [] });
      expect(await newcomer('192.0.2.1')).toBe('ok');
      expect(await count(registry)).toBe(4);
    });

    test('[H-E21] limits are given with the group, are read again by another program, and stand in the trail', async () => {
      const open = await openEmpty();
      const registry = await open();
      const { prefix: network } = await registry.addNetwork('owner', anyGroup().network, 'plant');
      const added = await registry.addGroup('owner', { ...anyGroup(), network, most: 7, countries: ['CH'] });
      expect(added).toMatchObject({ most: 7, countries: ['CH'], status: 'active' });
      await registry.changeGroup('anna', added.gid, { most: 8 });
      const again = await open();
      expect(await again.group('batch')).toMatchObject({ most: 8, countries: ['CH'] });
      const { rows } = await again.audit({ limit: 2 });
      expect(rows[0]).toMatchObject({ actor: 'anna', action: 'group.change' });
      expect(rows[0]!.detail).toMatchObject({ most: 8, before: { most: 7, countries: ['CH'] } });
      expect(rows[1]!.detail).toMatchObject({ most: 7, countries: ['CH'] });
    });

    test('[H-E22] what a limit has kept out is found, as long as it would be kept out still', async () => {
      let at = 5_000;
      const { registry, group } = await withGroup(openEmpty, { locate, now: () => at });
      const refused = (result: string, source: string) =>
        registry.refused({ gid: group.gid, source, proven: true, result });
      expect(await registry.beyondLimits(0)).toEqual([]);
      await registry.changeGroup('owner', group.gid, { most: 1, countries: ['CH'] });
      await registry.admit(applicant(group, { source: '192.0.2.1' }));
      await refused('fabric.group-full', '192.0.2.1');
      await refused('fabric.country-unexpected', '192.0.2.2');
      await refused('fabric.country-unexpected', '192.0.2.2');
      await refused('fabric.country-unexpected', '198.51.100.1');
      const kinds = async (since = 0) => (await registry.beyondLimits(since)).map(({ kind }) => kind).sort();
      expect(await registry.beyondLimits(0)).toMatchObject([
        { kind: 'country.unexpected', detail: { name: 'batch', times: 3, countries: ['NL', 'unknown'] } },
        { kind: 'group.over-limit', detail: { times: 1 } },
      ]);
      expect(await kinds(at)).toEqual([]);
      await registry.changeGroup('owner', group.gid, { most: 2 });
      expect(await kinds()).toEqual(['country.unexpected']);
      await registry.changeGroup('owner', group.gid, { countries: ['CH', 'NL', 'unknown'] });
      expect(await kinds()).toEqual([]);
      at += 1;
    });

    test('[H-E22] failures of devices come in pages, each device once', async () => {
      let at = 1_000_000;
      const { registry, group } = await withGroup(openEmpty, { now: () => at });
      for (let i = 0; i < 3; i++) {
        const address = await registry.admit(applicant(group));
        registry.reported(address, { version: '1', failure: { code: 'tpm.lost', seconds: 0 } });
        registry.reported(address, { version: '1', failure: { code: 'net.captive', seconds: 1 } });
      }
      await registry.admit(applicant(group));
      await expect
        .poll(async () => (await registry.failures(0)).rows)
        .toEqual(Array.from({ length: 3 }, () => ({ gid: group.gid, owner: 1, code: 'net.captive' })));
      at += 1;
      expect((await registry.failures(at)).rows).toEqual([]);
    });
  });
}
