import { expect, onTestFinished, test } from 'vitest';
import { watchAlarms } from '../../../fabric/alarms/watch.ts';
import { ALARM_KINDS, type AlarmKind } from '../../../fabric/registry/alarms.ts';
import { opened, registryFile, scratch } from '../place.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

test('each kind is looked for, or looked after until it ends: for ten minutes, and longer what is told once', async () => {
  const registry = opened(registryFile());
  const holds = new Map<AlarmKind, number>();
  const stop = watchAlarms({
    registry: {
      ...registry,
      async recordFindings(kinds, _, holdMs) {
        for (const kind of kinds) holds.set(kind, holdMs);
      },
    },
    data: scratch(),
    certificates: async () => ({}),
    ...{ places: () => [], placesOldDays: 0, sending: { allowPrivate: false }, log: () => {} },
  });
  onTestFinished(stop);
  const told: readonly AlarmKind[] = ['device.twins', 'device.two-countries', 'claim.objection'];
  const holdOf = (kind: AlarmKind) => {
    if (kind === 'registry.failover') return 7 * DAY_MS;
    return told.includes(kind) ? DAY_MS : 10 * MINUTE_MS;
  };
  await expect
    .poll(() => Object.fromEntries(holds), { timeout: 10_000 })
    .toEqual(Object.fromEntries(ALARM_KINDS.map((kind) => [kind, holdOf(kind)])));
});
