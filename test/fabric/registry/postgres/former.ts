import { vi } from 'vitest';
import { STEPS } from '../../../../fabric/registry/postgres/schema/steps.ts';
import type { registriesOfFile } from './registries.ts';

const STEPS_FILE = '../../../../fabric/registry/postgres/schema/steps.ts';

/** What opens registries, by a program that knows other steps. */
export async function withSteps(steps: typeof STEPS) {
  vi.resetModules();
  vi.doMock(STEPS_FILE, () => ({ STEPS: steps }));
  const other = await import('../../../../fabric/registry/postgres/registry.ts');
  vi.doUnmock(STEPS_FILE);
  return other;
}

/** The steps before the one of that name. */
export const stepsBefore = (name: string): typeof STEPS =>
  STEPS.slice(
    0,
    STEPS.findIndex((step) => step.name === name),
  );

/** Makes a database with an empty registry whose schema is that before a step, the last one unless it is named. */
export async function formerDatabase(
  made: ReturnType<typeof registriesOfFile>,
  before = STEPS.at(-1)!.name,
): Promise<string> {
  const name = made.database();
  const former = await withSteps(stepsBefore(before));
  await former.makeServerRegistry([made.server.url(name)], 'test', 1_000);
  return name;
}
