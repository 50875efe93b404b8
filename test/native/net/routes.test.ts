import { endianness } from 'node:os';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addon } from '../../../native/index.ts';
import type { Reconciled, RoutesHandle } from '../../../native/net/routes.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { descriptors, run, runChild } from '../child.ts';
import { ip } from '../client/link.ts';

const PROTOCOL = 77;
/** `ip` is not ours to sanitize. */
const PLAIN = ['env', '-u', 'LD_PRELOAD'] as const;
const ERRNO = { ENODEV: 19, ENETDOWN: 100 };
/** Tables and interfaces that no other run has. */
const table = 100_000 + (process.pid % 100_000);
const device = `enfr${process.pid % 100_000}`;
const other = `enfs${process.pid % 100_000}`;

interface Entry {
  readonly to: string;
  readonly length?: number;
  readonly metric: number;
  readonly remove?: boolean;
}

function packed(...entries: readonly Entry[]): Uint8Array {
  const bytes = new Uint8Array(24 * entries.length);
  for (const [i, { to, length = 128, metric, remove = false }] of entries.entries()) {
    bytes.set(parseIpv6(to), 24 * i);
    bytes[24 * i + 16] = length;
    bytes[24 * i + 17] = remove ? 1 : 0;
    new DataView(bytes.buffer).setUint32(24 * i + 20, metric, endianness() === 'LE');
  }
  return bytes;
}

let routes: RoutesHandle;
const change = (...entries: readonly Entry[]): Promise<number[]> =>
  new Promise((resolve, reject) =>
    addon().routesChange(routes, packed(...entries), (error, outcomes) =>
      outcomes === undefined ? reject(error) : resolve([...outcomes]),
    ),
  );
const reconcile = (...entries: readonly Entry[]): Promise<Reconciled> =>
  new Promise((resolve, reject) =>
    addon().routesReconcile(routes, packed(...entries), (error, done) =>
      done === undefined ? reject(error) : resolve(done),
    ),
  );
/** What the kernel has: "destination dev metric", of the protocol unless another is given. */
async function kernelHas(protocol = PROTOCOL): Promise<string[]> {
  const { stdout } = await run(...PLAIN, 'ip', '-j', '-N', '-6', 'route', 'show', 'table', String(table));
  const list = JSON.parse(stdout || '[]') as { dst: string; dev: string; metric: number; protocol: string }[];
  return list
    .filter((each) => Number(each.protocol) === protocol)
    .map(({ dst, dev, metric }) => `${dst} ${dev} ${metric}`)
    .sort();
}

beforeEach(async () => {
  await ip('link', 'add', device, 'type', 'veth', 'peer', 'name', other);
  await ip('link', 'set', device, 'up');
  await ip('link', 'set', other, 'up');
  routes = addon().routesOpen(device, table, PROTOCOL);
});
afterEach(async () => {
  addon().routesClose(routes);
  await run(...PLAIN, 'ip', 'link', 'del', device);
});

test('routes are added, replaced by ones with another metric, and removed', async () => {
  expect(
    await change({ to: 'fd00:77::1', metric: 100 }, { to: 'fd00:78::', length: 64, metric: 101 }),
  ).toEqual([0, 0]);
  expect(await kernelHas()).toEqual([`fd00:77::1 ${device} 100`, `fd00:78::/64 ${device} 101`]);
  expect(
    await change({ to: 'fd00:77::1', metric: 200 }, { to: 'fd00:77::1', metric: 100, remove: true }),
  ).toEqual([0, 0]);
  expect(await kernelHas()).toEqual([`fd00:77::1 ${device} 200`, `fd00:78::/64 ${device} 101`]);
  // Once more is no error, neither is removing what is not there.
  expect(
    await change({ to: 'fd00:77::1', metric: 200 }, { to: 'fd00:77::9', metric: 5, remove: true }),
  ).toEqual([0, 0]);
  expect(
    await change(
      { to: 'fd00:77::1', metric: 200, remove: true },
      { to: 'fd00:78::', length: 64, metric: 101, remove: true },
    ),
  ).toEqual([0, 0]);
  expect(await kernelHas()).toEqual([]);
});

test('of many routes each one has its outcome', async () => {
  const many = Array.from({ length: 1_000 }, (_, i) => ({
    to: `fd00:77::1:${i.toString(16)}`,
    metric: 100 + i,
  }));
  expect(await change(...many)).toEqual(many.map(() => 0));
  expect(await kernelHas()).toHaveLength(1_000);
  await ip('link', 'set', device, 'down');
  // What is not there is removed, what leads through a device that is down is not added: in turns.
  const mixed = many.map((each, i) => ({ ...each, remove: i % 2 === 0 }));
  expect(await change(...mixed)).toEqual(mixed.map(({ remove }) => (remove ? 0 : ERRNO.ENETDOWN)));
  await ip('link', 'set', device, 'up');
  expect(await reconcile(...many)).toEqual({ added: 1_000, removed: 0, failed: 0 });
  expect(await reconcile()).toEqual({ added: 0, removed: 1_000, failed: 0 });
  expect(await kernelHas()).toEqual([]);
});

test('reconciling restores what is gone, removes what is not wanted, and leaves what is of others', async () => {
  await change({ to: 'fd00:77::1', metric: 100 }, { to: 'fd00:77::2', metric: 100 });
  const route = ['-6', 'route', 'add', 'table', String(table)];
  // Of another program: BIRD; and what a process before this one has left, through another device and none.
  await ip(...route, 'fd00:77::3/128', 'dev', device, 'proto', '12', 'metric', '32');
  await ip(...route, 'fd00:77::4/128', 'dev', other, 'proto', String(PROTOCOL), 'metric', '100');
  await ip(...route, 'unreachable', 'fd00:77::5/128', 'proto', String(PROTOCOL), 'metric', '7');
  await ip('-6', 'route', 'del', 'fd00:77::1/128', 'table', String(table));
  const wanted = [
    { to: 'fd00:77::1', metric: 100 },
    { to: 'fd00:77::2', metric: 300 },
    { to: 'fd00:77::4', metric: 100 },
  ];
  expect(await reconcile(...wanted)).toEqual({ added: 3, removed: 3, failed: 0 });
  expect(await kernelHas()).toEqual([
    `fd00:77::1 ${device} 100`,
    `fd00:77::2 ${device} 300`,
    `fd00:77::4 ${device} 100`,
  ]);
  expect(await kernelHas(12)).toEqual([`fd00:77::3 ${device} 32`]);
  expect(await reconcile(...wanted)).toEqual({ added: 0, removed: 0, failed: 0 });
});

test('what the kernel does not take is told', async () => {
  await ip('link', 'set', device, 'down');
  expect(await change({ to: 'fd00:77::1', metric: 100 })).toEqual([ERRNO.ENETDOWN]);
  const { failed, error } = await reconcile({ to: 'fd00:77::1', metric: 100 });
  expect(failed).toBe(1);
  expect(error).toMatchObject({ code: 'ENETDOWN' });
  await ip('link', 'del', device);
  expect(
    await change({ to: 'fd00:77::1', metric: 100 }, { to: 'fd00:77::1', metric: 100, remove: true }),
  ).toEqual([ERRNO.ENODEV, 0]);
  expect(() => addon().routesOpen(device, table, PROTOCOL)).toThrow(
    expect.objectContaining({ code: 'ENODEV' }),
  );
});

test('one piece of work at a time, and none when closed', async () => {
  const first = change({ to: 'fd00:77::1', metric: 100 });
  await expect(change({ to: 'fd00:77::2', metric: 100 })).rejects.toMatchObject({ code: 'EALREADY' });
  addon().routesClose(routes);
  expect(await first).toEqual([0]);
  await expect(change({ to: 'fd00:77::2', metric: 100 })).rejects.toMatchObject({ code: 'EBADF' });
  expect(await kernelHas()).toEqual([`fd00:77::1 ${device} 100`]);
});

test('bad arguments are TypeErrors', () => {
  const { routesOpen, routesChange, routesReconcile, routesPort } = addon();
  const nothing = (): void => {};
  for (const bad of [
    () => routesOpen('much-too-long-a-name', table, PROTOCOL),
    () => routesOpen(device, 0, PROTOCOL),
    () => routesOpen(device, table, 0),
    () => routesOpen(device, table, 256),
    () => routesPort({} as RoutesHandle),
    () => routesChange({} as RoutesHandle, new Uint8Array(0), nothing),
    () => routesChange(routes, new Uint8Array(23), nothing),
    () => routesChange(routes, packed({ to: 'fd00::1', metric: 0 }), nothing),
    () => routesChange(routes, packed({ to: 'fd00::1', length: 0, metric: 1 }), nothing),
    () => routesChange(routes, packed({ to: 'fd00::1', length: 129, metric: 1 }), nothing),
    () => routesChange(routes, new Uint8Array(24 * 65_537), nothing),
    () => routesChange(routes, new Uint8Array(0), undefined as never),
    () => routesReconcile(routes, packed({ to: 'fd00::1', metric: 1, remove: true }), nothing),
  ])
    expect(bad).toThrow(TypeError);
  expect(routesPort(routes)).toBeGreaterThan(0);
});

test('handles that are not closed are when they are collected, also with work under way', async () => {
  const before = descriptors();
  const source = `
    const { readdirSync } = require('node:fs');
    const count = () => readdirSync('/proc/self/fd').length;
    const entry = new Uint8Array(24); entry[0] = 0xfd; entry[16] = 128; entry[17] = 1; entry[20] = 1;
    (async () => {
      const before = count();
      const done = [];
      for (let i = 0; i < 50; i++) {
        let routes = addon.routesOpen(argv[0], Number(argv[1]), 77);
        done.push(new Promise((resolve) => addon.routesChange(routes, entry, resolve)));
        routes = undefined;
      }
      gc();
      const errors = (await Promise.all(done)).filter(Boolean);
      for (let i = 0; i < 5; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 20)); }
      console.log(JSON.stringify({ errors: errors.length, left: count() - before }));
      // The process ends while work is under way.
      addon.routesReconcile(addon.routesOpen(argv[0], Number(argv[1]), 77), new Uint8Array(0), () => {});
      process.exit(0);
    })();`;
  const { code, stdout, stderr } = await runChild(source, device, String(table));
  expect({ code, stderr, out: JSON.parse(stdout) }).toEqual({
    code: 0,
    stderr: '',
    out: { errors: 0, left: 0 },
  });
  expect(descriptors()).toBeLessThan(before + 20);
});
