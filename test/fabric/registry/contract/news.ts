import { describe, expect, test } from 'vitest';
import { scopeOf } from '../../../../fabric/access/scope.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { anyGroup, random } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const LENT = parsePrefix('fd00:9::/48');
const LENT_NETWORK = parsePrefix('fd00:9:0:1::/64');

/** What is new, for whoever watches. */
export function newsContract(openEmpty: OpenEmpty): void {
  describe('what is new', () => {
    const refusal = { source: '192.0.2.9', proven: false, result: 'fabric.group-not-admitted' } as const;

    test('are changes, handshakes, entries of the audit trail and tunnels since a position', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const start = await registry.newsPosition();
      expect(await registry.newsSince(start, 9)).toEqual({
        position: start,
        changes: [],
        handshakes: [],
        skipped: 0,
        audit: [],
        missed: [],
      });
      const address = await registry.admit(applicant(group));
      await registry.refused(refusal);
      registry.connected(address, '192.0.2.7:1');
      await registry.setGroupStatus('alice', group.gid, 'suspended');
      const news = await registry.newsSince(start, 9);
      expect(news).toMatchObject({ skipped: 0, missed: [] });
      expect(news.changes.filter(({ kind }) => kind === 'group')).toEqual([
        { kind: 'group', gid: group.gid, owner: 1 },
      ]);
      expect(news.changes.at(-1)).toEqual({ kind: 'device', address, owner: 1 });
      expect(news.handshakes.map(({ result }) => result)).toEqual(['ok', 'fabric.group-not-admitted']);
      expect(news.audit.map(({ action }) => action)).toEqual(['device.admit', 'group.suspend']);
      const later = await registry.newsSince(news.position, 9);
      expect(later).toMatchObject({ position: news.position, changes: [], handshakes: [], audit: [] });
      registry.disconnected(address);
      expect((await registry.newsSince(news.position, 9)).changes).toEqual([
        { kind: 'device', address, owner: 1 },
      ]);
    });

    test('are so many at most; what is left out is said', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const start = await registry.newsPosition();
      for (let count = 0; count < 5; count++) await registry.refused(refusal);
      expect(await registry.newsSince(start, 3)).toMatchObject({ skipped: 2, missed: [] });
      expect((await registry.newsSince(start, 3)).handshakes).toHaveLength(3);
      for (const status of ['suspended', 'active', 'suspended', 'active'] as const)
        await registry.setGroupStatus('alice', group.gid, status);
      const news = await registry.newsSince(start, 3);
      expect(news).toMatchObject({ missed: [1] });
      expect(news.audit).toHaveLength(3);
      expect(await registry.newsSince(news.position, 3)).toMatchObject({ missed: [], audit: [] });
    });

    test('say whose are left out, and leave out no owner’s newest handshake', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const { id } = await registry.addOwner('root', 'acme');
      await registry.lendPrefix('root', 'acme', LENT);
      const acme = registry.of(scopeOf(id, false));
      await acme.addNetwork('bob', LENT_NETWORK, 'theirs');
      const theirs = await acme.addGroup('bob', { ...anyGroup(), network: LENT_NETWORK });
      const start = await registry.newsPosition();
      const address = await registry.admit(applicant(theirs));
      for (let count = 0; count < 5; count++) await registry.admit(applicant(group));
      for (const status of ['suspended', 'active', 'suspended', 'active'] as const)
        await registry.setGroupStatus('alice', group.gid, status);
      const news = await registry.newsSince(start, 3);
      // The admission of the other owner's device is the oldest entry.
      expect([...news.missed].sort()).toEqual([1, id]);
      expect(news.handshakes.map(({ owner }) => owner)).toEqual([id, 1, 1, 1]);
      expect(news.handshakes[0]).toMatchObject({ address });
      expect(news.skipped).toBe(2);
      for (const status of ['suspended', 'active', 'suspended', 'active'] as const)
        await registry.setGroupStatus('alice', group.gid, status);
      registry.connected(address, 'x');
      const later = await registry.newsSince(news.position, 3);
      expect(later.missed).toEqual([1]);
      expect(later.changes).toContainEqual({ kind: 'device', address, owner: id });
    });

    test('of a flood come in parts, none of which is left out', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const start = await registry.newsPosition();
      const one = random(16);
      for (let count = 0; count < 1_250; count++) registry.connected(one, 'x');
      await registry.setGroupStatus('alice', group.gid, 'suspended');
      const first = await registry.newsSince(start, 3);
      expect(first).toMatchObject({ missed: [], position: { tunnel: start.tunnel + 1_000 } });
      const second = await registry.newsSince(first.position, 3);
      expect(second.position).toEqual(await registry.newsPosition());
      expect(second.missed).toEqual([]);
    });

    test('of a registry that was replaced, or of another process’s tunnels, are missed', async () => {
      const { registry } = await withGroup(openEmpty);
      const start = await registry.newsPosition();
      for (const kind of ['change', 'audit', 'tunnel'] as const) {
        const ahead = { ...start, [kind]: start[kind] + 5 };
        expect(await registry.newsSince(ahead, 3), kind).toMatchObject({ missed: 'all', position: start });
      }
      expect(await registry.newsSince({ ...start, tunnel: start.tunnel - 5 }, 3)).toMatchObject({
        missed: 'all',
      });
    });

    test('of many tunnels are each device once, and the newest ten thousand', async () => {
      const { registry } = await withGroup(openEmpty);
      const [one, two] = [random(16), random(16)];
      const start = await registry.newsPosition();
      for (let count = 0; count < 300; count++) {
        registry.connected(one, 'x');
        registry.disconnected(one);
      }
      registry.connected(two, 'x');
      expect((await registry.newsSince(start, 9)).changes).toHaveLength(2);
      for (let count = 0; count < 5_000; count++) {
        registry.connected(one, 'x');
        registry.disconnected(one);
      }
      expect(await registry.newsSince(start, 9)).toMatchObject({ missed: 'all', changes: [] });
    });
  });
}
