import { expect, test } from 'vitest';
import { type KeepOptions, keepNode } from '../../../fabric/nodes/keep.ts';
import { outageLog } from '../../../fabric/outage-log.ts';
import { type Duty, LOST_MS } from '../../../fabric/registry/nodes.ts';
import { unreachable } from '../../../fabric/registry/postgres/failures.ts';
import type { Failure } from '../../../protocol/failure.ts';
import { anyGroup, NETWORK, opened, random, registryFile, scratch, type WholeRegistry } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';

/** A registry that two fabrics have open, each with its data folder, and what they log. */
function place() {
  const path = registryFile();
  const clock = { now: 100_000 };
  const open = (...serves: Duty[]) =>
    opened(path, { now: () => clock.now, ...(serves.length > 0 && { serves }) });
  const lines: string[] = [];
  const taken: Failure[] = [];
  const options: KeepOptions = {
    ...{ data: scratch(), beatMs: 5, load: () => 0.5 },
    log: (level, message) => lines.push(`${level} ${message}`),
    onNameTaken: (failure) => taken.push(failure),
  };
  return { open, clock, lines, taken, options };
}

test('a node says that it serves, with what it carries, and that it stops', async () => {
  const { open, clock, options } = place();
  const registry = open();
  const keeper = await keepNode(registry, { name: 'a', address: '2001:db8::a' }, options);
  expect(await registry.node('a')).toMatchObject({ state: 'serving', address: '2001:db8::a', tunnels: 0 });
  keeper.carries(() => 7);
  clock.now += 1_000;
  await expect.poll(() => registry.node('a')).toMatchObject({ seen: 101_000, tunnels: 7, load: 0.5 });
  await keeper.close();
  expect((await registry.node('a')).state).toBe('stopped');
});

test('a name that another fabric has is refused; the next process of the own data folder has it at once', async () => {
  const { open, options } = place();
  const [one, other] = [open(), open()];
  const keeper = await keepNode(one, { name: 'a' }, { ...options, beatMs: 3_600_000 });
  await expect(keepNode(other, { name: 'a' }, { ...options, data: scratch() })).rejects.toMatchObject({
    code: 'node.name-in-use',
  });
  const next = await keepNode(other, { name: 'a' }, options);
  await keeper.close();
  expect((await one.node('a')).state).toBe('serving');
  await next.close();
});

/** Has what the node says of itself wait until the function is called that this returns. */
function holdBeats(registry: WholeRegistry): { asked: () => boolean; go: () => void } {
  const { beat } = registry;
  let asked = false;
  let go = (): void => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  registry.beat = async (load) => {
    asked = true;
    await held;
    return beat(load);
  };
  return {
    asked: () => asked,
    go() {
      registry.beat = beat;
      go();
    },
  };
}

/** A registry at a node, and a device whose tunnel ends there. */
async function carrying(open: () => WholeRegistry) {
  const registry = open();
  await registry.addNetwork('owner', NETWORK, '');
  const address = await registry.admit(applicant(await registry.addGroup('owner', anyGroup())));
  const connect = async (): Promise<void> => {
    const { generation } = await registry.attach(address, '192.0.2.1');
    registry.connected(address, '192.0.2.1:1', generation);
    await expect.poll(async () => (await registry.census()).connected).toBe(1);
  };
  const node = () => registry.lookup(address)?.attached?.node;
  return { registry, address, connect, node };
}

test('one that was taken for lost, or removed, says again what it carries', async () => {
  const { open, clock, lines, options } = place();
  const { registry, connect, node } = await carrying(open);
  const other = open();
  const keeper = await keepNode(registry, { name: 'a' }, options);
  await connect();
  for (const end of [() => other.sweepLost(), () => other.removeNode('owner', 'a')]) {
    const held = holdBeats(registry);
    await expect.poll(() => held.asked()).toBe(true);
    clock.now += LOST_MS;
    await other.join({ name: 'b', version: '1.0', installation: random(32) });
    await end();
    expect(node()).toBeUndefined();
    held.go();
    await expect.poll(() => node()).toBe('a');
    await other.leave();
  }
  expect((await registry.node('a')).state).toBe('serving');
  expect(new Set(lines)).toEqual(
    new Set(['warning node a: the others had to take it for lost; it says again which devices it has']),
  );
  await keeper.close();
});

test('it goes on saying that it serves while it ends what lost nodes have left', async () => {
  const { open, lines, options } = place();
  const registry = open();
  const { beat } = registry;
  let beats = 0;
  registry.beat = (load) => {
    beats++;
    return beat(load);
  };
  let sweeps = 0;
  let go = (): void => {};
  registry.sweepLost = () => {
    sweeps++;
    return new Promise((resolve, reject) => {
      go = () => (sweeps === 1 ? reject(new Error('the disk is full')) : resolve(sweeps < 4));
    });
  };
  const keeper = await keepNode(registry, { name: 'a' }, options);
  for (const expected of [1, 2, 3]) {
    await expect.poll(() => sweeps).toBe(expected);
    const before = beats;
    await expect.poll(() => beats).toBeGreaterThan(before + 3);
    expect(sweeps).toBe(expected);
    go();
  }
  expect(lines).toEqual(['error node a cannot end what lost nodes have left: the disk is full']);
  await expect.poll(() => sweeps).toBe(4);
  const closed = keeper.close();
  go();
  await closed;
});

test('one that was away itself takes nobody for lost until the others could say that they serve', async () => {
  const { open, clock, options } = place();
  const seconds = { now: 0 };
  const { registry: lost, connect, node } = await carrying(open);
  const registry = open();
  let beats = 0;
  const keeper = await keepNode(
    registry,
    { name: 'a' },
    { ...options, clock: () => seconds.now * 1_000, onBeat: () => beats++ },
  );
  await lost.join({ name: 'b', version: '1.0', installation: random(32) });
  await connect();
  const beaten = async (): Promise<void> => {
    const before = beats;
    await expect.poll(() => beats).toBeGreaterThan(before + 3);
  };
  const held = holdBeats(registry);
  await expect.poll(() => held.asked()).toBe(true);
  clock.now += LOST_MS;
  held.go();
  await beaten();
  seconds.now = LOST_MS / 1_000 - 1;
  await beaten();
  expect(node()).toBe('b');
  seconds.now++;
  await expect.poll(() => node()).toBeUndefined();
  await keeper.close();
});

test('one that was lost, and whose name another process has meanwhile, says nothing more, and has to end', async () => {
  const { open, clock, lines, taken, options } = place();
  const [registry, other] = [open(), open()];
  const held = holdBeats(registry);
  const keeper = await keepNode(registry, { name: 'a' }, { ...options, lookMs: 2 });
  let looks = 0;
  let lost = false;
  keeper.watchRoutes(async () => {
    looks++;
    return lost;
  });
  await expect.poll(() => held.asked()).toBe(true);
  clock.now += LOST_MS;
  await other.join({ name: 'a', address: '2001:db8::2', version: '2.0', installation: random(32) });
  const { join } = registry;
  let joins = 0;
  registry.join = (node) => {
    joins++;
    return join(node);
  };
  let beats = 0;
  held.go();
  const { beat } = registry;
  registry.beat = (load) => {
    beats++;
    return beat(load);
  };
  await expect.poll(() => taken).toHaveLength(1);
  expect(taken[0]).toMatchObject({
    code: 'node.name-in-use',
    message: expect.stringContaining('2001:db8::2'),
  });
  expect(lines).toEqual(['error node a ends: it was lost, and another process has its name now']);
  // Also when the other one is gone, or there is something to say.
  await other.leave();
  lost = true;
  const before = looks;
  await expect.poll(() => looks).toBeGreaterThan(before + 10);
  expect([joins, beats, taken.length]).toEqual([1, 0, 1]);
  await keeper.close();
  expect(await registry.node('a')).toMatchObject({ version: '2.0', state: 'stopped' });
});

test('one whose registry does not answer says so, and goes on when it does', async () => {
  const { open, lines, options } = place();
  const registry = open();
  const { beat } = registry;
  const keeper = await keepNode(registry, { name: 'a' }, options);
  registry.beat = async () => {
    throw new Error('the disk is full');
  };
  await expect.poll(() => lines).toContain('error node a cannot say that it serves: the disk is full');
  registry.beat = beat;
  keeper.carries(() => 3);
  await expect.poll(async () => (await registry.node('a')).tunnels).toBe(3);
  await keeper.close();
});

test('one whose database server is away says so once, and once that it is back', async () => {
  const { open, lines, options } = place();
  const registry = open();
  const { beat } = registry;
  const outage = outageLog(options.log);
  const away = unreachable('db1:5432: connect ECONNREFUSED');
  let beats = 0;
  registry.beat = async () => {
    beats++;
    throw away;
  };
  const watched = { ...options, log: outage.log, onBeat: outage.worked };
  const keeper = await keepNode(registry, { name: 'a' }, watched);
  await expect.poll(() => beats).toBeGreaterThan(5);
  expect(lines).toEqual([`error ${away.message}`]);
  registry.beat = beat;
  await expect.poll(() => lines).toHaveLength(2);
  expect(lines[1]).toMatch(
    /^notice the registry answers again after \d+ s; \d+ lines of what failed left out$/,
  );
  await keeper.close();
});

test('whoever follows hears whether devices are to leave, at once and when that changes', async () => {
  const { open, options } = place();
  const registry = open();
  const keeper = await keepNode(registry, { name: 'a' }, options);
  const heard: (string | undefined)[] = [];
  await keeper.followLeaving((why) => heard.push(why));
  expect(heard).toEqual([undefined]);
  const other = await keepNode(open(), { name: 'b' }, options);
  await registry.drainNode('owner', 'b');
  await registry.drainNode('owner', 'a');
  await registry.catchUp();
  expect(heard).toEqual([undefined, 'drain']);
  await registry.resumeNode('owner', 'a');
  await registry.catchUp();
  expect(heard).toEqual([undefined, 'drain', undefined]);
  await other.close();
  await keeper.close();
});

test('devices leave a node whose routes reach no other one, as long as another one is better off', async () => {
  const { open, lines, options } = place();
  const seconds = { now: 0 };
  const looking = { ...options, lookMs: 2, clock: () => seconds.now * 1_000 };
  const registry = open();
  const [a, b] = [
    await keepNode(registry, { name: 'a' }, looking),
    await keepNode(open(), { name: 'b' }, { ...looking, data: scratch() }),
  ];
  const lost = new Set<string>();
  const asked = new Map<string, number>();
  const heard: string[] = [];
  for (const [name, keeper] of Object.entries({ a, b })) {
    await keeper.followLeaving((why) => heard.push(`${name} ${why}`));
    keeper.watchRoutes(async () => {
      asked.set(name, (asked.get(name) ?? 0) + 1);
      return lost.has(name);
    });
  }
  /** Both have looked at how it is now. */
  const looked = async (): Promise<void> => {
    const before = new Map(asked);
    const since = (name: string): number => (asked.get(name) ?? 0) - (before.get(name) ?? 0);
    await expect.poll(() => Math.min(since('a'), since('b'))).toBeGreaterThan(2);
  };
  const stateOf = async (name: string) => (await registry.node(name)).state;
  await looked();
  lost.add('a');
  await looked();
  expect(await stateOf('a')).toBe('routes-lost');
  expect((await registry.node('a')).routesLost).toBeGreaterThan(0);
  expect(heard.splice(0)).toEqual(['a undefined', 'b undefined']);
  seconds.now = 5;
  await looked();
  expect(heard.splice(0)).toEqual(['a routes-lost']);
  // The other one is no better off any more.
  lost.add('b');
  await looked();
  expect(heard.splice(0)).toEqual(['a undefined']);
  seconds.now = 10;
  await looked();
  expect(heard).toEqual([]);
  lost.delete('b');
  await looked();
  expect(heard.splice(0)).toEqual(['a routes-lost']);
  // Nobody goes to one that drains.
  await registry.drainNode('owner', 'b');
  await registry.catchUp();
  await looked();
  await registry.resumeNode('owner', 'b');
  await looked();
  expect(heard.splice(0).filter((each) => each.startsWith('a'))).toEqual(['a undefined', 'a routes-lost']);
  lost.delete('a');
  await looked();
  expect([await stateOf('a'), heard.splice(0)]).toEqual(['serving', []]);
  seconds.now = 15;
  await looked();
  expect(heard.splice(0)).toEqual(['a undefined']);
  expect(lines.filter((line) => /learns? which/.test(line))).toEqual([
    'warning no other node learns which devices are here',
    'warning no other node learns which devices are here',
    'notice other nodes learn which devices are here',
    'notice other nodes learn which devices are here',
  ]);
  await a.close();
  await b.close();
});

test('what is so of its routes a node says at once, and nobody leaves it for itself, or for one without tunnels', async () => {
  const { open, options } = place();
  const seconds = { now: 0 };
  const registry = open();
  const a = await keepNode(
    registry,
    { name: 'a' },
    { ...options, beatMs: 3_600_000, lookMs: 2, clock: () => seconds.now * 1_000 },
  );
  const identity = await keepNode(open('identity'), { name: 'i' }, options);
  const heard: (string | undefined)[] = [];
  await a.followLeaving((why) => heard.push(why));
  let lost = true;
  let looks = 0;
  a.watchRoutes(async () => {
    looks++;
    return lost;
  });
  const looked = async (): Promise<void> => {
    const before = looks;
    await expect.poll(() => looks).toBeGreaterThan(before + 2);
  };
  await looked();
  expect((await registry.node('a')).state).toBe('routes-lost');
  seconds.now = 10;
  await looked();
  expect(heard).toEqual([undefined]);
  const router = await keepNode(open('tunnels'), { name: 'r' }, options);
  await expect.poll(() => heard).toEqual([undefined, 'routes-lost']);
  // It is well again, but not for long; until then the other one would be better off, and is gone.
  lost = false;
  await looked();
  expect((await registry.node('a')).state).toBe('serving');
  expect(heard).toEqual([undefined, 'routes-lost']);
  await router.close();
  await expect.poll(() => heard).toEqual([undefined, 'routes-lost', undefined]);
  for (const keeper of [identity, a]) await keeper.close();
});

test('the oldest node ends what is recorded of one that is lost', async () => {
  const { open, clock, options } = place();
  const registry = open();
  const lost = open();
  await registry.addNetwork('owner', NETWORK, '');
  const address = await registry.admit(applicant(await registry.addGroup('owner', anyGroup())));
  const keeper = await keepNode(registry, { name: 'a' }, options);
  const gone = await keepNode(lost, { name: 'b' }, { ...options, beatMs: 3_600_000 });
  await lost.attach(address, '192.0.2.1');
  expect(registry.lookup(address)?.attached).toEqual({ generation: 1, node: 'b' });
  for (const ms of [5_000, 5_000, 5_000]) {
    clock.now += ms;
    await expect.poll(async () => (await registry.node('a')).seen).toBe(clock.now);
  }
  await expect.poll(() => registry.lookup(address)?.attached).toEqual({ generation: 1 });
  await gone.close();
  await keeper.close();
});
