import { expect, test } from 'vitest';
import { missing } from '../../../fabric/host/routes.ts';
import type { Interface, Route } from '../../../os/linux/network-config.ts';
import { parsePrefix } from '../../../protocol/ipv6.ts';

const NETWORKS = [
  { network: parsePrefix('fd00:1::/64'), pool: undefined },
  { network: parsePrefix('fd00:2::/64'), pool: parsePrefix('fd00:9::/48') },
];
const TUN: Interface = {
  index: 7,
  name: 'tun9',
  mac: '',
  group: 0,
  mtu: 1_280,
  up: true,
  addresses: ['fd00:1::1/128', 'fd00:2::1/128'],
};
const route = (destination: string): Route => ({
  family: 6,
  table: 254,
  type: 'unicast',
  destination,
  device: 'tun9',
  metric: 1_024,
});
const ROUTES = ['fd00:1::/64', 'fd00:2::/64', 'fd00:1::1/128', 'fd00:9::/48'].map(route);

const lacks = (tun: Partial<Interface> = {}, routes = ROUTES) =>
  missing('tun9', NETWORKS, {
    interfaces: async () => [
      { ...TUN, name: 'other', index: 3 },
      { ...TUN, ...tun },
    ],
    routes: async () => routes,
  });

test('nothing is lacking where all is as it should be, whatever else is there', async () => {
  expect(await lacks()).toEqual({ index: 7, link: false, networks: [], text: 'nothing' });
});

test('a link that is down or has another MTU, an address, a route', async () => {
  expect(await lacks({ up: false })).toMatchObject({ link: true, networks: [], text: 'the state of tun9' });
  expect(await lacks({ mtu: 1_500 })).toMatchObject({ link: true });
  expect(await lacks({ addresses: ['fd00:1::1/128'] })).toMatchObject({
    networks: [NETWORKS[1]],
    text: 'the address fd00:2::1/128 of tun9',
  });
  expect(await lacks({}, ROUTES.slice(1))).toMatchObject({
    networks: [NETWORKS[0]],
    text: 'the route to fd00:1::/64',
  });
  expect(await lacks({}, ROUTES.slice(0, 3))).toMatchObject({
    networks: [NETWORKS[1]],
    text: 'the route to fd00:9::/48',
  });
  expect(await lacks({ addresses: [] }, [])).toMatchObject({
    networks: NETWORKS,
    text: 'the address fd00:1::1/128 of tun9 (and 1 more)',
  });
});

test('a device that is gone is a failure', async () => {
  await expect(lacks({ name: 'renamed' })).rejects.toMatchObject({ code: 'fabric.tun-gone' });
});
