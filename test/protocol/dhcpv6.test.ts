import { describe, expect, test } from 'vitest';
import { concat, fromHex, toHex, u16 } from '../../protocol/bytes.ts';
import {
  encodeAddress,
  encodeAssociation,
  encodeDhcpReply,
  encodeOption,
  encodeStatus,
  parseDhcpRequest,
} from '../../protocol/dhcpv6.ts';
import { formatIpv6, parseIpv6 } from '../../protocol/ipv6.ts';

const DUID = '0001000129c5a2f3020000000007';
const CLIENT = `0001000e${DUID}`;
const SERVER = '0002001200040123456789abcdef0123456789abcdef';
const IA = (addresses = '') =>
  `0003${toHex(u16(12 + addresses.length / 2))}00000007${'00'.repeat(8)}${addresses}`;
const ADDRESS = '00050018fd00000100020003000000000000004200000a8c00001518';
const parse = (hex: string) => parseDhcpRequest(fromHex(hex));

describe('a message of a client', () => {
  test('that solicits: who, which interface, and what else it asks for', () => {
    // Client, ORO (23, 24, 32, 82), elapsed time, rapid commit, IA_NA, IA_PD, an option that nobody knows.
    const message = `01a1b2c3${CLIENT}000600080017001800200052000800020000000e0000${IA()}0019000c0000000800000e1000001518fffe0001aa`;
    expect(parse(message)).toEqual({
      ...{ type: 'solicit', transaction: fromHex('a1b2c3'), client: fromHex(DUID), server: undefined },
      ...{ asked: [23, 24, 32, 82], rapidCommit: true },
      associations: [
        { kind: 'addresses', id: fromHex('00000007'), addresses: [] },
        { kind: 'prefixes', id: fromHex('00000008'), addresses: [] },
      ],
    });
  });

  test('that renews: of whom, and what it has', () => {
    const request = parse(`05a1b2c3${CLIENT}${SERVER}${IA(ADDRESS)}000400040000000900060000`)!;
    expect(request).toMatchObject({ type: 'renew', asked: [], rapidCommit: false });
    expect(toHex(request.server!)).toBe(SERVER.slice(8));
    expect(request.associations.map(({ kind, addresses }) => [kind, ...addresses.map(formatIpv6)])).toEqual([
      ['addresses', 'fd00:1:2:3::42'],
      ['temporary'],
    ]);
  });

  test('of each kind is told from those of servers and relays', () => {
    const types = Array.from(
      { length: 256 },
      (_, type) => parseDhcpRequest(Uint8Array.of(type, 0, 0, 1))?.type,
    );
    expect(Object.fromEntries([...types.entries()].filter(([, type]) => type !== undefined))).toEqual({
      ...{ 1: 'solicit', 3: 'request', 4: 'confirm', 5: 'renew', 6: 'rebind' },
      ...{ 8: 'release', 9: 'decline', 11: 'information' },
    });
  });

  test.each([
    ['nothing', ''],
    ['no transaction', '01a1b2'],
    ['half a head of an option', '01a1b2c3000100'],
    ['an option that is cut off', `01a1b2c3${CLIENT.slice(0, -2)}`],
    ['two clients', `01a1b2c3${CLIENT}${CLIENT}`],
    ['two servers', `03a1b2c3${SERVER}${SERVER}`],
    ['a client without identifier', '01a1b2c300010002000a'],
    ['a client whose identifier is too long', `01a1b2c300010083${'00'.repeat(131)}`],
    ['half a code among those asked for', '01a1b2c300060003001700'],
    ['a rapid commit that says something', '01a1b2c3000e000100'],
    ['an association without times', '01a1b2c30003000400000007'],
    ['an association of temporary addresses without id', '01a1b2c300040003000000'],
    ['an address that is cut off', `01a1b2c3${IA(ADDRESS.slice(0, -2))}`],
    ['an address without lifetimes', `01a1b2c3${IA(`00050010${'00'.repeat(16)}`)}`],
    ['more addresses than a client has', `01a1b2c3${IA(ADDRESS.repeat(9))}`],
    ['more associations than a client has', `01a1b2c3${IA().repeat(9)}`],
    ['more than a packet', `01a1b2c3fffe05d9${'00'.repeat(1_497)}`],
  ])('with %s is none', (_, hex) => {
    expect(parse(hex)).toBeUndefined();
  });

  test('may be as long as a packet, and have as much as is allowed', () => {
    expect(parse(`01a1b2c3fffe05d4${'00'.repeat(1_492)}`)).toBeDefined();
    expect(parse(`01a1b2c3${IA(ADDRESS.repeat(8))}${IA().repeat(7)}`)?.associations).toHaveLength(8);
    expect(parse(`01a1b2c300010082${'00'.repeat(130)}`)?.client).toHaveLength(130);
  });

  test('cut off anywhere is none, or has what comes before', () => {
    const whole = fromHex(`05a1b2c3${CLIENT}${SERVER}${IA(ADDRESS)}`);
    const ends = [4, 22, 44, whole.length];
    for (let length = 0; length <= whole.length; length++)
      expect(parseDhcpRequest(whole.subarray(0, length)) !== undefined).toBe(ends.includes(length));
  });

  test('of empty options is read in linear time', () => {
    expect(parseDhcpRequest(concat(Uint8Array.of(1, 0, 0, 1), new Uint8Array(1_496)))).toBeDefined();
  });
});

test('an answer is laid out as RFC 8415 says', () => {
  const association = { kind: 'addresses', id: fromHex('00000007') } as const;
  const address = encodeAddress(parseIpv6('fd00:1:2:3::42'), { preferred: 2_700, valid: 5_400 });
  const message = encodeDhcpReply(
    'reply',
    fromHex('a1b2c3'),
    encodeOption(1, fromHex(DUID)),
    encodeAssociation(association, { renew: 1_350, rebind: 2_160 }, address),
    encodeAssociation(
      { kind: 'temporary', id: fromHex('00000009') },
      { renew: 0, rebind: 0 },
      encodeStatus('noAddresses'),
    ),
    encodeAssociation(
      { kind: 'prefixes', id: fromHex('00000008') },
      { renew: 0, rebind: 0 },
      encodeStatus('noPrefixes'),
    ),
  );
  expect(toHex(message)).toBe(
    `07a1b2c3${CLIENT}00030028000000070000054600000870${ADDRESS}0004000a00000009000d000200020019001200000008${'00'.repeat(8)}000d00020006`,
  );
  expect(toHex(encodeDhcpReply('advertise', fromHex('a1b2c3')))).toBe('02a1b2c3');
});
