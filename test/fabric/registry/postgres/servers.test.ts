import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readServers, shownAddress } from '../../../../fabric/registry/postgres/servers.ts';
import { scratch } from '../../place.ts';

test('an address is shown without what may be a password', () => {
  for (const [address, shown] of [
    ['postgres://enf:secret@db.example/enf?sslmode=verify-full', 'postgres://enf@db.example/enf'],
    ['postgres://db.example:5433/enf?user=enf&password=secret', 'postgres://db.example:5433/enf'],
    ['postgres://enf:a@db.example/secret@other/enf', 'postgres://enf@db.example/…'],
    ['postgres://enf@/enf?host=/run/postgresql', 'postgres://enf@/enf?host=/run/postgresql'],
    ['postgres://enf:secret@/enf?host=/run/postgresql', 'postgres://enf@/enf?host=/run/postgresql'],
    ['postgresql:///enf', 'postgresql:///enf'],
  ])
    expect(shownAddress(address!)).toBe(shown);
});

test('an address that would replace what the program sets is refused, and not shown', () => {
  const file = join(scratch(), 'registry.url');
  const read = (text: string) => {
    writeFileSync(file, text, { mode: 0o600 });
    return readServers(file);
  };
  const address = 'postgres://enf:secret@db.example/enf';
  expect(read(`${address}?sslmode=verify-full\n`)).toEqual([`${address}?sslmode=verify-full`]);
  expect(() => read(`${address}?options=-csynchronous_commit%3Doff\n`)).toThrow(
    expect.objectContaining({
      code: 'registry.bad-url',
      message: expect.not.stringContaining('secret'),
    }),
  );
});
