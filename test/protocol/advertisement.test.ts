import { describe, expect, test } from 'vitest';
import { encodeLanAdvertisement, isLanSolicitation } from '../../protocol/advertisement.ts';
import { concat, toHex } from '../../protocol/bytes.ts';
import { parseIpv6, parsePrefix } from '../../protocol/ipv6.ts';

describe('an advertisement', () => {
  const common = {
    ...{ prefix: parsePrefix('fd00:1:2:3::/64'), mtu: 1_280, routes: [parsePrefix('fd00::/16')] },
    ...{ managed: false, other: false, dns: [] },
  };

  test('has prefix, MTU and routes, as RFC 4861 and RFC 4191 lay them out', () => {
    const message = encodeLanAdvertisement({
      ...common,
      ...{ routerLifetime: 1_800, validLifetime: 5_400, preferredLifetime: 2_700 },
    });
    expect(toHex(message)).toBe(
      `86000000401807080000000000000000${'0501000000000500'}${'030440c0'}0000151800000a8c00000000fd000001000200030000000000000000` +
        `1803100000000708fd000000000000000000000000000000`,
    );
  });

  test('says whether there is DHCPv6, and which DNS servers there are, as RFC 8106 lays them out', () => {
    const dns = ['fd00::1', 'fd00::2'].map(parseIpv6);
    const lifetimes = { routerLifetime: 1_800, validLifetime: 5_400, preferredLifetime: 2_700 };
    const message = encodeLanAdvertisement({ ...common, ...lifetimes, other: true, dns });
    expect(message[5]).toBe(0x58);
    expect(toHex(message.subarray(80))).toBe(
      '1905000000000708fd000000000000000000000000000001fd000000000000000000000000000002',
    );
    expect(encodeLanAdvertisement({ ...common, ...lifetimes, managed: true, other: true })[5]).toBe(0xd8);
  });

  test('of one that ceases has lifetimes of 0', () => {
    const message = encodeLanAdvertisement({
      ...common,
      ...{ routerLifetime: 0, validLifetime: 0, preferredLifetime: 0 },
    });
    expect(toHex(message.subarray(6, 8))).toBe('0000');
    expect(toHex(message.subarray(28, 36))).toBe('0000000000000000');
    expect(toHex(message.subarray(60, 64))).toBe('00000000');
  });
});

describe('a solicitation', () => {
  const machine = parseIpv6('fe80::7');
  const nobody = new Uint8Array(16);
  const bare = Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0);
  const address = Uint8Array.of(1, 1, 2, 0, 0, 0, 0, 7);

  test('counts with or without options', () => {
    expect(isLanSolicitation(machine, bare)).toBe(true);
    expect(isLanSolicitation(nobody, bare)).toBe(true);
    expect(isLanSolicitation(machine, concat(bare, address))).toBe(true);
    expect(isLanSolicitation(machine, concat(bare, Uint8Array.of(99, 2), new Uint8Array(14), address))).toBe(
      true,
    );
  });

  test.each([
    ['another type', machine, Uint8Array.of(134, 0, 0, 0, 0, 0, 0, 0)],
    ['another code', machine, Uint8Array.of(133, 1, 0, 0, 0, 0, 0, 0)],
    ['one that is too short', machine, bare.subarray(1)],
    ['an option without length', machine, concat(bare, new Uint8Array(8))],
    ['an option that is cut off', machine, concat(bare, Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0))],
    ['half an option', machine, concat(bare, Uint8Array.of(1))],
    ['an address of nobody', nobody, concat(bare, address)],
  ])('%s does not', (_, source, message) => {
    expect(isLanSolicitation(source, message)).toBe(false);
  });

  test('of any length is read in bounded time', () => {
    expect(isLanSolicitation(machine, concat(bare, new Uint8Array(1_400).fill(1)))).toBe(true);
    expect(isLanSolicitation(machine, concat(bare, new Uint8Array(1_404).fill(1)))).toBe(false);
  });
});
