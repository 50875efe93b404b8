import { expect, test } from 'vitest';
import type { Privacy, SweepPlace } from '../../../fabric/registry/privacy.ts';
import { keepSwept } from '../../../fabric/registry/sweeping.ts';

/** A registry of which a sweep takes three steps. */
function registryWith(privacy: Privacy) {
  const swept: (SweepPlace | undefined)[] = [];
  const choicesOf = (one: Privacy) => ({ of: () => one, forget: one.addresses !== 'whole' });
  let choices = choicesOf(privacy);
  return {
    swept,
    choose: (next: Privacy): void => {
      choices = choicesOf(next);
    },
    privacyChoices: () => choices,
    async sweep(after?: SweepPlace) {
      swept.push(after);
      const row = after?.row ?? 0;
      return row < 2 ? ({ table: 'device', row: row + 1 } as const) : undefined;
    },
  };
}

test('[H-E23] nothing is looked at where all is kept; a choice is carried out step by step, once', async () => {
  const registry = registryWith({ addresses: 'whole' });
  const stop = keepSwept(registry, (error) => expect.fail(String(error)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(registry.swept).toEqual([]);
  registry.choose({ addresses: 'cut' });
  await expect.poll(() => registry.swept.length, { timeout: 5_000 }).toBe(3);
  expect(registry.swept.map((place) => place?.row)).toEqual([undefined, 1, 2]);
  registry.choose({ addresses: 'cut', days: 3 });
  await expect.poll(() => registry.swept.length, { timeout: 5_000 }).toBe(6);
  await stop();
});

test('[H-E23] a step that fails is told of, and begun again; the end does not wait for the last step', async () => {
  const errors: unknown[] = [];
  const registry = registryWith({ addresses: 'none' });
  let broken = true;
  const stop = keepSwept(
    {
      ...registry,
      async sweep(after) {
        if (broken) throw new Error('locked');
        await registry.sweep(after);
        return { table: 'device', row: 1 };
      },
    },
    (error) => errors.push(error),
  );
  await expect.poll(() => errors.length).toBe(1);
  broken = false;
  await expect.poll(() => registry.swept.length, { timeout: 5_000 }).toBeGreaterThan(3);
  await stop();
  const steps = registry.swept.length;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(registry.swept).toHaveLength(steps);
});
