import { expect, test } from 'vitest';
import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { parsePrefix } from '../../../protocol/ipv6.ts';
import { encodePrefixMessage, parsePrefixMessage } from '../../../protocol/tunnel/prefix.ts';

const PREFIX = parsePrefix('fd00:8f80:9000:7::/64');

test('the bytes are those of docs/wire.md', () => {
  expect(toHex(encodePrefixMessage({ prefix: PREFIX }))).toBe('f602fd008f8090000007');
  expect(toHex(encodePrefixMessage({ prefix: undefined }))).toBe('f601');
});

test('what is encoded is read again', () => {
  for (const prefix of [PREFIX, parsePrefix('2001:db8:1:2::/64'), undefined])
    expect(parsePrefixMessage(encodePrefixMessage({ prefix }))).toEqual({ prefix });
});

test.each([
  ['nothing', ''],
  ['another message', 'f501'],
  ['no kind', 'f6'],
  ['a kind of later', 'f603'],
  ['none, and more', 'f60100'],
  ['a prefix that is cut off', 'f602fd008f80900000'],
  ['a prefix, and more', 'f602fd008f809000000700'],
  ['a link-local prefix', 'f602fe80000000000000'],
  ['multicast', 'f602ff02000000000000'],
  ['the unspecified prefix', 'f6020000000000000000'],
  ['IPv4 in IPv6', 'f602000000000000ffff'],
])('%s is ignored', (_, hex) => {
  expect(parsePrefixMessage(fromHex(hex))).toBeUndefined();
});

test('of any bytes nothing comes but a /64 for machines', () => {
  for (let first = 0; first < 256; first++) {
    for (let length = 0; length < 20; length++) {
      const packet = new Uint8Array(length).fill(first);
      packet.set([0xf6, 2].slice(0, length));
      const found = parsePrefixMessage(packet)?.prefix;
      const isUnicast = (first & 0xe0) === 0x20 || (first & 0xfe) === 0xfc;
      expect(found !== undefined).toBe(length === 10 && isUnicast);
      if (found !== undefined) expect(found.address.subarray(8)).toEqual(new Uint8Array(8));
    }
  }
});
