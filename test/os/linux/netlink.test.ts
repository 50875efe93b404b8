import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  type KernelChange,
  parseFilterMessages,
  parseRouteMessages,
  sourceTowards,
  watchKernel,
} from '../../../os/linux/netlink.ts';
import { concat, u32le } from '../../../protocol/bytes.ts';
import { run } from '../../native/child.ts';
import { ip } from '../../native/client/link.ts';

// Hand-made messages are little-endian, as are all machines the tests run on.
const u16le = (value: number): Uint8Array => Uint8Array.of(value & 255, value >> 8);
const pad = (bytes: Uint8Array): Uint8Array => concat(bytes, new Uint8Array(-bytes.length & 3));
const message = (type: number, ...parts: Uint8Array[]): Uint8Array => {
  const body = concat(...parts);
  return pad(concat(u32le(16 + body.length), u16le(type), u16le(0), new Uint8Array(8), body));
};
const attribute = (type: number, value: Uint8Array): Uint8Array =>
  pad(concat(u16le(4 + value.length), u16le(type), value));
const text = (value: string): Uint8Array => Uint8Array.from(`${value}\0`, (c) => c.charCodeAt(0));

describe('messages', () => {
  const link = (flags: number): Uint8Array => concat(new Uint8Array(4), u32le(7), u32le(flags), u32le(0));
  const route = (table: number): Uint8Array =>
    concat(new Uint8Array(4), Uint8Array.of(table, 77), new Uint8Array(6));
  const cases: [string, Uint8Array, KernelChange[]][] = [
    ['a link with carrier', message(16, link(0x10001)), [{ kind: 'link', index: 7, running: true }]],
    ['a link that is up only', message(16, link(0x1)), [{ kind: 'link', index: 7, running: false }]],
    ['a link that goes', message(17, link(0x10001)), [{ kind: 'link', index: 7, running: false }]],
    ['an address', message(20, new Uint8Array(4), u32le(3)), [{ kind: 'address', index: 3 }]],
    [
      'a route',
      message(24, route(254), attribute(4, u32le(5))),
      [{ kind: 'route', table: 254, index: 5, protocol: 77, port: 0 }],
    ],
    [
      'a route of a large table',
      message(25, route(252), attribute(15, u32le(2097))),
      [{ kind: 'route', table: 2097, index: undefined, protocol: 77, port: 0 }],
    ],
    ['a rule', message(33, new Uint8Array(12)), [{ kind: 'rule' }]],
    ['forwarding', message(80, new Uint8Array(4)), [{ kind: 'forwarding' }]],
    [
      'two in one',
      concat(message(32), message(20, new Uint8Array(4), u32le(1))),
      [{ kind: 'rule' }, { kind: 'address', index: 1 }],
    ],
    ['a neighbour', message(28, new Uint8Array(12)), []],
    ['a short one', message(16, new Uint8Array(4)), []],
  ];
  for (const [name, bytes, changes] of cases)
    test(name, () => expect(parseRouteMessages(bytes)).toEqual(changes));

  test('nftables objects name their table', () => {
    const rule = message(
      0x0a06,
      new Uint8Array(4),
      attribute(1, text('enf_enf0')),
      attribute(2, text('output')),
    );
    expect(parseFilterMessages(rule)).toEqual([{ kind: 'filter', table: 'enf_enf0' }]);
    expect(parseFilterMessages(message(0x0a0f, new Uint8Array(4)))).toEqual([]);
    expect(parseFilterMessages(message(0x0106, new Uint8Array(4), attribute(1, text('x'))))).toEqual([]);
  });

  test('malformed bytes yield no change', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.integer({ min: 0, max: 120 }), (bytes, length) => {
        const lying = concat(u32le(length), bytes);
        for (const each of [bytes, lying]) {
          expect(Array.isArray(parseRouteMessages(each)) && Array.isArray(parseFilterMessages(each))).toBe(
            true,
          );
        }
      }),
    );
  });
});

test('the kernel reports changes of links, addresses, routes, rules and nftables', async () => {
  const name = `enfn${process.pid % 100_000}`;
  const heard: KernelChange[] = [];
  const kernel = watchKernel(true, (change) => heard.push(change));
  onTestFinished(async () => {
    kernel.close();
    await run('ip', 'link', 'del', name);
    await run('nft', 'delete', 'table', 'inet', name);
    await run('ip', 'rule', 'del', 'priority', '31999');
  });
  await ip('link', 'add', name, 'type', 'veth');
  await ip('link', 'set', name, 'up');
  const [{ ifindex: index }] = JSON.parse(await ip('-j', 'link', 'show', name));
  await ip('addr', 'add', '192.0.2.77/32', 'dev', name);
  await ip('route', 'add', '198.51.100.77/32', 'dev', name, 'table', '4242');
  await ip('rule', 'add', 'priority', '31999', 'to', '203.0.113.9', 'table', '4242');
  await run('nft', 'add', 'table', 'inet', name);
  await vi.waitFor(() => {
    expect(heard).toContainEqual(expect.objectContaining({ kind: 'link', index }));
    expect(heard).toContainEqual({ kind: 'address', index });
    expect(heard).toContainEqual(expect.objectContaining({ kind: 'route', table: 4242, index, protocol: 3 }));
    expect(heard).toContainEqual({ kind: 'rule' });
    expect(heard).toContainEqual({ kind: 'filter', table: name });
  }, 10_000);
  kernel.close();
  const count = heard.length;
  await ip('link', 'del', name);
  expect(heard).toHaveLength(count);
});

/** The netlink sockets of this process that hear of routes. */
function sockets(): number {
  const own = new Set(
    readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? [];
      } catch {
        return []; // the folder's own
      }
    }),
  );
  const rows = readFileSync('/proc/self/net/netlink', 'latin1').trim().split('\n').slice(1);
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter((row) => row[1] === '0' && row[3] !== '00000000' && own.has(row.at(-1)!)).length;
}

test('all who listen share a socket, and each hears until it ends', async () => {
  const name = `enfs${process.pid % 100_000}`;
  const heard: [KernelChange[], KernelChange[]] = [[], []];
  const before = sockets();
  const first = watchKernel(false, (change) => heard[0].push(change));
  // It ends while the first one is told.
  const second = watchKernel(true, (change) => {
    heard[1].push(change);
    second.close();
    second.close();
  });
  onTestFinished(async () => {
    first.close();
    await run('ip', 'link', 'del', name);
  });
  expect(sockets()).toBe(before + 1);
  await ip('link', 'add', name, 'type', 'veth');
  await vi.waitFor(() => expect(heard[1]).toHaveLength(1), 10_000);
  const count = heard[0].length;
  await ip('link', 'set', name, 'up');
  await vi.waitFor(() => expect(heard[0].length).toBeGreaterThan(count), 10_000);
  expect(heard[1]).toHaveLength(1);
  expect(sockets()).toBe(before + 1);
  first.close();
  expect(sockets()).toBe(before);
  // And whoever begins anew hears.
  const third = watchKernel(false, (change) => heard[1].push(change));
  await ip('link', 'set', name, 'down');
  await vi.waitFor(() => expect(heard[1].length).toBeGreaterThan(1), 10_000);
  third.close();
});

test('the source towards an address, without sending anything', () => {
  expect(sourceTowards('127.0.0.1', 0)).toBe('127.0.0.1');
  expect(sourceTowards('::1', 77)).toBe('::1');
  expect(() => sourceTowards('example.net', 0)).toThrow(TypeError);
});
