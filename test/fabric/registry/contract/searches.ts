import { describe, expect, test } from 'vitest';
import { DEFAULT_OWNER, EVERYTHING, scopeOf } from '../../../../fabric/access/scope.ts';
import { partOf, searchFor } from '../../../../fabric/operations/search.ts';
import type { OwnedRegistry } from '../../../../fabric/registry/registry.ts';
import { formatIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { anyGroup, NETWORK } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const LENT = parsePrefix('fd00:9::/48');
const LENT_NETWORK = parsePrefix('fd00:9:0:1::/64');

/** Devices that are searched for. */
export function searchesContract(openEmpty: OpenEmpty): void {
  describe('[H-E25] a search', () => {
    test('finds by name, note, batch and address what is in the scope, whichever that is, and nothing else', async () => {
      const registry = await (await openEmpty())();
      const { id } = await registry.addOwner('root', 'acme');
      await registry.lendPrefix('root', 'acme', LENT);
      const all = registry.of(EVERYTHING);
      const [first, acme] = [registry.of(scopeOf(DEFAULT_OWNER, false)), registry.of(scopeOf(id, false))];
      await first.addNetwork('x', NETWORK, 'plant');
      await acme.addNetwork('x', LENT_NETWORK, 'plant');
      const own = await first.addGroup('x', anyGroup('Gateways of 2026'));
      const others = await acme.addGroup('x', { ...anyGroup('Valves'), network: LENT_NETWORK });
      const pump = await registry.admit(applicant(own));
      await registry.admit(applicant(own));
      const valve = await registry.admit(applicant(others));
      await first.nameDevice('x', pump, { name: 'pump-17', note: 'Behind the STAIRS, 50% open' });
      await acme.nameDevice('x', valve, { name: 'valve-17' });

      const found = async (of: OwnedRegistry, text: string): Promise<string[]> => {
        const search = { ...searchFor(text), ...partOf(text) };
        const { rows } = await of.devices({ limit: 9 }, { search });
        return rows.map(({ address, name }) => name ?? formatIpv6(address));
      };
      const address = formatIpv6(pump);
      const groups = address.split(':');
      const texts = ['pump', 'ump-1', 'stairs', '50%', address, `${groups.slice(0, 6).join(':')}:`];
      for (const text of [...texts, ...groups.slice(-1), groups.slice(-2).join(':')]) {
        expect(await found(all, text), text).toContain('pump-17');
        expect(await found(first, text), text).toContain('pump-17');
        expect(await found(acme, text), text).not.toContain('pump-17');
      }
      expect(await found(first, '17')).toEqual([]);
      expect(await found(first, '-17')).toEqual(['pump-17']);
      expect(await found(all, '-17')).toEqual(['pump-17', 'valve-17']);
      expect(await found(all, '5_%')).toEqual([]);
      expect(await found(first, 'of 2026')).toHaveLength(2);
      expect(await found(acme, 'of 2026')).toEqual([]);
      expect(await found(acme, formatIpv6(valve))).toEqual(['valve-17']);
    });

    test('finds page after page what many have, what few have, and what few have far behind', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const names = Array.from({ length: 330 }, (_, n) =>
        n % 110 === 109 ? `valve-${n}` : n > 300 ? `gauge-${n}` : `pump-${n}`,
      );
      const chips = names.map(() => applicant(group));
      const addresses = await Promise.all(chips.map((chip) => registry.admit(chip)));
      await Promise.all(
        addresses.map((address, n) => registry.nameDevice('x', address, { name: names[n]! })),
      );
      const named = async (part: string, limit: number): Promise<(string | undefined)[]> => {
        const found: (string | undefined)[] = [];
        let after: string | undefined;
        do {
          const page = { limit, ...(after !== undefined && { after }) };
          const { rows, next } = await registry.devices(page, { search: { text: part } });
          found.push(...rows.map(({ name }) => name));
          after = next;
        } while (after !== undefined);
        return found;
      };
      for (const part of ['ump', 'alve-', 'gauge', 'e-32', '-10', 'zzz'])
        for (const limit of [3, 40, 500]) {
          const expected = names.filter((name) => name.includes(part));
          expect(await named(part, limit), `${part}, ${limit} at a time`).toEqual(expected);
        }
    });
  });
}
