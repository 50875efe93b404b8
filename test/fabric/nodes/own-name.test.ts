import { expect, test } from 'vitest';
import { ownName } from '../../../fabric/nodes/own-name.ts';

test('a fabric has the name that it is given; on a server that of its host, in a file none', () => {
  expect(ownName('a', true, 'db7.example.org')).toBe('a');
  expect(ownName('a', false, 'db7.example.org')).toBe('a');
  expect(ownName('', true, 'DB7.example.org')).toBe('db7');
  expect(ownName('', true, 'gateway')).toBe('gateway');
  expect(ownName('', false, 'db7.example.org')).toBe('');
});

test.each(['', '-a', 'a_b', 'ö', `${'a'.repeat(64)}.example.org`])('the host %j gives none', (host) => {
  expect(() => ownName('', true, host)).toThrow(
    expect.objectContaining({ code: 'config.no-node-name', remedy: 'operator' }),
  );
  expect(ownName('', false, host)).toBe('');
});
