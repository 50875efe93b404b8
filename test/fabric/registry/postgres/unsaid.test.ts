import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { scratch, wholeOf } from '../../place.ts';
import { unsaidContract } from '../contract/nodes/unsaid.ts';
import { registriesOfFile } from './registries.ts';
import { commandOf } from './server.ts';

const made = registriesOfFile();

unsaidContract('PostgreSQL', async () => {
  const name = made.registry();
  return {
    async open(options) {
      const registry = wholeOf(
        openServerRegistry([made.server.url(name)], join(scratch(), 'registry.url'), options),
      );
      onTestFinished(() => registry.close());
      return registry;
    },
    async lock() {
      const [command, ...before] = commandOf('psql');
      const psql = spawn(command!, [...before, '-h', made.server.folder, '-U', 'enf', '-d', name, '-qAt'], {
        stdio: ['pipe', 'pipe', 'inherit'],
        cwd: '/',
      });
      psql.stdin.write("SELECT 'locked' FROM pg_advisory_lock(hashtextextended('enf', 0));\n");
      await once(psql.stdout, 'data');
      return async () => {
        psql.stdin.end();
        await once(psql, 'exit');
      };
    },
  };
});
