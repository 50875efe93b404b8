import {
  CHANGED,
  hexOf,
  ipv6,
  named,
  orNull,
  prefix,
  type Shown,
  shown,
  whether,
  words,
} from '../contract/output.ts';

/** Of a network. */
export const POOL = orNull(
  prefix('The prefix out of which /64s are delegated to its devices; null: none are.'),
);

export const PoolView = shown({ prefix: prefix('The network.'), pool: POOL });
export type PoolView = Shown<typeof PoolView>;

const GRANTED = whether('Is one granted?');

export const GroupGrantView = shown({
  gid: hexOf(32, 'The id of the group.'),
  name: words('Its name.', 'batch 7'),
  granted: GRANTED,
  changed: CHANGED,
});
export type GroupGrantView = Shown<typeof GroupGrantView>;

export const DeviceGrantView = shown({
  address: ipv6('The address of the device.'),
  granted: GRANTED,
  delegated: orNull(
    prefix(
      'The /64 that it has for the machines behind it; null: none, or it gets one of those of its group when it has a tunnel.',
    ),
  ),
  changed: CHANGED,
});
export type DeviceGrantView = Shown<typeof DeviceGrantView>;

export const DelegationView = named('Delegation', "A /64 that is a device's, for the machines behind it.", {
  prefix: prefix(),
  address: ipv6('The address of the device.'),
  name: orNull(words('The name of the device; null: it has none.', 'gateway-3')),
  inForce: whether("Is it granted? Else it is nobody's, and kept for the device."),
});
export type DelegationView = Shown<typeof DelegationView>;
