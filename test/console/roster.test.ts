import { onTestFinished, test } from 'vitest';
import { invitePerson } from '../../fabric/operations/people/people.ts';
import { toHex } from '../../protocol/bytes.ts';
import { served } from '../fabric/api/console.ts';
import { anyGroup, NETWORK, opened, registryFile } from '../fabric/place.ts';
import { applicant } from '../fabric/registry/contract/place.ts';
import { giveRoster, makeRoster, rostered } from '../fabric/rosters.ts';
import { consoleBrowser, watchedPage } from './browser.ts';

const IN_TIME = { timeout: 30_000 };
const { files, browser } = consoleBrowser();

test('[H-E26] the page of a batch says what its roster means; a box of it is banned before it comes', async () => {
  const registry = opened(registryFile());
  const { port } = await served(registry, { files });
  const context = {
    ...{ registry, now: Date.now, actor: 'alice' },
    running: { notify: async () => 'in force', presence: async () => undefined },
  };
  await registry.addNetwork('alice', NETWORK, 'plant');
  const { gid } = await registry.addGroup('alice', anyGroup('batch 7'));
  const { invite } = await invitePerson.run(context, { role: 'owner', hours: 1 });
  const { page, wrongs, context: own } = await watchedPage(browser(), `http://localhost:${port}`);
  onTestFinished(() => own.close());
  await page.goto(`/#/setup/${invite}`);
  await page.getByLabel('Your name').fill('Anna');
  await page.getByLabel('Password').fill('four words are good');
  await page.getByRole('button', { name: 'Begin' }).click();
  await page.getByRole('button', { name: 'Go on' }).click(IN_TIME);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor(IN_TIME);
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
  if (wrongs.length > 0) throw new Error(wrongs.join('\n'));
}, 180_000);
