import { expect, test } from 'vitest';
import { peerAddress, sourceOf } from '../../../os/net/peer.ts';

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
