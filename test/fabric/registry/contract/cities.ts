import { describe, expect, test } from 'vitest';
import type { City } from '../../../../fabric/registry/records.ts';
import type { WholeRegistry as Registry } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const city = (name: string, latitude: number, radiusKm = 20): City => ({
  country: 'CH',
  region: 'Zurich',
  city: name,
  point: { latitude, longitude: 8.5, radiusKm },
});
const CITIES: Readonly<Record<string, City>> = {
  '130.59.1.1': city('Winterthur', 47.5),
  '130.59.1.2': city('Winterthur', 47.5001),
  '130.59.1.3': city('Winterthur', 47.5, 100),
  '130.59.2.1': city('Uster', 47.35),
};

/** Where devices are, by a database of cities. */
export function citiesContract(openEmpty: OpenEmpty): void {
  const known = { locate: () => 'CH', cityOf: (source: string) => CITIES[source] };
  const numbers = async (registry: Registry, most = 9): Promise<string[]> =>
    (await registry.deviceCities(most)).map(
      ({ city, point, devices }) => `${city} ${point.radiusKm} km: ${devices}`,
    );

  describe('[H-E24] cities', () => {
    test('are written with the handshake, as exactly as a kilometre, and counted by the newest one', async () => {
      const { registry, group } = await withGroup(openEmpty, known);
      const chips = Array.from({ length: 4 }, () => applicant(group));
      const come = (chip: number, source: string) => registry.admit({ ...chips[chip]!, source });
      const first = await come(0, '130.59.1.1');
      expect((await registry.device(first)).city).toEqual(CITIES['130.59.1.1']);
      await come(1, '130.59.1.2');
      await come(2, '130.59.1.3');
      await come(3, '130.59.2.1');
      expect(await numbers(registry)).toEqual([
        'Winterthur 20 km: 2',
        'Winterthur 100 km: 1',
        'Uster 20 km: 1',
      ]);
      expect(await numbers(registry, 1)).toEqual(['Winterthur 20 km: 2']);
      // It moves, and then comes from where nobody knows the city.
      await come(0, '130.59.2.1');
      expect(await numbers(registry)).toEqual([
        'Uster 20 km: 2',
        'Winterthur 20 km: 1',
        'Winterthur 100 km: 1',
      ]);
      await come(0, '192.0.2.1');
      expect(await registry.device(first)).toMatchObject({ country: 'CH' });
      expect((await registry.device(first)).city).toBeUndefined();
      expect(await numbers(registry)).toEqual([
        'Winterthur 20 km: 1',
        'Winterthur 100 km: 1',
        'Uster 20 km: 1',
      ]);
    });

    test('are those of each handshake, good or refused, and stay as they were then', async () => {
      let cities = CITIES;
      const { registry, group } = await withGroup(openEmpty, {
        ...known,
        cityOf: (source) => cities[source],
      });
      const chip = applicant(group);
      const refusal = { gid: group.gid, proven: false, result: 'xtt.bad-signature' } as const;
      await registry.admit({ ...chip, source: '130.59.1.1' });
      await registry.refused({ ...refusal, source: '130.59.2.1' });
      await registry.refused({ ...refusal, source: '192.0.2.1' });
      cities = { '130.59.1.1': city('Elsewhere', 1) };
      await registry.admit({ ...chip, source: '130.59.1.1' });
      const rows = (await registry.handshakes({ limit: 9 })).rows;
      expect(rows.map((row) => [row.result, row.country, row.city?.city])).toEqual([
        ['ok', 'CH', 'Elsewhere'],
        ['xtt.bad-signature', 'CH', undefined],
        ['xtt.bad-signature', 'CH', 'Uster'],
        ['ok', 'CH', 'Winterthur'],
      ]);
      expect(rows.at(-1)!.city).toEqual(CITIES['130.59.1.1']);
      const { handshakes } = await registry.newsSince(
        { ...(await registry.newsPosition()), handshake: 0 },
        9,
      );
      expect(handshakes[0]!.city).toEqual(CITIES['130.59.1.1']);
    });

    test('are counted for whoever owns the devices, and for the host', async () => {
      const { registry, group } = await withGroup(openEmpty, known);
      await registry.admit(applicant(group, { source: '130.59.1.1' }));
      const other = await registry.addOwner('host', 'other');
      const own = (owner: number) => registry.of({ owner, everything: false }).deviceCities(9);
      expect(await own(1)).toMatchObject([{ city: 'Winterthur', devices: 1 }]);
      expect(await own(other.id)).toEqual([]);
      expect(await numbers(registry)).toEqual(['Winterthur 20 km: 1']);
    });

    test('go with the chip that takes over an address', async () => {
      const { registry, group } = await withGroup(openEmpty, known);
      const old = await registry.admit(applicant(group, { source: '130.59.1.1' }));
      const fresh = await registry.admit(applicant(group, { source: '130.59.2.1' }));
      await registry.replaceDevice('anna', old, fresh);
      expect((await registry.device(old)).city).toEqual(CITIES['130.59.2.1']);
      expect((await registry.device(fresh)).city).toEqual(CITIES['130.59.1.1']);
      expect(await numbers(registry)).toEqual(['Winterthur 20 km: 1', 'Uster 20 km: 1']);
    });

    test('are kept no longer than addresses, and not where none are; countries are', async () => {
      const { registry, group } = await withGroup(openEmpty, known);
      const chip = applicant(group, { source: '130.59.1.1' });
      const address = await registry.admit(chip);
      const sweep = async (): Promise<void> => {
        for (let place = await registry.sweep(); place !== undefined; place = await registry.sweep(place));
      };
      await registry.setPrivacy('anna', { addresses: 'cut' });
      await sweep();
      expect((await registry.device(address)).city).toMatchObject({ city: 'Winterthur' });
      const handshakes = async () =>
        (await registry.handshakes({ limit: 9 })).rows.map((row) => [
          row.source,
          row.country,
          row.city?.city,
        ]);
      expect(await handshakes()).toEqual([['130.59.1.0/24', 'CH', 'Winterthur']]);
      await registry.setPrivacy('anna', { addresses: 'none' });
      await sweep();
      expect(await numbers(registry)).toEqual([]);
      expect(await handshakes()).toEqual([['', 'CH', undefined]]);
      await registry.refused({ source: '130.59.2.1', proven: false, result: 'xtt.bad' });
      expect((await handshakes())[0]).toEqual(['', 'CH', undefined]);
      await registry.admit(chip);
      expect(await registry.device(address)).toMatchObject({ country: 'CH', handshake: { from: '' } });
      expect((await registry.device(address)).city).toBeUndefined();
      expect(await numbers(registry)).toEqual([]);
    });
  });
}
