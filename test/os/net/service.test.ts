import { describe, expect, test } from 'vitest';
import {
  domainOf,
  formatService,
  isService,
  orderServices,
  parseService,
  type ServiceRecord,
} from '../../../os/net/service.ts';

test('names of services', () => {
  expect(isService('_enf._tcp.example.org')).toBe(true);
  expect(isService('_ENF._TCP.example.org')).toBe(true);
  for (const name of ['enf._tcp.example.org', '_enf._udp.example.org', 'example.org', '192.0.2.1', ''])
    expect(isService(name)).toBe(false);
  expect(domainOf('_enf._tcp.example.org')).toBe('example.org');
  expect(domainOf('example.org')).toBe('example.org');
});

describe('records as text', () => {
  test('are read as they are written', () => {
    const record = { priority: 10, weight: 0, port: 65_535, host: 'a.example.org' };
    expect(formatService(record)).toBe('10 0 65535 a.example.org');
    expect(parseService('10 0 65535 a.example.org')).toEqual(record);
    expect(parseService('10 0 65535 a.example.org.')).toEqual(record);
  });

  test.each([
    '',
    '0 0 443 .',
    '0 0 0 a.example',
    '0 0 65536 a.example',
    '65536 0 443 a.example',
    '0 0 443',
    '0 0 443 a b',
    '0 -1 443 a',
    '0 0 443 a..b',
    `0 0 443 ${'a'.repeat(64)}`,
    '192.0.2.1',
  ])('%j is none', (text) => {
    expect(parseService(text)).toBeUndefined();
  });
});

describe('the order of records', () => {
  const record = (host: string, priority: number, weight: number): ServiceRecord => ({
    ...{ host, priority, weight, port: 443 },
  });
  const names = (records: readonly ServiceRecord[]): string => records.map(({ host }) => host).join('');

  test('is by priority first, whatever the chance', () => {
    const records = [record('c', 2, 100), record('a', 0, 0), record('b', 1, 5)];
    for (const chance of [0, 0.5, 0.999999]) expect(names(orderServices(records, () => chance))).toBe('abc');
  });

  test('is by chance and weight among those of one priority', () => {
    const records = [record('a', 0, 1), record('b', 0, 3)];
    const firsts = Array.from({ length: 1_000 }, (_, i) =>
      names(orderServices(records, () => (i + 0.5) / 1_000)),
    );
    // 0 … 4: 0 and 1 draw the first one, the other three the second.
    expect(firsts.filter((order) => order === 'ab')).toHaveLength(400);
    expect(firsts.filter((order) => order === 'ba')).toHaveLength(600);
  });

  test('has one without weight first only by the smallest number', () => {
    const records = [record('a', 0, 9), record('z', 0, 0)];
    expect(names(orderServices(records, () => 0))).toBe('za');
    expect(names(orderServices(records, () => 0.1))).toBe('az');
  });

  test('has each record once, and no more than sixteen', () => {
    const many = Array.from({ length: 40 }, (_, i) => record(`h${i}`, i % 3, i));
    for (const chance of [0, 0.3, 0.999999]) {
      const ordered = orderServices(many, () => chance);
      expect(ordered).toHaveLength(16);
      expect(new Set(ordered).size).toBe(16);
    }
    expect(orderServices([], () => 0)).toEqual([]);
  });
});
