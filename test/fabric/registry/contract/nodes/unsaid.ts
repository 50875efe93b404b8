import { describe, expect, onTestFinished, test } from 'vitest';
import type { RegistryOptions } from '../../../../../fabric/registry/registry.ts';
import { anyGroup, NETWORK, type WholeRegistry } from '../../../place.ts';
import { applicant } from '../place.ts';
import { attach, node, settle } from './place.ts';

const LOCKED = expect.objectContaining({ code: 'registry.locked' });

/** An empty registry: how to open it, and how to keep everybody from writing until the function is called that this resolves to. */
export interface Lockable {
  open(options: RegistryOptions): Promise<WholeRegistry>;
  lock(): Promise<() => Promise<void>>;
}

/** What is recorded of tunnels agrees with the tunnels that there are, whatever failed to be written. */
export function unsaidContract(name: string, make: () => Promise<Lockable>): void {
  async function place() {
    const { open, lock } = await make();
    const clock = { now: 100_000 };
    const errors: unknown[] = [];
    const options = { now: () => clock.now, nodesNow: () => clock.now, retryMs: 20 };
    const a = await open({ ...options, onError: (error) => errors.push(error) });
    await a.addNetwork('owner', NETWORK, '');
    const group = await a.addGroup('owner', anyGroup());
    const admitted = (many: number): Promise<Uint8Array[]> =>
      Promise.all(Array.from({ length: many }, () => a.admit(applicant(group))));
    /** Has `said` in vain. */
    async function inVain(said: () => void): Promise<void> {
      const unlock = await lock();
      said();
      await expect.poll(() => errors).toContainEqual(LOCKED);
      clock.now += 1_000;
      await unlock();
    }
    return { a, open: () => open(options), clock, admitted, inVain };
  }

  describe(`what ${name} could not be told of tunnels`, () => {
    test('is said again: those that are there, and the end of those that are not, unless there is a newer one', async () => {
      const { a, open, admitted, inVain } = await place();
      const [stays, ends, begins, moves, left] = (await admitted(5)) as [
        ...[Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array],
      ];
      const b = await open();
      await a.join(node('a'));
      await b.join(node('b'));
      const generations = new Map<Uint8Array, number>();
      for (const each of [stays, ends, begins, moves, left]) generations.set(each, await attach(a, each));
      const connect = (each: Uint8Array) => a.connected(each, '192.0.2.1:1', generations.get(each));
      for (const each of [stays, ends, moves]) connect(each);
      await expect.poll(async () => (await a.census()).connected).toBe(3);
      await attach(b, moves);
      await a.catchUp();
      const heard: unknown[] = [];
      a.subscribe((change) => heard.push(change));
      await inVain(() => {
        a.disconnected(ends, generations.get(ends));
        connect(begins);
        a.detached(left, generations.get(left)!);
      });
      await expect.poll(async () => (await a.device(ends)).tunnel?.ended).toBe(101_000);
      const at = async (each: Uint8Array) => (await b.device(each)).attached;
      expect(await at(stays)).toEqual({ generation: 1, node: 'a' });
      expect(await at(begins)).toEqual({ generation: 1, node: 'a' });
      expect((await b.device(begins)).tunnel).toEqual({ at: 100_000, from: '192.0.2.1:1' });
      expect((await b.device(stays)).tunnel).toEqual({ at: 100_000, from: '192.0.2.1:1' });
      expect(await at(ends)).toEqual({ generation: 1 });
      expect(await at(left)).toEqual({ generation: 1 });
      // That one is the other node's, and whoever has it here hears of it once more.
      expect(await at(moves)).toEqual({ generation: 2, node: 'b' });
      expect(heard).toContainEqual({ kind: 'device', address: moves });
    }, 40_000);

    test('is not said of a tunnel whose generation another node has got after a failover: whoever has it hears so', async () => {
      const { a, open, admitted, inVain } = await place();
      const [device, other] = (await admitted(2)) as [Uint8Array, Uint8Array];
      const b = await open();
      await a.join(node('a'));
      await b.join(node('b'));
      // As if a had attached it with the same generation before, and the server had lost that.
      const generation = await attach(b, device);
      b.connected(device, '192.0.2.2:1', generation);
      await settle(b);
      a.connected(device, '192.0.2.1:1', generation);
      await settle(a);
      await a.catchUp();
      const heard: unknown[] = [];
      a.subscribe((change) => heard.push(change));
      const of = await attach(a, other);
      await inVain(() => a.connected(other, '192.0.2.1:1', of));
      await expect.poll(async () => (await a.device(other)).tunnel).toBeDefined();
      await expect.poll(() => heard).toContainEqual({ kind: 'device', address: device });
      a.disconnected(device, generation);
      await settle(a);
      const { tunnel, attached } = await b.device(device);
      expect([tunnel, attached]).toEqual([
        { at: 100_000, from: '192.0.2.2:1' },
        { generation, node: 'b' },
      ]);
    }, 40_000);

    test('is said again where nodes have no names', async () => {
      const { a, admitted, inVain } = await place();
      const [ends, begins] = (await admitted(2)) as [Uint8Array, Uint8Array];
      a.connected(ends, '192.0.2.1:1');
      await expect.poll(async () => (await a.census()).connected).toBe(1);
      await inVain(() => {
        a.disconnected(ends);
        a.connected(begins, '192.0.2.2:1');
      });
      await expect.poll(async () => (await a.device(ends)).tunnel?.ended).toBe(101_000);
      expect((await a.device(begins)).tunnel).toEqual({ at: 100_000, from: '192.0.2.2:1' });
      expect((await a.census()).connected).toBe(1);
    }, 40_000);

    test('is said by a node that was taken for lost, in parts: its tunnels had been ended', async () => {
      const { a, open, clock, admitted } = await place();
      const devices = await admitted(401);
      const [here, gone] = [devices.slice(0, 400), devices[400]!];
      const b = await open();
      await a.join(node('a'));
      await b.join(node('b'));
      for (const each of await Promise.all(here.map(async (one) => [one, await attach(a, one)] as const)))
        a.connected(each[0], '192.0.2.1:1', each[1]);
      await expect.poll(async () => (await a.census()).connected).toBe(400);
      // Attached by a former process of this name, say.
      await attach(a, gone);
      clock.now += 15_000;
      await b.beat({ tunnels: 0, load: 0 });
      while (await b.sweepLost());
      expect((await b.census()).connected).toBe(0);
      expect((await a.beat({ tunnels: 400, load: 0 })).wasLost).toBe(true);
      await expect.poll(async () => (await b.census()).connected).toBe(400);
      expect((await b.devices({ limit: 1_000 }, { node: 'a' })).rows).toHaveLength(400);
      expect((await b.device(here[0]!)).tunnel).toEqual({ at: 100_000, from: '192.0.2.1:1' });
      expect((await b.device(gone)).attached).toEqual({ generation: 1 });
    }, 60_000);

    test('nobody is asked any more once it is closed', async () => {
      const { open, lock } = await make();
      const errors: unknown[] = [];
      const registry = await open({ retryMs: 3_600_000, onError: (error) => errors.push(error) });
      const unlock = await lock();
      onTestFinished(unlock);
      registry.connected(new Uint8Array(16), '192.0.2.1:1');
      await expect.poll(() => errors).toContainEqual(LOCKED);
      await registry.close();
    }, 40_000);
  });
}
