import { expect, test } from 'vitest';
import { metricOf, type RouteSink, type TunnelRoute } from '../../../../fabric/router/session-routes.ts';
import { formatPrefix } from '../../../../protocol/ipv6.ts';
import { activeDevice, admitted, connect, fakeAdmission, HERE, OURS, testRouter, until } from '../fixture.ts';

/** A sink that records, and lets a route wait or fail. */
function fakeSink(history: string[]) {
  const waiting: { readonly add: () => void; readonly fail: () => void }[] = [];
  const sink = { holds: false, waiting, sink: undefined as unknown as RouteSink };
  const text = (route: TunnelRoute): string => `${formatPrefix(route)} ${route.metric}`;
  sink.sink = {
    add(route) {
      history.push(`adds ${text(route)}`);
      if (!sink.holds) return Promise.resolve();
      return new Promise<void>((add, reject) =>
        waiting.push({ add, fail: () => reject(new Error('the network is down')) }),
      );
    },
    remove: (route) => void history.push(`removes ${text(route)}`),
  };
  return sink;
}

async function node() {
  const admission = fakeAdmission();
  const { history } = admission;
  const routes = fakeSink(history);
  const lines: string[] = [];
  const router = await testRouter(admission, { node: HERE, routes: routes.sink, lines });
  const device = await activeDevice(admission, 'fd00:1::1');
  return { admission, router, device, routes, lines };
}
const D = 'fd000001000000000000000000000001';

test('a tunnel begins once its route is there, and takes it along', async () => {
  const { admission, router, device, routes } = await node();
  routes.holds = true;
  const peer = await connect(router, device, OURS);
  await until(() => routes.waiting.length === 1);
  expect(router.sessions()).toEqual([]);
  expect(admission.history).toEqual([`attaches ${D} 1`, 'adds fd00:1::1/128 101']);
  routes.waiting[0]!.add();
  await until(() => router.sessions().length === 1);
  peer.close();
  await peer.ending;
  await until(() => router.sessions().length === 0);
  expect(admission.history.slice(2)).toEqual([`+${D} 1`, 'removes fd00:1::1/128 101', `-${D} 1`]);
  await router.close();
});

test('the route of a newer tunnel is there before that of the older one goes', async () => {
  const { admission, router, device } = await node();
  const older = await admitted(router, device);
  await admitted(router, device);
  await older.ending;
  expect(admission.history.slice(3)).toEqual([
    `attaches ${D} 2`,
    'adds fd00:1::1/128 102',
    'removes fd00:1::1/128 101',
    `-${D} 1`,
    `+${D} 2`,
  ]);
  await router.close();
  expect(admission.history.slice(-2)).toEqual(['removes fd00:1::1/128 102', `-${D} 2`]);
});

test('a device that is attached elsewhere, or banned, is led here no more', async () => {
  const { admission, router, device } = await node();
  const moved = await admitted(router, device, OURS);
  admission.attachElsewhere(device);
  await moved.ending;
  expect(admission.history.at(-2)).toBe('removes fd00:1::1/128 101');
  const banned = await admitted(router, device, OURS);
  admission.set(device, 'banned');
  await banned.ending;
  expect(admission.history.at(-2)).toBe('removes fd00:1::1/128 103');
  await router.close();
});

test('without its route there is no tunnel, and the device comes later', async () => {
  const { admission, router, device, routes, lines } = await node();
  routes.holds = true;
  const peer = await connect(router, device, OURS);
  await until(() => routes.waiting.length === 1);
  routes.waiting[0]!.fail();
  expect(await peer.ending).toMatchObject({ verdict: { kind: 'retry-after' } });
  expect(admission.history.slice(2)).toEqual(['removes fd00:1::1/128 101', `detaches ${D} 1`]);
  expect(lines).toContain('error device fd00:1::1 cannot be attached: the network is down');
  await router.close();
});

test('whoever is gone, banned or elsewhere while the route is made gets none', async () => {
  const { admission, router, device, routes } = await node();
  routes.holds = true;
  const gone = await connect(router, device);
  await until(() => routes.waiting.length === 1);
  gone.raw.destroy();
  const banned = await connect(router, device, OURS);
  await until(() => routes.waiting.length === 2);
  const elsewhere = await connect(router, device, OURS);
  await until(() => routes.waiting.length === 3);
  admission.attachElsewhere(device);
  routes.waiting[2]!.add();
  expect(await elsewhere.ending).toEqual({ how: 'orderly' });
  admission.set(device, 'banned');
  routes.waiting[1]!.add();
  expect(await banned.ending).toMatchObject({ verdict: { kind: 'banned' } });
  await router.settled();
  expect(router.sessions()).toEqual([]);
  const removed = (): string[] => admission.history.filter((line) => line.startsWith('removes'));
  expect(removed()).toEqual(['removes fd00:1::1/128 103', 'removes fd00:1::1/128 102']);
  await router.close();
});

test('the /64 of a device is led here with its address', async () => {
  const { admission, router, device, routes } = await node();
  const set = (delegated: string): void => admission.set(device, 'active', 'fd00:1::/64', { delegated });
  set('fd00:9:0:1::/64');
  const peer = await admitted(router, device);
  set('fd00:9:0:2::/64');
  set('none');
  set('fd00:9:0:3::/64');
  peer.close();
  await peer.ending;
  await until(() => router.sessions().length === 0);
  expect(admission.history.filter((line) => /^(adds|removes)/.test(line))).toEqual([
    'adds fd00:1::1/128 101',
    'adds fd00:9:0:1::/64 101',
    'removes fd00:9:0:1::/64 101',
    'adds fd00:9:0:2::/64 101',
    'removes fd00:9:0:2::/64 101',
    'adds fd00:9:0:3::/64 101',
    'removes fd00:9:0:3::/64 101',
    'removes fd00:1::1/128 101',
  ]);
  expect(routes.waiting).toEqual([]);
  await router.close();
});

test('metrics are what BIRD can take for its preference, and begin again', () => {
  expect([0, 1, 65_435, 65_436, 65_437].map(metricOf)).toEqual([100, 101, 65_535, 100, 101]);
});
