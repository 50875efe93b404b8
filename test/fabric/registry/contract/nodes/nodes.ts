import { describe, expect, test } from 'vitest';
import { DUTIES, type Duty, LOST_MS, MOST_NODES } from '../../../../../fabric/registry/nodes.ts';
import type { Change } from '../../../../../fabric/registry/records.ts';
import { allOf, anyGroup, NETWORK, random } from '../../../place.ts';
import { applicant, type OpenEmpty, ZERO } from '../place.ts';
import { attach, node, settle, twoNodes } from './place.ts';

/** The fabrics that serve one registry together. */
export function nodesContract(openEmpty: OpenEmpty): void {
  describe('nodes', () => {
    test('join, say that they serve, are lost without a word, and stop', async () => {
      const { a, b, clock } = await twoNodes(openEmpty);
      expect(await allOf(a.nodes)).toEqual([
        {
          ...{ name: 'a', address: '2001:db8::a', version: '1.0', state: 'serving', serves: DUTIES },
          ...{ started: 100_000, seen: 100_000, tunnels: 0, load: 0 },
        },
        {
          ...{ name: 'b', version: '1.0', state: 'serving', serves: DUTIES },
          ...{ started: 100_000, seen: 100_000, tunnels: 0, load: 0 },
        },
      ]);
      clock.now += LOST_MS - 1;
      expect(await a.beat({ tunnels: 7, load: 0.25 })).toEqual({ replaced: false, wasLost: false });
      expect(await b.node('a')).toMatchObject({ seen: clock.now, tunnels: 7, load: 0.25, state: 'serving' });
      clock.now += 1;
      expect((await a.node('b')).state).toBe('lost');
      expect(await b.beat({ tunnels: 0, load: 0 })).toEqual({ replaced: false, wasLost: true });
      expect((await a.node('b')).state).toBe('serving');
      await a.leave();
      expect(await b.node('a')).toMatchObject({ state: 'stopped', tunnels: 0 });
      await expect(b.node('c')).rejects.toMatchObject({ code: 'node.unknown' });
    });

    test('say since when others learn nothing of their devices, until they do, stop, or start anew', async () => {
      const { a, b, clock } = await twoNodes(openEmpty);
      const said = { tunnels: 3, load: 0, routesLost: 99_000 };
      await b.beat(said);
      expect(await a.node('b')).toMatchObject({ state: 'routes-lost', routesLost: 99_000, tunnels: 3 });
      await a.drainNode('owner', 'b');
      expect(await a.node('b')).toMatchObject({ state: 'draining', routesLost: 99_000 });
      await a.resumeNode('owner', 'b');
      await b.beat({ tunnels: 3, load: 0 });
      expect(await a.node('b')).toMatchObject({ state: 'serving' });
      expect(await a.node('b')).not.toHaveProperty('routesLost');
      await b.beat(said);
      clock.now += LOST_MS;
      expect((await a.node('b')).state).toBe('lost');
      await b.beat(said);
      await b.leave();
      expect(await a.node('b')).not.toHaveProperty('routesLost');
      await b.join(node('b'));
      expect((await a.node('b')).state).toBe('serving');
    });

    test('a list of them is read in pages', async () => {
      const { a } = await twoNodes(openEmpty);
      const { rows, next } = await a.nodes({ limit: 1 });
      expect(rows.map(({ name }) => name)).toEqual(['a']);
      expect((await a.nodes({ limit: 1, after: next })).rows.map(({ name }) => name)).toEqual(['b']);
      await expect(a.nodes({ limit: 1, after: 'x' })).rejects.toMatchObject({ code: 'fabric.bad-cursor' });
    });

    test('a name has one process at a time: the next one takes it when that is lost, has stopped, or was its own', async () => {
      const { a, open, clock } = await twoNodes(openEmpty);
      const other = await open();
      const joining = node('a', { version: '2.0' });
      await expect(other.join(joining)).rejects.toMatchObject({ code: 'node.name-in-use', remedy: 'retry' });
      expect((await a.node('a')).version).toBe('1.0');
      clock.now += LOST_MS;
      await other.join(joining);
      expect(await a.node('a')).toMatchObject({ version: '2.0', started: clock.now, state: 'serving' });
      // The former one learns of it, and does not get it back while the other serves.
      expect(await a.beat({ tunnels: 9, load: 0 })).toEqual({ replaced: true, wasLost: false });
      expect((await a.node('a')).tunnels).toBe(0);
      await expect(a.join(joining)).rejects.toMatchObject({ code: 'node.name-in-use' });
      await a.leave();
      expect((await a.node('a')).state).toBe('serving');
      // The process of this installation was killed a moment ago.
      const restarted = await open();
      await restarted.join({ ...joining, version: '2.1' });
      expect((await a.node('a')).version).toBe('2.1');
      await restarted.leave();
      await (await open()).join(node('a'));
    });

    test('there are so many at most', async () => {
      const { a, open } = await twoNodes(openEmpty);
      const more = await open();
      for (let i = 2; i < MOST_NODES; i++) {
        await more.join(node(`n${i}`));
        await more.leave();
      }
      await expect(more.join(node('one-more'))).rejects.toMatchObject({ code: 'node.too-many' });
      expect(await allOf(a.nodes)).toHaveLength(MOST_NODES);
    });

    test('draining is a mark that other nodes hear of, and stays until it is taken away', async () => {
      const { a, b, open, clock } = await twoNodes(openEmpty);
      const heard: string[] = [];
      await b.catchUp();
      const end = b.onNodeChange((name) => heard.push(name));
      expect(await a.drainNode('owner', 'b')).toBe(true);
      await b.catchUp();
      expect(heard).toEqual(['b']);
      expect(await b.node('b')).toMatchObject({ state: 'draining', draining: 100_000 });
      clock.now += 1;
      expect(await a.drainNode('owner', 'b')).toBe(false);
      await b.leave();
      expect(await a.node('b')).toMatchObject({ state: 'stopped', draining: 100_000 });
      await (await open()).join(node('b'));
      expect((await a.node('b')).state).toBe('draining');
      expect(await a.resumeNode('owner', 'b')).toBe(true);
      expect(await a.resumeNode('owner', 'b')).toBe(false);
      expect((await a.node('b')).state).toBe('serving');
      await b.catchUp();
      expect(heard).toEqual(['b', 'b', 'b', 'b']);
      end();
      await a.drainNode('owner', 'a');
      await b.catchUp();
      expect(heard).toHaveLength(4);
      for (const change of [a.drainNode('owner', 'c'), a.resumeNode('owner', 'c')])
        await expect(change).rejects.toMatchObject({ code: 'node.unknown' });
      const actions = (await allOf(a.audit)).map(({ action, subject }) => `${action} ${subject}`);
      expect(actions.slice(0, 5)).toEqual([
        ...['node.drain a', 'node.resume b', 'node.drain b', 'node.join b', 'node.join a'],
      ]);
      await a.verifyAudit();
    });

    test('one that serves is not removed; one that is gone is, with what is recorded of its tunnels', async () => {
      const { a, b, clock, address } = await twoNodes(openEmpty);
      const generation = await attach(b, address);
      b.connected(address, '192.0.2.1:5000', generation);
      await settle(b);
      await expect(a.removeNode('owner', 'b')).rejects.toMatchObject({ code: 'node.serving' });
      clock.now += LOST_MS;
      await a.removeNode('owner', 'b');
      await expect(a.node('b')).rejects.toMatchObject({ code: 'node.unknown' });
      await expect(a.removeNode('owner', 'b')).rejects.toMatchObject({ code: 'node.unknown' });
      expect(await a.device(address)).toMatchObject({
        attached: { generation },
        tunnel: { ended: clock.now },
      });
      expect((await a.audit({ limit: 1 })).rows[0]).toMatchObject({ action: 'node.remove', subject: 'b' });
      // It was not gone: it attaches what nobody carries until it has joined again.
      expect(await b.beat({ tunnels: 1, load: 0 })).toEqual({ replaced: true, wasLost: false });
      const next = await attach(b, address);
      expect(a.lookup(address)?.attached).toEqual({ generation: next });
    });
  });

  describe('which node carries a device', () => {
    test('each tunnel has the next number, wherever it begins, and all nodes hear of it', async () => {
      const { a, b, address } = await twoNodes(openEmpty);
      expect(a.lookup(address)).not.toHaveProperty('attached');
      await b.catchUp();
      const heard: Change[] = [];
      b.subscribe((change) => heard.push(change));
      expect(await attach(a, address)).toBe(1);
      expect(b.lookup(address)?.attached).toEqual({ generation: 1, node: 'a' });
      await b.catchUp();
      expect(heard).toEqual([{ kind: 'device', address }]);
      expect(await attach(b, address)).toBe(2);
      expect(a.lookup(address)?.attached).toEqual({ generation: 2, node: 'b' });
      expect((await a.device(address)).attached).toEqual({ generation: 2, node: 'b' });
      expect((await a.devices({ limit: 9 })).rows[0]?.attached).toEqual({ generation: 2, node: 'b' });
      await expect(attach(a, ZERO)).rejects.toMatchObject({ code: 'fabric.unknown-device' });
    });

    test('a late word of an older tunnel changes nothing', async () => {
      const { a, b, clock, address } = await twoNodes(openEmpty);
      const older = await attach(a, address);
      a.connected(address, '192.0.2.1:5000', older);
      await settle(a);
      clock.now += 1_000;
      const newer = await attach(b, address);
      b.connected(address, '192.0.2.2:5000', newer);
      await settle(b);
      clock.now += 1_000;
      a.disconnected(address, older);
      a.detached(address, older);
      await settle(a);
      expect(await a.device(address)).toMatchObject({
        attached: { generation: newer, node: 'b' },
        tunnel: { at: 101_000, from: '192.0.2.2:5000' },
      });
      expect((await a.device(address)).tunnel).not.toHaveProperty('ended');
      b.disconnected(address, newer);
      await settle(b);
      expect(await a.device(address)).toMatchObject({
        tunnel: { ended: 102_000 },
        attached: { generation: newer },
      });
      expect(a.lookup(address)?.attached).toEqual({ generation: newer });
    });

    test('one that never began is over, too; the device keeps the end of its last one', async () => {
      const { a, b, clock, address } = await twoNodes(openEmpty);
      a.detached(address, await attach(a, address));
      await settle(a);
      expect(a.lookup(address)?.attached).toEqual({ generation: 1 });
      expect(await a.device(address)).not.toHaveProperty('tunnel');
      a.connected(address, '192.0.2.1:5000', await attach(a, address));
      await settle(a);
      clock.now += 1_000;
      b.detached(address, await attach(b, address));
      await settle(b);
      expect(await a.device(address)).toMatchObject({
        attached: { generation: 3 },
        tunnel: { ended: 101_000 },
      });
    });

    test('devices of one page have each their own node and group', async () => {
      const { a, b, address, group: first } = await twoNodes(openEmpty);
      const group = await a.addGroup('owner', anyGroup('second'));
      const others = [await a.admit(applicant(group)), await a.admit(applicant(group))];
      await attach(b, address);
      await attach(a, others[0]!);
      const { rows } = await a.devices({ limit: 9 });
      expect(rows.map(({ attached, groupName }) => [attached?.node, groupName])).toEqual([
        ['b', first.name],
        ['a', 'second'],
        [undefined, 'second'],
      ]);
    });

    test('devices are listed by it', async () => {
      const { a, b, address, group } = await twoNodes(openEmpty);
      const other = await a.admit(applicant(group));
      await attach(a, address);
      await attach(b, other);
      const at = async (name: string) =>
        (await a.devices({ limit: 9 }, { node: name })).rows.map((each) => each.address);
      expect(await at('a')).toEqual([address]);
      expect(await at('b')).toEqual([other]);
      expect((await a.devices({ limit: 9 }, { node: 'b', gid: random(32) })).rows).toEqual([]);
      await expect(at('c')).rejects.toMatchObject({ code: 'node.unknown' });
    });

    test('a node that starts ends what its crash has left, and nothing of others', async () => {
      const { a, b, open, clock, group, address } = await twoNodes(openEmpty);
      const [crashed, attached, elsewhere, unnamed] = [
        ...[address, await a.admit(applicant(group))],
        ...[await a.admit(applicant(group)), await a.admit(applicant(group))],
      ] as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
      a.connected(crashed, '192.0.2.1:1', await attach(a, crashed));
      await attach(a, attached);
      b.connected(elsewhere, '192.0.2.2:1', await attach(b, elsewhere));
      a.connected(unnamed, '192.0.2.3:1');
      await settle(a);
      await settle(b);
      clock.now += LOST_MS;
      await b.beat({ tunnels: 1, load: 0 });
      const restarted = await open();
      await restarted.join(node('a'));
      const end = await restarted.follow(1_000);
      await settle(restarted);
      end();
      expect(restarted.lookup(crashed)?.attached).toEqual({ generation: 1 });
      expect(restarted.lookup(attached)?.attached).toEqual({ generation: 1 });
      expect(restarted.lookup(elsewhere)?.attached).toEqual({ generation: 1, node: 'b' });
      expect((await restarted.device(crashed)).tunnel).toMatchObject({ ended: clock.now });
      expect((await restarted.device(unnamed)).tunnel).toMatchObject({ ended: clock.now });
      expect((await restarted.device(elsewhere)).tunnel).not.toHaveProperty('ended');
    });

    test('the oldest node that serves ends the tunnels of one that is lost, which says again what it has', async () => {
      const { a, b, open, clock, address } = await twoNodes(openEmpty);
      const c = await open();
      await c.join(node('c'));
      const generation = await attach(a, address);
      a.connected(address, '192.0.2.1:1', generation);
      await settle(a);
      clock.now += LOST_MS;
      for (const each of [b, c]) await each.beat({ tunnels: 0, load: 0 });
      expect(await c.sweepLost()).toBe(false);
      expect(c.lookup(address)?.attached).toEqual({ generation, node: 'a' });
      expect(await b.sweepLost()).toBe(true);
      expect(await b.sweepLost()).toBe(false);
      expect(c.lookup(address)?.attached).toEqual({ generation });
      expect((await c.census()).connected).toBe(0);
      expect(await a.beat({ tunnels: 1, load: 0 })).toEqual({ replaced: false, wasLost: true });
      await expect.poll(() => c.lookup(address)?.attached).toEqual({ generation, node: 'a' });
      expect((await c.device(address)).tunnel).toEqual({ at: 100_000, from: '192.0.2.1:1' });
      expect((await c.census()).connected).toBe(1);
    });

    test('the oldest node that serves leads, and a process without a name', async () => {
      const { a, b, open, clock } = await twoNodes(openEmpty);
      const leading = (): boolean[] => [a, b].map((each) => each.leads());
      expect(leading()).toEqual([true, false]);
      expect((await open()).leads()).toBe(true);
      clock.now += LOST_MS;
      await b.beat({ tunnels: 0, load: 0 });
      expect(b.leads()).toBe(true);
      await a.beat({ tunnels: 0, load: 0 });
      expect(leading()).toEqual([true, false]);
      await a.leave();
      expect(b.leads()).toBe(true);
    });

    test('a node says what it serves; only one that serves the console leads', async () => {
      const openOne = await openEmpty();
      const open = (...serves: Duty[]) => openOne({ now: () => 100_000, serves });
      const [a, b, c] = [await open('identity'), await open('tunnels'), await open('console')];
      const all = [a, b, c];
      for (const [at, each] of all.entries()) await each.join(node('abc'[at]!));
      expect((await allOf(c.nodes)).map(({ serves, tunnels }) => [serves, tunnels])).toEqual([
        [['identity'], undefined],
        [['tunnels'], 0],
        [['console'], undefined],
      ]);
      expect(all.map((each) => each.leads())).toEqual([false, false, true]);
      await c.leave();
      expect([a, b].map((each) => each.leads())).toEqual([false, false]);
      // The name may serve something else after a restart.
      const again = await open('tunnels', 'console');
      await again.join(node('c'));
      expect((await a.node('c')).serves).toEqual(['tunnels', 'console']);
      expect(again.leads()).toBe(true);
    });

    test('without a name nothing of this is written', async () => {
      const registry = await (await openEmpty())();
      await registry.addNetwork('owner', NETWORK, '');
      const address = await registry.admit(applicant(await registry.addGroup('owner', anyGroup())));
      registry.connected(address, '192.0.2.1:1');
      await settle(registry);
      expect(await registry.device(address)).not.toHaveProperty('attached');
      expect(await allOf(registry.nodes)).toEqual([]);
      await expect(attach(registry, address)).rejects.toThrow('has not joined');
    });
  });
}
