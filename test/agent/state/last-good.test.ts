import { expect, onTestFinished, test, vi } from 'vitest';
import { addressCache } from '../../../agent/state/address-cache.ts';
import { KEEP_EVERY_MS, keepLastGood, lastGoodOf, withLastGood } from '../../../agent/state/last-good.ts';
import { openStore, type Store } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { Failure } from '../../../protocol/failure.ts';
import { temporaryFolder } from '../folders.ts';

const NOON = Date.parse('2030-01-01T12:00:00Z');

async function keeper(builtMs = 0) {
  const store = await openStore(await openFolder(temporaryFolder()));
  const now = { wallMs: NOON };
  const log: string[] = [];
  const cache = addressCache(async () => ['192.0.2.1'], 1_000, {});
  await cache.lookup('fabric.example');
  const clocks = { wallMs: () => now.wallMs, steadyMs: () => 0, builtMs };
  const keep = (at: Store = store) => {
    const memory = keepLastGood(at, cache, clocks, (_, line) => void log.push(line));
    onTestFinished(() => memory.end());
    return memory;
  };
  return { store, now, log, keep };
}

test('[C-4] [C-7] the time and the addresses are kept when the tunnel is up', async () => {
  const { store, keep } = await keeper();
  keep().begin();
  await expect.poll(() => store.generation).toBe(1);
  expect(lastGoodOf(store.record)).toEqual({
    timeMs: NOON,
    addresses: { 'fabric.example': ['192.0.2.1'] },
  });
});

test('[C-21] at most once a day, however often the tunnel comes and goes', async () => {
  const { store, now, keep } = await keeper();
  const memory = keep();
  for (const [afterMs, generation] of [
    [0, 1],
    [0, 1],
    [KEEP_EVERY_MS - 1, 1],
    [1, 2],
    [1_000, 2],
  ] as const) {
    now.wallMs += afterMs;
    memory.begin();
    await expect.poll(() => lastGoodOf(store.record)).toBeDefined();
    memory.end();
    await expect.poll(() => store.generation).toBe(generation);
  }
});

test('[C-21] a tunnel that is up for days keeps it daily by itself, and writes nothing else', async () => {
  const { store, now, keep } = await keeper();
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let record = {};
  let writes = 0;
  keep({
    ...store,
    get record() {
      return record;
    },
    update: async (change) => {
      record = change(record);
      writes++;
    },
  }).begin();
  for (let hour = 0; hour < 72; hour++) {
    now.wallMs += 3_600_000;
    await vi.advanceTimersByTimeAsync(3_600_000);
  }
  expect(writes).toBe(4);
});

test('a time before the build, or an older future, is not kept as the best known', async () => {
  const early = await keeper(NOON + 1);
  early.keep().begin();
  await early.store.update((record) => record);
  expect(lastGoodOf(early.store.record)).toBeUndefined();

  const healed = await keeper();
  await healed.store.save(withLastGood({}, { timeMs: NOON + 10 * KEEP_EVERY_MS, addresses: {} }));
  healed.keep().begin();
  await expect.poll(() => lastGoodOf(healed.store.record)?.timeMs).toBe(NOON);
});

test('[C-20] a full disk is logged once, and tried again', async () => {
  const { store, log, now, keep } = await keeper();
  let full = true;
  const memory = keep({
    ...store,
    get record() {
      return store.record;
    },
    update: async (change) => {
      if (full) throw new Failure('os.disk-full', 'retry', 'no space left');
      await store.update(change);
    },
  });
  for (let i = 0; i < 3; i++) {
    memory.begin();
    await new Promise(setImmediate);
  }
  expect(log).toEqual([expect.stringContaining('os.disk-full')]);
  full = false;
  now.wallMs++;
  memory.begin();
  await expect.poll(() => lastGoodOf(store.record)?.timeMs).toBe(NOON + 1);
});

test('nonsense in the record is nothing, and the rest of the record stays', () => {
  for (const lastGood of [1, null, {}, { time: 7 }, { time: 'yesterday' }]) {
    expect(lastGoodOf({ lastGood })).toBeUndefined();
  }
  expect(
    lastGoodOf({ lastGood: { time: '2030-01-01T12:00:00Z', addresses: { a: [], b: ['::1'], c: 1 } } }),
  ).toEqual({
    timeMs: NOON,
    addresses: { b: ['::1'] },
  });
  expect(withLastGood({ other: 1 }, { timeMs: NOON, addresses: {} })).toMatchObject({ other: 1 });
});
