import { join } from 'node:path';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { makeServerRegistry, openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { scratch, wholeOf } from '../../place.ts';
import { registryContract } from '../contract.ts';
import { type Server, startServer, stopServer } from './server.ts';

let server: Server;
let made = 0;

beforeAll(async () => {
  server = await startServer();
  server.sql('postgres', 'CREATE DATABASE empty');
  await makeServerRegistry([server.url('empty')], 'test', 1_000);
}, 60_000);
afterAll(() => stopServer(server));

registryContract('PostgreSQL', async () => {
  const name = `registry${++made}`;
  server.sql('postgres', `CREATE DATABASE ${name} TEMPLATE empty`);
  const file = join(scratch(), 'registry.url');
  return async (options) => {
    const registry = wholeOf(openServerRegistry([server.url(name)], file, options));
    onTestFinished(() => registry.close());
    return registry;
  };
});
