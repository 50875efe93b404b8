import { describe, expect, test } from 'vitest';
import { scopeOf } from '../../../../fabric/access/scope.ts';
import type { Change } from '../../../../fabric/registry/records.ts';
import { MOST_RULES, type NewRule, type Rule } from '../../../../fabric/registry/rules.ts';
import { formatPrefix, parsePrefix } from '../../../../protocol/ipv6.ts';
import { allOf, anyGroup, NETWORK, random, type WholeRegistry } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const OTHER = parsePrefix('fd00:77::/64');
const ANY: NewRule = {
  action: 'deny',
  direction: 'in',
  devices: { kind: 'any' },
  other: { kind: 'any' },
  protocol: 'any',
};

/** Who reaches whom. */
export function rulesContract(openEmpty: OpenEmpty): void {
  const fails = (work: Promise<unknown>, code: string) => expect(work).rejects.toMatchObject({ code });
  const rulesOf = (registry: WholeRegistry, network = NETWORK): Promise<Rule[]> =>
    allOf((page) => registry.rules(network, page));
  const notes = async (registry: WholeRegistry): Promise<string[]> =>
    (await rulesOf(registry)).map(({ place, note }) => `${place} ${note}`);

  describe('rules', () => {
    test('are kept as they were given, in the order of their places', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const address = await registry.admit(applicant(group));
      await registry.nameDevice('owner', address, { name: 'pump' });
      await registry.addNetwork('owner', OTHER, 'office');
      const { gid } = group;
      const first: NewRule = {
        action: 'allow',
        direction: 'in',
        devices: { kind: 'group', gid, network: NETWORK },
        other: { kind: 'network', prefix: OTHER },
        protocol: 'tcp',
        ports: { first: 22, last: 80 },
        note: 'for the office',
      };
      const second: NewRule = {
        ...ANY,
        devices: { kind: 'device', address },
        other: { kind: 'device', address },
      };
      await registry.addRule('owner', NETWORK, second);
      await registry.addRule('owner', NETWORK, { ...ANY, other: { kind: 'host' }, direction: 'out' });
      const added = await registry.addRule('owner', NETWORK, first, 1);
      const rules = await rulesOf(registry);
      expect(rules.map(({ place }) => place)).toEqual([1, 2, 3]);
      expect(rules[0]).toEqual(added);
      expect(rules[0]).toMatchObject({
        ...first,
        network: NETWORK,
        devices: { kind: 'group', gid, name: group.name },
        other: { kind: 'network', prefix: OTHER, name: 'office' },
      });
      expect(rules[1]).toMatchObject({ devices: { kind: 'device', address, name: 'pump' }, protocol: 'any' });
      expect(rules[1]).not.toHaveProperty('ports');
      expect(rules[2]).toMatchObject({ direction: 'out', devices: { kind: 'any' }, other: { kind: 'host' } });
      expect(await rulesOf(registry, OTHER)).toEqual([]);
      const page = await registry.rules(NETWORK, { limit: 2 });
      expect(page.rows.map(({ place }) => place)).toEqual([1, 2]);
      expect(
        (await registry.rules(NETWORK, { limit: 2, after: page.next })).rows.map(({ place }) => place),
      ).toEqual([3]);
      await fails(registry.rules(NETWORK, { limit: 2, after: 'x' }), 'fabric.bad-cursor');
    });

    test('are moved and removed, and the others keep their order', async () => {
      const { registry } = await withGroup(openEmpty);
      const ids: number[] = [];
      for (const note of ['a', 'b', 'c', 'd'])
        ids.push((await registry.addRule('owner', NETWORK, { ...ANY, note })).id);
      const [a, b, , d] = ids as [number, number, number, number];
      expect(await registry.moveRule('owner', d, 2)).toMatchObject({
        changed: true,
        rule: { place: 2, note: 'd' },
      });
      expect(await notes(registry)).toEqual(['1 a', '2 d', '3 b', '4 c']);
      expect(await registry.moveRule('owner', a, 99)).toMatchObject({ changed: true, rule: { place: 4 } });
      expect(await notes(registry)).toEqual(['1 d', '2 b', '3 c', '4 a']);
      expect(await registry.moveRule('owner', a, 4)).toMatchObject({ changed: false });
      expect(await registry.removeRule('owner', b)).toMatchObject({ id: b, place: 2, note: 'b' });
      expect(await notes(registry)).toEqual(['1 d', '2 c', '3 a']);
      const { id } = await registry.addRule('owner', NETWORK, { ...ANY, note: 'e' }, 2);
      expect(ids).not.toContain(id);
      expect(await notes(registry)).toEqual(['1 d', '2 e', '3 c', '4 a']);
      for (const work of [registry.removeRule('owner', b), registry.moveRule('owner', b, 1)])
        await fails(work, 'fabric.unknown-rule');
    });

    test('are told to subscribers as a change of their network, and stand in the trail', async () => {
      const { registry } = await withGroup(openEmpty);
      await registry.catchUp();
      const changes: Change[] = [];
      registry.subscribe((change) => changes.push(change));
      const { id } = await registry.addRule('anna', NETWORK, {
        ...ANY,
        protocol: 'udp',
        ports: { first: 53, last: 53 },
      });
      await registry.addRule('anna', NETWORK, ANY);
      await registry.moveRule('bob', id, 2);
      await registry.removeRule('bob', id);
      await registry.catchUp();
      expect(changes).toEqual(Array(4).fill({ kind: 'network', prefix: NETWORK }));
      const { rows } = await registry.audit({ limit: 4 }, `rule ${id}`);
      const network = formatPrefix(NETWORK);
      const what = {
        network,
        action: 'deny',
        direction: 'in',
        devices: 'any',
        with: 'any',
        protocol: 'udp',
        ports: '53',
      };
      expect(rows.map(({ actor, action, detail }) => ({ actor, action, detail }))).toEqual([
        { actor: 'bob', action: 'rule.remove', detail: { place: 2, ...what } },
        { actor: 'bob', action: 'rule.move', detail: { network, from: 1, to: 2 } },
        { actor: 'anna', action: 'rule.add', detail: { place: 1, ...what } },
      ]);
    });

    test('name what is there: devices of their network, and at the other end what is of the same owner', async () => {
      const { registry, group } = await withGroup(openEmpty);
      await registry.addNetwork('owner', OTHER, 'office');
      const away = await registry.addGroup('owner', { ...anyGroup(), network: OTHER });
      const stranger = await registry.admit(applicant(away));
      const refused: NewRule[] = [
        { ...ANY, devices: { kind: 'group', gid: away.gid, network: OTHER } },
        { ...ANY, devices: { kind: 'device', address: stranger } },
        { ...ANY, devices: { kind: 'group', gid: random(32), network: NETWORK } },
        { ...ANY, other: { kind: 'device', address: random(16) } },
        { ...ANY, other: { kind: 'network', prefix: parsePrefix('fd00:78::/64') } },
      ];
      for (const rule of refused) await fails(registry.addRule('owner', NETWORK, rule), 'fabric.bad-rule');
      await registry.addRule('owner', NETWORK, {
        ...ANY,
        other: { kind: 'group', gid: away.gid, network: OTHER },
      });
      await registry.addRule('owner', NETWORK, { ...ANY, other: { kind: 'device', address: stranger } });
      await fails(registry.addRule('owner', parsePrefix('fd00:78::/64'), ANY), 'fabric.unknown-network');
      expect(await rulesOf(registry)).toHaveLength(2);
      expect((await rulesOf(registry))[0]!.other).toMatchObject({ network: OTHER });
      expect(group.network).toEqual(NETWORK);
    });

    test('another owner’s are as if they were not there, and nobody names what is another’s', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const { id } = await registry.addOwner('root', 'acme');
      await registry.lendPrefix('root', 'acme', parsePrefix('fd00:77::/48'));
      const acme = registry.of(scopeOf(id, false));
      await acme.addNetwork('anna', OTHER, 'acme');
      const rule = await registry.addRule('owner', NETWORK, ANY);
      expect(await allOf((page) => acme.rules(NETWORK, page))).toEqual([]);
      await fails(acme.removeRule('anna', rule.id), 'fabric.unknown-rule');
      await fails(acme.moveRule('anna', rule.id, 1), 'fabric.unknown-rule');
      await fails(acme.addRule('anna', NETWORK, ANY), 'fabric.unknown-network');
      const foreign: NewRule[] = [
        { ...ANY, other: { kind: 'network', prefix: NETWORK } },
        { ...ANY, other: { kind: 'group', gid: group.gid, network: NETWORK } },
      ];
      // Not even whoever sees both.
      for (const each of foreign)
        for (const who of [acme, registry]) await fails(who.addRule('x', OTHER, each), 'fabric.bad-rule');
      expect(await rulesOf(registry)).toEqual([rule]);
    });

    test('end with what they are of, and with what they name', async () => {
      const { registry, group } = await withGroup(openEmpty);
      await registry.addNetwork('owner', OTHER, 'office');
      const away = await registry.addGroup('owner', { ...anyGroup(), network: OTHER });
      const names = { kind: 'group', gid: away.gid, network: OTHER } as const;
      await registry.addRule('owner', NETWORK, { ...ANY, other: names });
      await registry.addRule('owner', NETWORK, { ...ANY, note: 'stays' });
      await registry.addRule('owner', NETWORK, { ...ANY, other: { kind: 'network', prefix: OTHER } });
      await registry.addRule('owner', NETWORK, { ...ANY, note: 'stays, too' });
      await registry.addRule('owner', OTHER, { ...ANY, devices: names });
      await registry.addRule('owner', OTHER, ANY);
      await registry.catchUp();
      const changes: string[] = [];
      registry.subscribe((change) => {
        if (change.kind === 'network') changes.push(formatPrefix(change.prefix));
      });
      await registry.removeGroup('owner', away.gid);
      await registry.catchUp();
      expect(changes.sort()).toEqual([NETWORK, OTHER].map(formatPrefix).sort());
      expect(await rulesOf(registry)).toHaveLength(3);
      expect(await rulesOf(registry, OTHER)).toHaveLength(1);
      await registry.removeNetwork('owner', OTHER);
      expect(await notes(registry)).toEqual(['1 stays', '2 stays, too']);
      const { rows } = await registry.audit({ limit: 2 });
      expect(rows.map(({ detail }) => detail.rules)).toEqual([2, 2]);
      await registry.addNetwork('owner', OTHER, 'again');
      expect(await rulesOf(registry, OTHER)).toEqual([]);
      expect(group.gid).toHaveLength(32);
    });

    test('are so many at most in a network', async () => {
      const { registry } = await withGroup(openEmpty);
      await Promise.all(Array.from({ length: MOST_RULES }, () => registry.addRule('owner', NETWORK, ANY)));
      await fails(registry.addRule('owner', NETWORK, ANY), 'fabric.too-many-rules');
      expect(await rulesOf(registry)).toHaveLength(MOST_RULES);
    });
  });
}
