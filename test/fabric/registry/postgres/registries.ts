import { afterAll, beforeAll } from 'vitest';
import { makeServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import type { RegistryOptions } from '../../../../fabric/registry/registry.ts';
import { type Server, startServer, stopServer } from './server.ts';

/** The database of which the others are copies. */
const EMPTY = 'empty';

/** A clock that a test gives is that of its nodes, too, instead of the server's. */
export const onOneClock = (options: RegistryOptions = {}): RegistryOptions => ({
  ...(options.now !== undefined && { nodesNow: options.now }),
  ...options,
});

/** One server for all tests of a file, and registries on it. `prepare` is called once, with the database that all are copies of. */
export function registriesOfFile(prepare: (server: Server, database: string) => void = () => {}) {
  let server: Server;
  let made = 0;
  beforeAll(async () => {
    server = await startServer();
    server.sql('postgres', `CREATE DATABASE ${EMPTY}`);
    await makeServerRegistry([server.url(EMPTY)], 'test', 1_000);
    prepare(server, EMPTY);
  }, 60_000);
  afterAll(() => stopServer(server));
  const create = (template: string): string => {
    const name = `registry${++made}`;
    server.sql('postgres', `CREATE DATABASE ${name} TEMPLATE ${template}`);
    return name;
  };
  return {
    /** Once it was started. */
    get server(): Server {
      return server;
    },
    /** Makes a database with an empty registry, and returns its name. */
    registry: () => create(EMPTY),
    /** The same without one. */
    database: () => create('template1'),
  };
}
