import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { invitePerson } from '../../fabric/operations/people/people.ts';
import { served } from '../fabric/api/console.ts';
import { CLIENT, issuer } from '../fabric/api/issuer.ts';
import { opened, registryFile } from '../fabric/place.ts';
import { consoleBrowser, expectAccessible, watchedPage } from './browser.ts';

/** Signing in by an account of an OpenID issuer, as a browser does it. */

const IN_TIME = { timeout: 30_000 };
const { files, browser } = consoleBrowser();

/** A port that nobody listens on: the console has to know its address before it listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function place() {
  const at = await issuer();
  at.claims = { email: 'anna@example.org', email_verified: true, name: 'Anna' };
  const registry = opened(registryFile());
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const openid = {
    ...{ issuer: new URL(at.url), clientId: CLIENT.id, secret: CLIENT.secret, name: 'Example' },
    ...{ claim: 'email', domains: [], role: 'auditor' as const },
  };
  await served(registry, { listen: { host: '127.0.0.1', port }, origin, openid, files });
  const { page, wrongs, context } = await watchedPage(browser(), origin);
  onTestFinished(() => context.close());
  const invite = (login: string | undefined) =>
    invitePerson.run(
      {
        ...{ registry, actor: 'alice', now: Date.now },
        running: { notify: async () => 'in force', presence: async () => undefined },
      },
      { role: 'owner', hours: 1, login },
    );
  return { at, page, wrongs, invite };
}

test('who is not invited reads why; who is comes in, and the browser asks the issuer for nothing but the way', async () => {
  const { at, page, wrongs, invite } = await place();
  await page.goto('/');
  await page.getByRole('button', { name: 'Sign in with Example' }).click(IN_TIME);
  await page.getByText('Nobody has invited this account.').waitFor(IN_TIME);
  await expectAccessible(page);
  await invite('anna@example.org');
  await page.getByRole('button', { name: 'Sign in with Example' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor(IN_TIME);
  await page.getByRole('link', { name: 'Anna' }).click();
  await page.getByText('anna@example.org').waitFor(IN_TIME);
  await expectAccessible(page);
  // The only way in is not given up; what is dangerous leads to the issuer once more, where one signs in anew.
  const choose = async (): Promise<void> => {
    await page.getByRole('button', { name: 'Choose a password' }).click(IN_TIME);
    await page.getByLabel('New password').fill('four words are good');
    await page.getByRole('dialog').getByRole('button', { name: 'Choose' }).click();
  };
  const remove = async (): Promise<void> => {
    await page.getByRole('button', { name: 'Remove', exact: true }).click(IN_TIME);
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  };
  await choose();
  const dialog = page.getByRole('dialog', { name: 'Is it still you?' });
  await dialog.getByRole('button', { name: 'Sign in again with Example' }).click(IN_TIME);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor(IN_TIME);
  await page.getByRole('link', { name: 'Anna' }).click();
  await remove();
  await page.getByText('you sign in by nothing else').waitFor(IN_TIME);
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await choose();
  await page.getByText('The password is changed').waitFor(IN_TIME);
  await page.getByRole('button', { name: 'Change the password' }).waitFor(IN_TIME);
  await remove();
  await page.getByText('None yet. With one you need no password here.').waitFor(IN_TIME);
  // The only requests to another host are the pages to which the browser was sent.
  expect(wrongs.filter((wrong) => wrong !== `asks ${at.url}`)).toEqual([]);
  expect(wrongs).toHaveLength(3);
}, 120_000);

test('a person with a password adds its account', async () => {
  const { page, invite } = await place();
  const { invite: text } = await invite(undefined);
  await page.goto(`/#/setup/${text}`);
  await page.getByLabel('Your name').fill('Anna');
  await page.getByLabel('Password').fill('four words are good');
  await page.getByRole('button', { name: 'Begin' }).click();
  await page.getByRole('button', { name: 'Go on' }).click(IN_TIME);
  await page.getByRole('link', { name: 'Anna' }).click(IN_TIME);
  await page.getByRole('button', { name: 'Add the one at Example' }).click(IN_TIME);
  await page.getByText('anna@example.org').waitFor(IN_TIME);
}, 120_000);
