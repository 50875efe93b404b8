import type { Page } from 'playwright-core';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { FRESH_MS } from '../../fabric/access/fresh.ts';
import { invitePerson } from '../../fabric/operations/people/people.ts';
import { served } from '../fabric/api/console.ts';
import type { WholeRegistry as Registry } from '../fabric/place.ts';
import { opened, registryFile } from '../fabric/place.ts';
import { addAuthenticator, consoleBrowser, expectAccessible, watchedPage } from './browser.ts';

/** What is dangerous asks whoever sits there to show that; then it goes on with what was asked. */

const PASSWORD = 'four words are good';
const IN_TIME = { timeout: 30_000 };
const { files, browser } = consoleBrowser();
let page: Page;
let wrongs: string[];
let registry: Registry;
let time: { now: number };

/** Anna has signed in with a password and a passkey, longer ago than a sign-in is fresh, and is about to invite somebody. */
beforeEach(async () => {
  time = { now: Date.now() };
  const now = (): number => time.now;
  registry = opened(registryFile(), { now });
  const { port } = await served(registry, { now, files });
  const context = {
    ...{ registry, now, actor: 'alice' },
    running: { notify: async () => 'in force', presence: async () => undefined },
  };
  const { invite } = await invitePerson.run(context, { role: 'owner', hours: 1 });
  const watched = await watchedPage(browser(), `http://localhost:${port}`);
  onTestFinished(() => watched.context.close());
  ({ page, wrongs } = watched);
  await addAuthenticator(page);
  await page.goto(`/#/setup/${invite}`);
  await page.getByLabel('Your name').fill('Anna');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Begin' }).click();
  await page.getByRole('button', { name: 'Make a passkey' }).click(IN_TIME);
  await page.getByText('The passkey is registered').waitFor(IN_TIME);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByRole('link', { name: 'People', exact: true }).click(IN_TIME);
  time.now += FRESH_MS;
  await page.getByRole('button', { name: 'Invite somebody' }).click(IN_TIME);
  await page.getByRole('button', { name: 'Make an invite' }).click();
  await page.getByRole('dialog', { name: 'Is it still you?' }).waitFor(IN_TIME);
}, 180_000);

const dialog = () => page.getByRole('dialog', { name: 'Is it still you?' });
const invites = async (): Promise<number> =>
  (await registry.audit({ limit: 50 })).rows.filter(({ action }) => action === 'person.invite').length;

test('the password, and not a wrong one, lets it go on', async () => {
  await expectAccessible(page);
  await dialog().getByLabel('Your password').fill('not the password');
  await dialog().getByRole('button', { name: 'Go on' }).click();
  await dialog().getByText('access.wrong-password').waitFor(IN_TIME);
  expect(await invites()).toBe(1);
  await dialog().getByLabel('Your password').fill(PASSWORD);
  await dialog().getByRole('button', { name: 'Go on' }).click();
  await page.getByText(/enfi_/).first().waitFor(IN_TIME);
  expect(await dialog().count()).toBe(0);
  expect(await invites()).toBe(2);
  expect(wrongs).toEqual([]);
});

test('a passkey lets it go on', async () => {
  await dialog().getByRole('button', { name: 'Use a passkey' }).click();
  await page.getByText(/enfi_/).first().waitFor(IN_TIME);
  expect(await invites()).toBe(2);
  expect(wrongs).toEqual([]);
});

test('whoever closes the dialog has done nothing, and may ask again', async () => {
  await page.keyboard.press('Escape');
  await page.getByText('access.fresh-sign-in').waitFor(IN_TIME);
  expect(await dialog().count()).toBe(0);
  expect(await invites()).toBe(1);
  // Who has no passkey is not asked for one.
  const [passkey] = await registry.passkeys(1);
  await registry.removePasskey('root', 1, passkey!.id);
  const listed = page.waitForResponse((response) => response.url().endsWith('/api/v1/passkeys'), IN_TIME);
  await page.getByRole('button', { name: 'Make an invite' }).click();
  await dialog().waitFor(IN_TIME);
  await listed;
  await expect.poll(() => dialog().getByRole('button').allTextContents()).toEqual(['Cancel', 'Go on']);
});

test('whoever was signed out meanwhile reads so at the next visit, and who went by itself does not', async () => {
  const reason = page.getByText('You were signed out');
  await page.goto('about:blank');
  await registry.endSessions('root', 1);
  await page.goto('/');
  await reason.waitFor(IN_TIME);
  await page.getByLabel('Name').fill('Anna');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('button', { name: 'Sign out' }).click(IN_TIME);
  await page.getByRole('heading', { name: 'Sign in' }).waitFor(IN_TIME);
  await page.reload();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor(IN_TIME);
  expect(await reason.count()).toBe(0);
});
