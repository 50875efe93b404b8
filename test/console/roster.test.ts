import { expect, test } from 'vitest';
import { toHex } from '../../protocol/bytes.ts';
import { anyGroup, NETWORK, opened, registryFile } from '../fabric/place.ts';
import { applicant } from '../fabric/registry/contract/place.ts';
import { giveRoster, makeRoster, rostered } from '../fabric/rosters.ts';
import { consoleBrowser, expectAccessible } from './browser.ts';
import { signedIn } from './signed-in.ts';

const IN_TIME = { timeout: 30_000 };
const console = consoleBrowser();

test('[H-E26] the page of a batch says what its roster means; a box of it is banned before it comes', async () => {
  const registry = opened(registryFile());
  await registry.addNetwork('alice', NETWORK, 'plant');
  const { gid } = await registry.addGroup('alice', anyGroup('batch 7'));
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console);
  await enter();
  await page.goto(`/#/batches/${toHex(gid)}`);
  await page.getByText('This batch has no roster').waitFor(IN_TIME);

  const devices = rostered(4);
  await giveRoster(registry, gid, makeRoster(gid, devices, { perBox: 2, names: true }));
  await registry.admit({ ...applicant({ gid }), pseudonym: devices[0]!.pseudonym });
  await page.getByRole('link', { name: 'the devices on its roster' }).click(IN_TIME);
  await page.getByText('1 of 4 devices seen').waitFor(IN_TIME);
  await page.getByRole('row', { name: /S1 1 .*s1/ }).waitFor(IN_TIME);
  await page.getByLabel('Show').selectOption('unseen');
  await page.getByRole('row', { name: /S4 2 not yet seen/ }).waitFor(IN_TIME);
  await page.getByRole('button', { name: 'Ban or unban' }).click(IN_TIME);
  await page.getByLabel('Box').fill('2');
  await page.getByRole('button', { name: 'Ban', exact: true }).click(IN_TIME);
  await page.getByText('Of 2 devices 2 were banned.').waitFor(IN_TIME);
  await page.getByRole('row', { name: /S4 2 banned, not yet seen/ }).waitFor(IN_TIME);
  await expectAccessible(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await expectAccessible(page);
  expect(wrongs).toEqual([]);
}, 180_000);
