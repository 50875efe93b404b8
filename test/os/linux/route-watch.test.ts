import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { KernelChange, watchKernel } from '../../../os/linux/netlink.ts';
import { SETTLE_MS, watchRoute } from '../../../os/linux/route-watch.ts';

/** A kernel of the test: what it tells, and the way it knows. */
function world(known: readonly string[] = []) {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  let tell: (change: KernelChange) => void = () => {};
  let closed = false;
  const ways = new Map<string, string>();
  const asked = new Set<string>();
  const watch: typeof watchKernel = (_, onChange) => {
    tell = onChange;
    return {
      close() {
        closed = true;
      },
    };
  };
  const source = (address: string): string | undefined => {
    asked.add(address);
    return ways.get(address);
  };
  let changes = 0;
  const path = watchRoute(
    { hosts: ['enf.example', '203.0.113.7'], mark: 0, watch, source, known: () => known },
    () => changes++,
  );
  return {
    path,
    ways,
    asked,
    tell: (...each: KernelChange[]) => {
      for (const change of each) tell(change);
      vi.advanceTimersByTime(SETTLE_MS);
    },
    changes: () => changes,
    closed: () => closed,
  };
}

const route: KernelChange = { kind: 'route', table: 254, index: 2, protocol: 3, port: 0 };

test('[H-C8] only literal hosts, known addresses and "anywhere" are asked for, and no addresses for documentation', () => {
  const { asked } = world(['198.51.100.9']);
  expect([...asked].slice(0, 2)).toEqual(['203.0.113.7', '198.51.100.9']);
  const anywhere = [...asked].slice(2);
  expect(anywhere.filter((each) => each.includes(':')).length).toBeGreaterThan(0);
  expect(anywhere.filter((each) => each.includes('.')).length).toBeGreaterThan(0);
  for (const each of anywhere)
    expect(each).not.toMatch(/^(192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|2001:db8:|3fff:)/);
});

test('[H-C8] a way to an address that a name has is a change; an address that becomes known is none', () => {
  const known: string[] = [];
  const { tell, ways, changes } = world(known);
  known.push('2001:db8:7::1');
  ways.set('2001:db8:7::1', 'fd00::2');
  tell(route);
  expect(changes()).toBe(0);
  ways.clear();
  tell(route);
  expect(changes()).toBe(1);
  ways.set('2001:db8:7::1', 'fd00::3');
  tell(route);
  expect(changes()).toBe(2);
});

test('[C-1] a new route is reported once, however many messages it causes', () => {
  const { tell, ways, changes } = world();
  ways.set('203.0.113.7', '10.0.0.2');
  tell(route, { kind: 'address', index: 2 }, route, route);
  expect(changes()).toBe(1);
  tell(route);
  expect(changes()).toBe(1);
});

test('[C-10] another source address is reported, and so is a lost route', () => {
  const { tell, ways, changes } = world();
  ways.set('198.41.0.4', '10.0.0.2');
  tell(route);
  ways.set('198.41.0.4', '10.1.0.2');
  tell(route);
  ways.clear();
  tell(route);
  expect(changes()).toBe(3);
});

test('changes that do not affect the route are not reported: our own TUN, containers, rules, filters', () => {
  const { tell, ways, changes } = world();
  ways.set('198.41.0.4', '10.0.0.2');
  tell(route);
  const others: KernelChange[] = [
    { kind: 'link', index: 900, running: false },
    { kind: 'link', index: 900, running: true },
    { kind: 'address', index: 900 },
    { kind: 'rule' },
    { kind: 'route', table: 2097, index: 900, protocol: 3, port: 0 },
    { kind: 'filter', table: 'enf_enf0' },
    { kind: 'forwarding' },
    { kind: 'lost' },
  ];
  tell(...others);
  expect(changes()).toBe(1);
});

test('a regained carrier is reported although the addresses are the same', () => {
  const index = Number(readFileSync('/sys/class/net/lo/ifindex', 'latin1'));
  const { tell, ways, changes } = world();
  tell({ kind: 'link', index, running: false });
  tell({ kind: 'link', index, running: true });
  expect(changes()).toBe(0);
  ways.set('198.41.0.4', '10.0.0.2');
  tell(route);
  tell({ kind: 'link', index, running: false });
  expect(changes()).toBe(1);
  tell({ kind: 'link', index, running: true });
  expect(changes()).toBe(2);
  tell({ kind: 'link', index, running: true });
  expect(changes()).toBe(2);
});

test('a closed watch reports nothing', () => {
  const { path, tell, ways, changes, closed } = world();
  ways.set('198.41.0.4', '10.0.0.2');
  path.close();
  expect(closed()).toBe(true);
  tell();
  expect(changes()).toBe(0);
});
