import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { labelOf, parseSuffix, placeOf, reverseName } from '../../../fabric/dns/zone.ts';
import { zoneFileHead, zoneRecord } from '../../../fabric/dns/zone-file.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { refusal } from '../../refusals.ts';

const PREFIX = parseIpv6('fd00:8f80:8000:1::').subarray(0, 8);
const ZONE = { suffix: 'plant.internal', prefix: PREFIX };
const REVERSE = '1.0.0.0.0.0.0.8.0.8.f.8.0.0.d.f.ip6.arpa';

describe('a domain for names', () => {
  it.each([
    ['Plant.Internal.', 'plant.internal'],
    ['x', 'x'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ])('is %j', (text, suffix) => expect(parseSuffix(text)).toBe(suffix));

  it.each([
    ...['', '.', 'a..b', '-a.b', 'a-.b', 'a_b.c', 'ä.b', 'a b', '1.ip6.arpa', 'a.b/c', 'a\n.b', 'a;b'],
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(51)}b`,
  ])('is refused: %j', (text) => expect(refusal(() => parseSuffix(text))).toBe('dns.bad-zone'));
});

describe('the place of a name', () => {
  const kindOf = (name: string) => placeOf(ZONE, name).kind;

  it('forward', () => {
    expect(placeOf(ZONE, 'Gateway-7.PLANT.internal')).toEqual({
      kind: 'label',
      zone: 'plant.internal',
      label: 'gateway-7',
    });
    expect(kindOf('plant.internal')).toBe('apex');
    expect(kindOf('ns.plant.internal')).toBe('server');
    expect(kindOf('a.b.plant.internal')).toBe('nothing');
    expect(kindOf('_x.plant.internal')).toBe('nothing');
    expect(kindOf('.plant.internal')).toBe('nothing');
  });

  it('not in the zone', () => {
    for (const name of ['', '.', 'internal', 'xplant.internal', 'plant.internal.example', 'ip6.arpa'])
      expect(kindOf(name)).toBe('elsewhere');
    expect(kindOf(`0.${REVERSE.replace('1.', '2.')}`)).toBe('elsewhere');
  });

  it('reverse', () => {
    const address = parseIpv6('fd00:8f80:8000:1:1234:5678:9abc:def0');
    expect(reverseName(PREFIX)).toBe(REVERSE);
    expect(placeOf(ZONE, reverseName(address).toUpperCase())).toEqual({
      kind: 'address',
      zone: REVERSE,
      address,
    });
    expect(kindOf(REVERSE)).toBe('apex');
    expect(kindOf(`f.e.${REVERSE}`)).toBe('between');
    expect(kindOf(`0f.${REVERSE}`)).toBe('nothing');
    expect(kindOf(`g.${REVERSE}`)).toBe('nothing');
    expect(kindOf(`1.${reverseName(address)}`)).toBe('nothing');
  });

  it('is found for every address of the network, and for every text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 8, maxLength: 8 }), (end) => {
        const address = Uint8Array.of(...PREFIX, ...end);
        expect(placeOf(ZONE, reverseName(address))).toMatchObject({ kind: 'address', address });
      }),
    );
    fc.assert(
      fc.property(fc.string(), (name) => {
        expect(kindOf(name)).toBe('elsewhere');
      }),
    );
  });
});

describe('a zone file', () => {
  it('has the names that DNS has', () => {
    expect(zoneFileHead('plant.internal', 'fd00::1')).toMatch(/^\$ORIGIN plant\.internal\.\n/);
    expect(zoneRecord({ name: 'pump-1', address: 'fd00::2' })).toBe('pump-1 IN AAAA fd00::2\n');
    expect(labelOf('ns')).toBeUndefined();
    expect(zoneRecord({ name: 'ns', address: 'fd00::2' })).toBeUndefined();
  });
});
