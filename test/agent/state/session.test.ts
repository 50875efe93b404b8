import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { stateSession } from '../../../agent/state/session.ts';
import { systemLookup } from '../../../os/net/lookup.ts';
import { systemClocks } from '../../../os/service/process.ts';
import { temporaryFolder } from '../folders.ts';

const session = (directory: string) =>
  stateSession({
    config: parseConfig(`[remote]\nhosts = ["f"]\n[state]\ndirectory = "${directory}"`, 'test'),
    ...{ clocks: systemClocks, resolver: systemLookup, log: () => {}, note: () => {} },
  });

test('whoever asks first, there is one record', async () => {
  const state = session(temporaryFolder());
  const [one, other] = await Promise.all([state.store(), state.store(), state.lastGood()]);
  expect(other).toBe(one);
  expect(state.opened()).toBe(one);
});

test('a state that could not be opened is opened when that is mended', async () => {
  const place = join(temporaryFolder(), 'state');
  writeFileSync(place, 'no folder');
  const state = session(place);
  await expect(state.store()).rejects.toMatchObject({ code: 'os.no-folder' });
  expect(state.opened()).toBeUndefined();
  rmSync(place);
  expect(await state.store()).toBe(state.opened());
});
