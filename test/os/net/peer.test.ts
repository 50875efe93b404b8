import { expect, test } from 'vitest';
import { peerAddress, prefixesOf, sourceOf } from '../../../os/net/peer.ts';

test('a peer is shown without zone, and as IPv4 if its address is mapped', () => {
  expect(peerAddress('::ffff:192.0.2.1')).toBe('192.0.2.1');
  expect(peerAddress('fe80::1%eth0')).toBe('fe80::1');
  expect(peerAddress(undefined)).toBe('unknown');
});

test('a source is an IPv4 address, mapped or not, or the /64 of an IPv6 address', () => {
  expect(sourceOf('192.0.2.1')).toBe('192.0.2.1');
  expect(sourceOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
  expect(sourceOf('2001:db8:0:1::5')).toBe('20010db800000001/64');
  expect(sourceOf('2001:db8:0:1:ffff::6')).toBe(sourceOf('2001:db8:0:1::5'));
  expect(sourceOf('2001:db8:0:2::5')).not.toBe(sourceOf('2001:db8:0:1::5'));
  expect(sourceOf('fe80::1%eth0')).toBe('fe80000000000000/64');
  expect(sourceOf(undefined)).toBe('unknown');
  expect(sourceOf('64:ff9b::192.0.2.1')).toBe('unknown');
});

test('[H-A2] the prefixes that a source is counted by', () => {
  expect(prefixesOf('192.0.2.1')).toEqual(['192.0.2/24', '192.0.2.1']);
  expect(prefixesOf('::ffff:192.0.2.1')).toEqual(prefixesOf('192.0.2.1'));
  expect(prefixesOf('2001:db8:a0b1:c2d3::5')).toEqual([
    '20010db8a0/40',
    '20010db8a0b1/48',
    '20010db8a0b1c2/56',
    '20010db8a0b1c2d3/64',
  ]);
  expect(prefixesOf(undefined)).toEqual(['unknown']);
  for (const peer of ['192.0.2.1', '2001:db8::1', 'fe80::1%eth0', 'unknown'])
    expect(prefixesOf(peer).at(-1)).toBe(sourceOf(peer));
});
