import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { opened, registryFile } from '../place.ts';
import { registryContract } from './contract.ts';

registryContract('SQLite', async () => {
  const file = registryFile();
  return async (options) => opened(file, options);
});

test('the engine is chosen in one place; one command prints the rights of PostgreSQL’s roles', () => {
  const fabric = new URL('../../../fabric/', import.meta.url);
  const users = readdirSync(fabric, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/^registry\/(sqlite|postgres)\//.test(name))
    .filter((name) => /from '.*\/(sqlite|postgres)\//.test(readFileSync(new URL(name, fabric), 'utf8')));
  expect(users.sort()).toEqual(['commands/nodes/registry.ts', 'open-registry.ts']);
});
