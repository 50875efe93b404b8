import { expect, onTestFinished, test, vi } from 'vitest';
import {
  type Dependencies,
  openTunnelRoutes,
  RULE_PRIORITY,
  ruleOf,
} from '../../../fabric/host/tunnel-routes.ts';
import type { KernelChange } from '../../../os/linux/netlink.ts';
import type { Change, Rule } from '../../../os/linux/network-config.ts';
import type { MetricRoute, RouteChange, RouteWriter } from '../../../os/linux/route-writer.ts';
import { Failure } from '../../../protocol/failure.ts';
import { formatIpv6, parseIpv6 } from '../../../protocol/ipv6.ts';

const OWN_PORT = 4_711;
const route = (address: string, metric = 100): MetricRoute => ({
  address: parseIpv6(address),
  length: 128,
  metric,
});
const text = ({ address, metric }: MetricRoute): string => `${formatIpv6(address)} ${metric}`;

/** A kernel whose table is a list, and which notifies when it is told to. */
function fakeKernel() {
  const table = new Set<string>();
  const batches: string[][] = [];
  const rules: Rule[] = [{ family: 6, priority: 32_766, table: 254 }];
  const lines: string[] = [];
  let tell: (change: KernelChange) => void = () => {};
  let down = false;
  let reconciliations = 0;
  const refused = (): Failure => new Failure('os.routes-failed', 'retry', 'the network is down');
  const writer: RouteWriter = {
    port: OWN_PORT,
    async change(changes: readonly RouteChange[]) {
      batches.push(changes.map((each) => `${each.remove ? '-' : '+'}${text(each)}`));
      return changes.map((each) => {
        if (down && !each.remove) return refused();
        if (each.remove) table.delete(text(each));
        else table.add(text(each));
        return undefined;
      });
    },
    async reconcile(routes) {
      reconciliations++;
      const wanted = [...routes].map(text);
      const removed = [...table].filter((each) => !wanted.includes(each)).length;
      const added = wanted.filter((each) => !table.has(each)).length;
      if (down && added > 0) return { added: 0, removed: 0, failure: refused() };
      table.clear();
      for (const each of wanted) table.add(each);
      return { added, removed };
    },
    close: () => {},
  };
  const dependencies: Dependencies = {
    kernel: {
      interfaces: async () => [
        { index: 7, name: 'tun9', mac: '', group: 0, mtu: 1_280, up: true, addresses: [] },
      ],
      rules: async () => rules,
      async change(change: Change) {
        if (change.kind === 'add-rule') rules.push(change.rule);
        if (change.kind === 'remove-rule')
          rules.splice(
            rules.findIndex(({ priority }) => priority === RULE_PRIORITY),
            1,
          );
      },
    },
    watch: (_, onChange) => {
      tell = onChange;
      return { close: () => {} };
    },
    open: () => writer,
  };
  return {
    table,
    batches,
    rules,
    lines,
    dependencies,
    tell: (change: KernelChange) => tell(change),
    fail: (is: boolean) => {
      down = is;
    },
    reconciliations: () => reconciliations,
    open: () =>
      openTunnelRoutes(
        'tun9',
        { table: 100, protocol: 77 },
        (level, line) => lines.push(`${level} ${line}`),
        dependencies,
      ),
  };
}
const changed = (more: Partial<Extract<KernelChange, { kind: 'route' }>> = {}): KernelChange => ({
  ...{ kind: 'route', table: 100, index: 7, protocol: 77, port: 9 },
  ...more,
});

test('what is asked for in one turn goes to the kernel together, in its order', async () => {
  const kernel = fakeKernel();
  const routes = await kernel.open();
  const added = [routes.add(route('fd00::1')), routes.add(route('fd00::2'))];
  routes.remove(route('fd00::1'));
  await Promise.all(added);
  expect(kernel.batches).toEqual([['+fd00::1 100', '+fd00::2 100', '-fd00::1 100']]);
  expect(routes.serving()).toEqual({ table: 100, protocol: 77, routes: 1, failing: null });
  await routes.close();
  expect([...kernel.table]).toEqual([]);
});

test('a route that was added twice goes with the second of them', async () => {
  const kernel = fakeKernel();
  const routes = await kernel.open();
  await Promise.all([routes.add(route('fd00::1')), routes.add(route('fd00::1'))]);
  routes.remove(route('fd00::1'));
  await routes.add(route('fd00::2'));
  expect([...kernel.table]).toEqual(['fd00::1 100', 'fd00::2 100']);
  routes.remove(route('fd00::1'));
  routes.remove(route('fd00::1'));
  await routes.add(route('fd00::3'));
  expect([...kernel.table]).toEqual(['fd00::2 100', 'fd00::3 100']);
  await routes.close();
});

test('one that fails is told, and tried again until it is removed', async () => {
  const kernel = fakeKernel();
  const routes = await kernel.open();
  kernel.fail(true);
  await expect(routes.add(route('fd00::1'))).rejects.toMatchObject({ code: 'os.routes-failed' });
  await expect(routes.add(route('fd00::2'))).rejects.toMatchObject({ code: 'os.routes-failed' });
  routes.remove(route('fd00::2'));
  await expect.poll(() => routes.serving().failing).toBe('the network is down');
  expect(kernel.lines).toEqual([
    'error the routes of tunnels in table 100 cannot be restored: the network is down',
  ]);
  kernel.fail(false);
  await expect.poll(() => [...kernel.table]).toEqual(['fd00::1 100']);
  await expect.poll(() => routes.serving().failing).toBeNull();
  await routes.close();
});

test('changes of others are undone, its own and those elsewhere cause no work', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  // What another program changes is restored within two seconds.
  const pass = () => vi.advanceTimersByTimeAsync(2_000);
  const kernel = fakeKernel();
  const routes = await kernel.open();
  await routes.add(route('fd00::1'));
  const before = kernel.reconciliations();
  for (const change of [
    changed({ port: OWN_PORT }),
    changed({ table: 254 }),
    changed({ protocol: 12 }),
    { kind: 'link', index: 3, running: true },
    { kind: 'address', index: 7 },
  ] satisfies KernelChange[])
    kernel.tell(change);
  await pass();
  expect(kernel.reconciliations()).toBe(before);
  kernel.table.clear();
  kernel.tell(changed());
  await pass();
  expect([...kernel.table]).toEqual(['fd00::1 100']);
  kernel.rules.pop();
  kernel.tell({ kind: 'rule' });
  await pass();
  expect(kernel.rules).toContainEqual(ruleOf({ table: 100 }));
  expect(kernel.lines[0]).toBe('warning table 100 was changed by another program, and is restored: 1 route');
  await routes.close();
  expect(kernel.rules).toHaveLength(1);
});

test('what an earlier process left is removed, and its rule is taken over', async () => {
  const kernel = fakeKernel();
  kernel.table.add('fd00::9 100');
  kernel.rules.push(ruleOf({ table: 100 }));
  const routes = await kernel.open();
  expect(kernel.lines).toEqual(['notice removed 1 route that an earlier process left in table 100']);
  expect(kernel.rules).toHaveLength(2);
  await routes.close();
});
