import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openLink } from '../../../../../fabric/registry/postgres/link.ts';
import { readServers, serverPlace, shownAddress } from '../../../../../fabric/registry/postgres/servers.ts';
import { scratch } from '../../../place.ts';

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

/** The port of a server that lets nobody log in. */
async function refusingPort(): Promise<number> {
  const fields = Buffer.from('SFATAL\0C28000\0Mno pg_hba.conf entry\0\0');
  const length = Buffer.alloc(4);
  length.writeInt32BE(4 + fields.length);
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(Buffer.concat([Buffer.from('E'), length, fields])));
  });
  onTestFinished(() => void server.close());
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  );
}

test('what a server says that lets nobody log in counts more than that another one is not reached, whichever is first', async () => {
  const [closed] = await closedPorts();
  const refusing = await refusingPort();
  const say = (...ports: number[]): Promise<unknown> => {
    const urls = ports.map((port) => `postgres://enf:secret@127.0.0.1:${port}/enf`);
    const link = openLink(urls);
    onTestFinished(() => link.close());
    return link.send('write', { sql: 'SELECT 1' });
  };
  const said = {
    code: 'registry.not-writable',
    remedy: 'operator',
    message: expect.stringMatching(
      new RegExp(
        `:${closed}: connect ECONNREFUSED .*; 127\\.0\\.0\\.1:${refusing}: no pg_hba.conf entry \\(28000\\)$`,
      ),
    ),
  };
  await expect(say(closed, refusing)).rejects.toMatchObject(said);
  await expect(say(refusing, closed)).rejects.toMatchObject(said);
});

test('an address whose host cannot be read is refused', () => {
  const file = join(scratch(), 'registry.url');
  for (const host of ['%zz', '%ff', 'db%']) {
    writeFileSync(file, `postgres://enf@${host}/db\n`, { mode: 0o600 });
    expect(() => readServers(file)).toThrow(
      expect.objectContaining({ code: 'registry.bad-url', remedy: 'operator' }),
    );
  }
  const socket = 'postgres://enf@%2Frun%2Fpostgresql/db';
  writeFileSync(file, `${socket}\n`, { mode: 0o600 });
  expect(readServers(file)).toEqual([socket]);
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
