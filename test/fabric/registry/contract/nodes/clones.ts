import { describe, expect, test } from 'vitest';
import {
  CLONES_AGAIN_MS,
  REPLACEMENT_WINDOW_MS,
  type Replacement,
} from '../../../../../fabric/registry/admission.ts';
import { formatListen } from '../../../../../os/net/listen.ts';
import { allOf, type WholeRegistry } from '../../../place.ts';
import { applicant, type OpenEmpty } from '../place.ts';
import { settle, twoNodes } from './place.ts';

const [HERE, THERE] = ['192.0.2.1', '2001:db8::1'];

/** Two nodes, and a device that has come from HERE to `a` and then from THERE to `b`: one whose outer addresses are told apart, which one in 4,096 is not. */
async function moved(openEmpty: OpenEmpty) {
  const nodes = await twoNodes(openEmpty);
  const { a, b, group } = nodes;
  for (;;) {
    const address = await a.admit(applicant(group));
    expect(await a.attach(address, HERE)).toEqual({ generation: 1, replacements: [], former: '' });
    const { replacements } = await b.attach(address, THERE);
    if (replacements.length > 0) return { ...nodes, address, replacements };
  }
}

/** Which tunnels of a device replace another one, and that clones are told of once (router/clones.ts). */
export function clonesContract(openEmpty: OpenEmpty): void {
  describe('[C-22] what tunnels of a device replace at whichever nodes', () => {
    test('each node that attaches it is told of all', async () => {
      const { a, b, clock, address, group, replacements } = await moved(openEmpty);
      const [{ by: there, from: here }] = replacements as [Replacement];
      expect(replacements).toEqual([{ at: 100_000, by: there, from: here }]);
      expect(there).not.toBe(here);
      const from = formatListen({ host: THERE, port: 5_000 });
      b.connected(address, from, 2);
      await settle(b);
      clock.now += 1_000;
      expect(await a.attach(address, HERE)).toEqual({
        generation: 3,
        replacements: [...replacements, { at: 101_000, by: here, from: there }],
        former: from,
      });
      const other = await a.admit(applicant(group));
      expect((await b.attach(other, THERE)).replacements).toEqual([]);
    });

    test('a tunnel from the same outer address, or after one that is over, replaces none', async () => {
      const { a, b, clock, address } = await moved(openEmpty);
      clock.now += 1_000;
      expect((await a.attach(address, THERE)).replacements).toEqual([]);
      a.detached(address, 3);
      await settle(a);
      expect((await a.attach(address, HERE)).replacements).toEqual([]);
      expect((await b.attach(address, THERE)).replacements).toHaveLength(2);
    });

    test('a tunnel at a node that devices are to leave is replaced by none', async () => {
      const { a, b, clock, address } = await moved(openEmpty);
      const replacements = async (at: WholeRegistry, host: string): Promise<number> => {
        clock.now += 1_000;
        return (await at.attach(address, host)).replacements.length;
      };
      await a.drainNode('owner', 'b');
      expect(await replacements(a, HERE)).toBe(0);
      await a.resumeNode('owner', 'b');
      await a.beat({ tunnels: 1, load: 0, routesLost: clock.now });
      expect(await replacements(b, THERE)).toBe(0);
      await a.beat({ tunnels: 0, load: 0 });
      await a.drainNode('owner', 'a');
      expect(await replacements(a, HERE)).toBe(2);
    });

    test('however often a tunnel begins anew from the same outer address, what came before is remembered', async () => {
      const { a, b, clock, address } = await moved(openEmpty);
      const ofOne = async (host: string): Promise<number> => {
        for (let i = 0; i < 40; i++) {
          clock.now += 1_000;
          await b.attach(address, host);
        }
        clock.now += 1_000;
        return (await a.attach(address, host === HERE ? THERE : HERE)).replacements.length;
      };
      expect([await ofOne(THERE), await ofOne(HERE), await ofOne(THERE)]).toEqual([2, 3, 4]);
    });

    test('what is older than the window is forgotten, but not that a tunnel is up since then', async () => {
      const { a, clock, address } = await moved(openEmpty);
      clock.now += REPLACEMENT_WINDOW_MS - 1;
      expect((await a.attach(address, HERE)).replacements).toHaveLength(2);
      clock.now += REPLACEMENT_WINDOW_MS;
      expect((await a.attach(address, THERE)).replacements).toMatchObject([{ at: clock.now }]);
    });

    test('it is bounded, the oldest is forgotten first', async () => {
      const { a, b, clock, address } = await moved(openEmpty);
      for (let i = 0; i < 20; i++) {
        clock.now += 1_000;
        await a.attach(address, HERE);
        clock.now += 1_000;
        await b.attach(address, THERE);
      }
      const { replacements } = await a.attach(address, HERE);
      const ages = replacements.map(({ at }) => (clock.now - at) / 1_000);
      expect(ages).toEqual([...Array.from({ length: 30 }, (_, i) => 29 - i), 0]);
    });

    test('clones are told of once within the hour, whichever node finds them', async () => {
      const { a, b, clock, address, group } = await twoNodes(openEmpty);
      const other = await a.admit(applicant(group));
      expect(await a.clones(address, [HERE, THERE])).toBe(true);
      clock.now += CLONES_AGAIN_MS - 1;
      expect(await b.clones(address, [HERE, THERE])).toBe(false);
      expect(await b.attach(address, HERE)).toMatchObject({ clonesTold: 100_000 });
      expect(await b.clones(other, [HERE, THERE])).toBe(true);
      clock.now += 1;
      expect(await b.clones(address, [HERE, THERE])).toBe(true);
      expect(await a.clones(address, [HERE, THERE])).toBe(false);
      const told = (await allOf(a.audit)).filter(({ action }) => action === 'device.twins');
      expect(told).toHaveLength(3);
    });
  });
}
