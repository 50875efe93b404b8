import { vi } from 'vitest';
import { byDuty, giveRoles } from './by-duty.ts';
import { registriesOfFile } from './registries.ts';

/* What EST has to do, its certificates issued by an identity server's user of the database, and judged by a router's. */

const on = vi.hoisted(() => ({ open: undefined as unknown }));
vi.mock('../../est/place.ts', async (original) => {
  const there = (await original()) as typeof import('../../est/place.ts');
  return { ...there, place: () => there.place((on.open as () => never)()) };
});
const made = registriesOfFile(giveRoles);
on.open = () => {
  const name = made.registry();
  return (options: object) => byDuty(made.server, name, options);
};
await import('../../est/issuing.test.ts');
await import('../../est/makers.test.ts');
