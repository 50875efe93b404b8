import { expect, test } from 'vitest';
import { keptAddress, keptEndpoint } from '../../../fabric/registry/privacy.ts';

test.each([
  ['192.0.2.77', '192.0.2.0/24'],
  ['::ffff:192.0.2.77', '192.0.2.0/24'],
  ['64:ff9b::192.0.2.77', '192.0.2.0/24'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/48'],
  ['fe80::1%eth0', 'fe80::/48'],
  ['::1', '::/48'],
  ['192.0.2.0/24', '192.0.2.0/24'],
  ['2001:db8:1::/48', '2001:db8:1::/48'],
  ['unknown', ''],
  ['2001:db8::1.2.3.4', ''],
  ['', ''],
])('[H-E23] of %s its network is kept', (address, cut) => {
  expect(keptAddress(address, 'cut')).toBe(cut);
  expect(keptAddress(address, 'whole')).toBe(address);
  expect(keptAddress(address, 'none')).toBe('');
});

test.each([
  ['192.0.2.77:443', '192.0.2.0/24'],
  ['[2001:db8:1:2::3]:443', '2001:db8:1::/48'],
  ['192.0.2.0/24', '192.0.2.0/24'],
  ['unknown:0', ''],
  ['', ''],
])('[H-E23] of %s its network is kept, and no port', (endpoint, cut) => {
  expect(keptEndpoint(endpoint, 'cut')).toBe(cut);
  expect(keptEndpoint(endpoint, 'whole')).toBe(endpoint);
  expect(keptEndpoint(endpoint, 'none')).toBe('');
});
