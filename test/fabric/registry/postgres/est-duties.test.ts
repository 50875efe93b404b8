import { afterAll, beforeAll, vi } from 'vitest';
import { makeServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { byDuty, grant, makeRoles } from './by-duty.ts';
import { type Server, startServer, stopServer } from './server.ts';

/* What EST has to do, its certificates issued by an identity server's user of the database, and judged by a router's. */

const on = vi.hoisted(() => ({ open: undefined as unknown }));
vi.mock('../../est/place.ts', async (original) => {
  const there = (await original()) as typeof import('../../est/place.ts');
  return { ...there, place: () => there.place((on.open as () => never)()) };
});
let server: Server;
let made = 0;
beforeAll(async () => {
  server = await startServer();
  server.sql('postgres', 'CREATE DATABASE empty');
  await makeServerRegistry([server.url('empty')], 'test', 1_000);
  makeRoles(server);
  grant(server, 'empty');
  on.open = () => {
    const name = `registry${++made}`;
    server.sql('postgres', `CREATE DATABASE ${name} TEMPLATE empty`);
    return (options: object) => byDuty(server, name, options);
  };
}, 60_000);
afterAll(() => stopServer(server));
await import('../../est/issuing.test.ts');
await import('../../est/makers.test.ts');
