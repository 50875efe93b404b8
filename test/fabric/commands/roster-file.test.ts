import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Fabric } from '../../../fabric/commands/common/context.ts';
import { openRosterFile, sendRoster } from '../../../fabric/commands/roster-file.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { anyGroup, NETWORK, opened, registryFile, scratch, seenBy } from '../place.ts';
import { makeRoster, rostered } from '../rosters.ts';

/** A fabric whose answers to parts of a roster are lost as `lost` says. */
async function place(lost: () => Failure | undefined) {
  const registry = opened(registryFile());
  await registry.addNetwork('alice', NETWORK, 'plant');
  const { gid } = await registry.addGroup('alice', anyGroup());
  const running = { notify: async () => 'in force', presence: async () => undefined };
  const context = { ...seenBy(registry), running, actor: 'alice', now: Date.now };
  const run: Fabric['run'] = async (operation, input) => {
    const view = await operation.run(context, input);
    const failure = operation.name === 'roster-part' ? lost() : undefined;
    if (failure !== undefined) throw failure;
    return view;
  };
  const file = makeRoster(gid, rostered(4_000)).write(join(scratch(), 'march.roster'));
  const sent = { gid: toHex(gid), file: await openRosterFile(file, undefined), names: false };
  return { registry, gid, send: () => sendRoster({ run, read: run } as Fabric, sent, () => {}) };
}

test('a roster whose answer was lost is begun again where it is', async () => {
  let left = 1;
  const { send } = await place(() =>
    left-- > 0 ? new Failure('fabric.no-answer', 'retry', 'nobody answered') : undefined,
  );
  expect((await send()).view.roster).toMatchObject({ state: 'in-force', devices: 4_000, seen: 0 });
  expect(left).toBeLessThan(0);
});

test('what a person has to see to is not tried again', async () => {
  let asked = 0;
  const { send, registry, gid } = await place(() => {
    asked++;
    return new Failure('access.forbidden', 'operator', 'no');
  });
  await expect(send()).rejects.toMatchObject({ code: 'access.forbidden' });
  expect(asked).toBe(1);
  expect((await registry.roster(gid)).roster?.state).not.toBe('in-force');
});
