import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openLink } from '../../../../fabric/registry/postgres/link.ts';
import { readServers, serverPlace, shownAddress } from '../../../../fabric/registry/postgres/servers.ts';
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

test('a server is called by its host and port, or by the folder of its socket', () => {
  for (const [address, place] of [
    ['postgres://enf:secret@db.example/enf', 'db.example:5432'],
    ['postgres://enf@db.example:5433/enf', 'db.example:5433'],
    ['postgres://enf@[2001:db8::1]/enf', '[2001:db8::1]:5432'],
    ['postgres://enf:secret@/enf?host=/run/postgresql', '/run/postgresql'],
    ['postgres://enf@/enf', 'localhost:5432'],
  ])
    expect(serverPlace(address!)).toBe(place);
});

/** Ports of this host at which nobody listens. */
async function closedPorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) =>
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
        ),
    ),
  );
  for (const server of servers) server.close();
  return ports as [number, number];
}

test('of several servers that cannot be used each is named with what it says, and none with its password', async () => {
  const [one, other] = await closedPorts();
  const refused = (port: number) => `127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`;
  const asked = (...ports: number[]): unknown => {
    const link = openLink(ports.map((port) => `postgres://enf:secret@127.0.0.1:${port}/enf`));
    onTestFinished(() => link.close());
    try {
      return link.ask('write', { sql: 'SELECT 1' });
    } catch (error) {
      return error;
    }
  };
  const because = "the registry's database server cannot be used: ";
  expect(asked(one, other)).toMatchObject({
    code: 'registry.unreachable',
    message: `${because}${refused(one)}; ${refused(other)} (ECONNREFUSED)`,
  });
  expect(asked(other)).toMatchObject({ message: `${because}${refused(other)} (ECONNREFUSED)` });
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
