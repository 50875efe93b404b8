import { BlockList, isIP } from 'node:net';
import { parseIpv6 } from '../../protocol/ipv6.ts';

/** Addresses that are registered nowhere (RFC 6890): databases know nothing of them, or something that is wrong. */
const NOWHERE: readonly (readonly [network: string, length: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
  ['::', 127],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
];

const nowhere = new BlockList();
for (const [network, length] of NOWHERE)
  nowhere.addSubnet(network, length, network.includes(':') ? 'ipv6' : 'ipv4');

/** Is the address, which `unwrapped` has returned, registered nowhere: private, loopback, documentation and the like? */
export function isSpecial(address: string): boolean {
  return nowhere.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/** ::ffff:0:0/96 (RFC 4291), 64:ff9b::/96 (NAT64, RFC 6052) */
const WRAPPERS = [parseIpv6('::ffff:0:0'), parseIpv6('64:ff9b::')];

/** An address as databases have it: without zone, an IPv4 address inside IPv6 as itself. Undefined if it is none. */
export function unwrapped(address: string): string | undefined {
  const bare = address.split('%', 1)[0]!;
  if (isIP(bare) !== 6) return isIP(bare) === 4 ? bare : undefined;
  const bytes = parseIpv6(hexTail(bare));
  const wrapped = WRAPPERS.some((wrapper) => wrapper.subarray(0, 12).every((byte, i) => byte === bytes[i]));
  return wrapped ? bytes.subarray(12).join('.') : bare;
}

/** The address with its last 32 bits in hex, where they are written as IPv4: `::ffff:192.0.2.1`. */
const hexTail = (address: string): string =>
  address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((half) => half.toString(16)).join(':'),
  );
