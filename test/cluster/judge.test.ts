import { describe, expect, test } from 'vitest';
import { changed, faultyAddresses, longestOutage, propagation, quantile } from './judge.ts';
import { failed, type Row, tableOf } from './table.ts';
import { PROTOCOL, type RouteEvent, type Way } from './watch.ts';

test('a quantile is one of the values', () => {
  const values = Array.from({ length: 200 }, (_, i) => 200 - i);
  expect([0.5, 0.99, 1].map((q) => quantile(values, q))).toEqual([100, 198, 200]);
  expect([quantile([7], 0.99), quantile([], 0.99)]).toEqual([7, 0]);
});

describe('how long a route is on its way', () => {
  const LINKS = new Map([
    ['a', 'fd99::1'],
    ['b', 'fd99::2'],
    ['c', 'fd99::3'],
  ]);
  const DEVICE = 'fd00:1::d';
  const begins = (node: string, at: number): RouteEvent => ({
    ...{ node, at, added: true, protocol: PROTOCOL.fabric, metric: 101, address: DEVICE, gateway: '::' },
  });
  const learns = (node: string, from: string, at: number): RouteEvent => ({
    ...{ node, at, added: true, protocol: PROTOCOL.bird, metric: 32, address: DEVICE },
    gateway: LINKS.get(from)!,
  });

  test('is taken from the node of the tunnel to each other one', () => {
    const events = [begins('a', 10), learns('b', 'a', 12), learns('c', 'a', 15)];
    expect(propagation(events, LINKS, 0, 100)).toEqual({ samples: [2, 5], missing: 0 });
    expect(propagation(events, LINKS, 11, 100).samples).toEqual([]);
    expect(propagation(events, LINKS, 0, 10).samples).toEqual([]);
  });

  test('is nothing if the other one was read first', () => {
    const events = [begins('a', 10), learns('b', 'a', 9), learns('c', 'a', 11)];
    expect(propagation(events, LINKS, 0, 100)).toEqual({ samples: [0, 1], missing: 0 });
  });

  test('does not count the route to the tunnel before, and one that never comes is missing', () => {
    const before = [begins('b', 1), learns('a', 'b', 2), learns('c', 'b', 2)];
    const events = [...before, begins('a', 10), learns('b', 'a', 11)];
    expect(propagation(events, LINKS, 5, 100)).toEqual({ samples: [1], missing: 1 });
    // A newer tunnel was in its way.
    const next = [...events, begins('c', 12), learns('a', 'c', 13), learns('b', 'c', 14)];
    expect(propagation(next, LINKS, 5, 100)).toEqual({ samples: [1, 1, 2], missing: 0 });
  });
});

test('a tunnel is another one by its node, or by its number', () => {
  const at = (node: string, metric: number) => ({ node, metric, at: 0 });
  const before = new Map([
    ['same', at('a', 101)],
    ['moved', at('a', 101)],
    ['again', at('a', 101)],
    ['gone', at('a', 101)],
  ]);
  const now = new Map([
    ['same', at('a', 101)],
    ['moved', at('b', 101)],
    ['again', at('a', 102)],
  ]);
  expect(changed(before.keys(), before, now)).toEqual(['moved', 'again', 'gone']);
});

test('an outage is as long as the pings in a row that were lost', () => {
  const way = (destination: string, periodMs: number): Way => ({
    ...{ kind: 'host', source: '::', destination, periodMs },
  });
  const [fast, slow] = [way('fd00::1', 500), way('fd00::2', 1_000)];
  const lost = [0, 500, 2_000, 2_500, 3_000].map((at) => ({ way: fast, at }));
  expect(longestOutage([])).toBe(0);
  expect(longestOutage(lost)).toBe(1_500);
  expect(longestOutage([...lost, { way: slow, at: 0 }, { way: slow, at: 1_000 }])).toBe(2_000);
});

test('an address of two devices is found, and a device with two addresses', () => {
  const answers = (...pairs: readonly (readonly [string, string])[]) =>
    pairs.map(([name, address]) => ({ agent: { name }, address }));
  expect(faultyAddresses(answers(['1', 'fd00::1'], ['2', 'fd00::2'], ['1', 'fd00::1']))).toEqual([]);
  expect(faultyAddresses(answers(['1', 'fd00::1'], ['2', 'fd00::1']))).toEqual(['fd00::1 of 1 and 2']);
  expect(faultyAddresses(answers(['1', 'fd00::1'], ['1', 'fd00::2']))).toEqual([
    '1 had fd00::1 and got fd00::2',
  ]);
});

test('the table has a line for each check, and says what did not hold', () => {
  const rows: Row[] = [
    {
      done: 'kill -9',
      checks: [
        { must: 'back within 10 s', measured: '1.1 s', holds: true },
        { must: 'no ping is lost', measured: '3 lost', holds: false },
        { must: 'load', measured: '7' },
      ],
    },
  ];
  expect(tableOf(rows).split('\n')).toEqual([
    '| what was done | what must hold | measured | held |',
    '|---|---|---|---|',
    '| kill -9 | back within 10 s | 1.1 s | yes |',
    '|  | no ping is lost | 3 lost | **no** |',
    '|  | load | 7 |  |',
  ]);
  expect(failed(rows)).toEqual(['kill -9: no ping is lost: 3 lost']);
});
