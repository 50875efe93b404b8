import { expect, test } from 'vitest';
import { shownAddress } from '../../../../fabric/registry/postgres/servers.ts';

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
