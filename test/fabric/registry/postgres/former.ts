import { vi } from 'vitest';
import { STEPS } from '../../../../fabric/registry/postgres/schema/steps.ts';
import type { registriesOfFile } from './registries.ts';

const STEPS_FILE = '../../../../fabric/registry/postgres/schema/steps.ts';

/** Makes a database with an empty registry whose schema is that before a step, the last one unless it is named. */
export async function formerDatabase(
  made: ReturnType<typeof registriesOfFile>,
  before = STEPS.at(-1)!.name,
): Promise<string> {
  const name = made.database();
  vi.resetModules();
  vi.doMock(STEPS_FILE, () => ({
    STEPS: STEPS.slice(
      0,
      STEPS.findIndex((step) => step.name === before),
    ),
  }));
  const former = await import('../../../../fabric/registry/postgres/registry.ts');
  vi.doUnmock(STEPS_FILE);
  await former.makeServerRegistry([made.server.url(name)], 'test', 1_000);
  return name;
}
