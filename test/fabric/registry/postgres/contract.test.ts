import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { scratch, wholeOf } from '../../place.ts';
import { registryContract } from '../contract.ts';
import { onOneClock, registriesOfFile } from './registries.ts';

const made = registriesOfFile();

registryContract('PostgreSQL', async () => {
  const urls = [made.server.url(made.registry())];
  const file = join(scratch(), 'registry.url');
  writeFileSync(file, `${urls[0]}\n`, { mode: 0o600 });
  return async (options) => {
    const registry = wholeOf(openServerRegistry(urls, file, onOneClock(options)));
    onTestFinished(() => registry.close());
    return registry;
  };
});
