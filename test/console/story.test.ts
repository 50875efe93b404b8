import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { must } from '../e2e/batch.ts';
import { eventually } from '../e2e/process.ts';
import { type Device, ping, type World } from '../e2e/world.ts';
import { expectAccessible, picture, watchedPage } from './browser.ts';
import { ABROAD, firstDay } from './first-day.ts';

/** How an owner spends the first day with a fabric, in a browser: the programs, devices and handshakes are the real ones. */

const DEVICES = 20;
const NAME = 'Anna';
const PASSWORD = 'four words are good';
const IN_TIME = { timeout: 60_000 };

let world: World;
let browser: Browser;
let page: Page;
let wrongs: string[];
let origin: string;
let devices: readonly Device[];

beforeAll(async () => {
  ({ world, devices, origin, browser, page, wrongs } = await firstDay(DEVICES));
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await world?.close();
});

const heading = (name: string | RegExp) => page.getByRole('heading', { level: 1, name });
const visit = async (name: string): Promise<void> => {
  await page
    .getByRole('navigation', { name: 'Pages of the console' })
    .getByRole('link', { name, exact: true })
    .click();
};

test('an invite lets one person in, who gets recovery codes and a passkey', async () => {
  const invite = await world.fabric.json<{ address: string }>('console', 'invite', '--url', origin);
  await page.goto(invite.address);
  await page.getByLabel('Your name').fill(NAME);
  await page.getByLabel('Password').fill('too short');
  await page.getByRole('button', { name: 'Begin' }).click();
  expect(
    await page
      .getByLabel('Password')
      .evaluate((field) => (field as unknown as { validity: { tooShort: boolean } }).validity.tooShort),
  ).toBe(true);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Begin' }).click();
  await page.getByRole('button', { name: 'Make recovery codes' }).click(IN_TIME);
  await page.locator('.codes li:nth-child(10)').waitFor(IN_TIME);
  await page.getByRole('button', { name: 'Make a passkey' }).click();
  await page.getByText('The passkey is registered').waitFor();
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Go on' }).click();
  await heading('Overview').waitFor();
  await page.getByText('Scan your first label').waitFor();
  await expectAccessible(page);

  const other = await browser.newContext({ baseURL: origin });
  const second = await other.newPage();
  await second.goto(invite.address);
  await second.getByLabel('Your name').fill('Mallory');
  await second.getByLabel('Password').fill(PASSWORD);
  await second.getByRole('button', { name: 'Begin' }).click();
  await second.getByText('access.bad-invite').waitFor(IN_TIME);
  await other.close();
});

test('signs out, in by the passkey, out, and in by the password', async () => {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await heading('Sign in').waitFor();
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await heading('Overview').waitFor(IN_TIME);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Name').fill(NAME);
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByText('access.wrong-password').waitFor(IN_TIME);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await heading('Overview').waitFor(IN_TIME);
});

test('the camera finds the label, whose batch has knocked before; the owner admits it', async () => {
  devices[0]!.start();
  await visit('Handshakes');
  await page.getByText('its batch is not admitted here').first().waitFor(IN_TIME);
  await visit('Claim');
  await heading('Batch').waitFor(IN_TIME);
  await page.getByText(/trying since .* attempts? from/).waitFor();
  await expectAccessible(page);
  await picture(page, 'claim');
  await page.getByLabel('How many devices are announced').fill(String(DEVICES));
  await page.getByRole('button', { name: 'Admit the batch' }).click();
  await page.getByText(`of ${DEVICES} arrived`).first().waitFor(IN_TIME);
});

test('the batch arrives live, on its page and on the map', async () => {
  for (const device of devices.slice(1)) device.start();
  await page
    .getByText(`${DEVICES} of ${DEVICES} arrived, ${DEVICES} with a tunnel`)
    .waitFor({ timeout: 120_000 });
  await expectAccessible(page);
  await picture(page, 'batch');
  await visit('Map');
  await page.getByRole('heading', { name: 'Map', exact: true }).waitFor(IN_TIME);
  await page.getByRole('cell', { name: 'Switzerland', exact: true }).waitFor(IN_TIME);
  await page.getByRole('cell', { name: 'Winterthur, Zurich, Switzerland, within 20 km' }).waitFor(IN_TIME);
  expect(await page.locator('.map-devices').count()).toBe(ABROAD.length);
  await expectAccessible(page);
  await picture(page, 'map');
  await visit('Overview');
  await page.getByText(`${DEVICES} online`).waitFor();
  await expectAccessible(page);
  await picture(page, 'overview');
});

test('a device is named, found by its name, and banned: its tunnel is cut while the page says so', async () => {
  const [, device] = devices;
  const { address } = await device!.until('online');
  await visit('Devices');
  await page.getByRole('searchbox').fill(address!);
  await page.getByRole('link', { name: address! }).click();
  await page.getByRole('button', { name: 'Name' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Not a DNS label');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('fabric.bad-input').waitFor();
  await page.getByLabel('Name', { exact: true }).fill('pump-7');
  await page.getByRole('button', { name: 'Save' }).click();
  await heading('pump-7').waitFor();
  await page.getByText('has had a tunnel since').waitFor();
  await page.getByRole('button', { name: 'Ban' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Ban' }).click();
  await page.getByText('The device is banned (in force).').waitFor(IN_TIME);
  await page.getByText('its tunnel ended').waitFor(IN_TIME);
  await device!.until('blocked');
  await expectAccessible(page);
  await picture(page, 'device');
  await page.goto(`${origin}/#/devices?standing=banned`);
  await page.getByRole('link', { name: 'pump-7' }).waitFor();
  expect(await page.locator('tbody tr').count()).toBe(1);
  await page.goto(`${origin}/#/devices`);
  await page.locator(`tbody tr:nth-child(${DEVICES})`).waitFor();
  await expectAccessible(page);
  await picture(page, 'devices');
  const saved = page.waitForEvent('download');
  await page.getByRole('link', { name: 'CSV', exact: true }).click();
  const lines = readFileSync(await (await saved).path(), 'utf8')
    .trimEnd()
    .split('\r\n');
  expect(lines).toHaveLength(DEVICES + 1);
  expect(lines.join('\n')).toContain('pump-7');
});

test('all devices of a list are changed at once, after it was said how many those are', async () => {
  await page.goto(`${origin}/#/devices?standing=banned`);
  await page.getByRole('button', { name: 'Change all of these' }).click(IN_TIME);
  const dialog = page.getByRole('dialog');
  await dialog.getByText('0 of them would be banned').waitFor(IN_TIME);
  await dialog.getByLabel('What is to be done').selectOption('unban');
  await dialog.getByText('1 of them would be unbanned').waitFor(IN_TIME);
  await expectAccessible(page);
  await picture(page, 'bulk');
  await dialog.getByRole('button', { name: 'Unban 1' }).click();
  await page.getByText('1 device was unbanned (in force).').waitFor(IN_TIME);
  await page.getByText('No device is like that.').waitFor(IN_TIME);
  await must(world.fabric.run('device', 'ban', 'pump-7'));
  await page.getByRole('link', { name: 'pump-7' }).waitFor(IN_TIME);
});

test('the trail tells of both, and its chain is recomputed in the browser, as entries come', async () => {
  await visit('Audit');
  await page.getByText(/Anna .* admitted the batch “Batch”/).waitFor();
  await page.getByText(/Anna .* banned fd00/).waitFor();
  await page.getByRole('button', { name: 'Verify in this browser' }).click();
  await page.getByText('fit together').waitFor(IN_TIME);
  await expectAccessible(page);
  await picture(page, 'audit');
  await must(world.fabric.run('network', 'add', 'fd00:e4f:2::/64', '--name', 'harbour'));
  await page.getByText('added the network “harbour”').waitFor(IN_TIME);
  await page.getByText('fit together').waitFor(IN_TIME);
  await page.getByText('Compare with a head that you have kept').click();
  await page.getByLabel('Number and hash').fill(`1 ${'0'.repeat(64)}`);
  await page.getByRole('button', { name: 'Compare' }).click();
  await page.locator('p.bad').waitFor();
});

test('unbanned, the device is back by itself; retired, it never is, and its timeline tells all of it', async () => {
  await page.goto(`${origin}/#/devices?q=pump-7`);
  await page.getByRole('link', { name: 'pump-7' }).click(IN_TIME);
  await page.getByRole('button', { name: 'Unban' }).click(IN_TIME);
  await page.getByRole('dialog').getByRole('button', { name: 'Unban' }).click();
  await page.getByText(/connects within \d+ s/).waitFor(IN_TIME);
  await page.locator('.presence-online').waitFor({ timeout: 90_000 });
  await page.getByRole('button', { name: 'Retire' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('the last group of its address').fill('0');
  await dialog.getByRole('button', { name: 'Retire' }).click();
  await dialog.getByText('not the last group').waitFor();
  const end = new URL(page.url()).hash.split(/:|%3A/).at(-1)!;
  await dialog.getByLabel('the last group of its address').fill(end);
  await dialog.getByRole('button', { name: 'Retire' }).click();
  await page.getByText('The device is retired').waitFor(IN_TIME);
  for (const text of ['retired fd00', 'unbanned fd00', 'banned fd00', 'named fd00', 'Handshake: admitted'])
    await page.getByRole('cell', { name: text }).first().waitFor(IN_TIME);
  expect(await page.getByRole('button', { name: 'Ban' }).count()).toBe(0);
  await expectAccessible(page);
  await picture(page, 'timeline');
});

test('an alarm says what it means and what to do; somebody looks after it, and a hook hears of it', async () => {
  await page.getByRole('link', { name: /^Alarms/ }).click();
  await page.getByRole('button', { name: 'Add a hook' }).click();
  await page.getByLabel('Name').fill('on-call');
  await page.getByLabel('Address').fill('mailto:ops@example.org');
  await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
  await page.getByText('The key of its signatures').waitFor(IN_TIME);
  const [group] = await world.fabric.json<{ gid: string }[]>('group', 'list');
  await must(world.fabric.run('group', 'announce', group!.gid, '3'));
  await page.getByText(`${DEVICES} devices of "Batch" came, 3 are expected.`).waitFor(IN_TIME);
  const row = page.getByRole('row', { name: /are expected/ });
  await row.getByRole('button', { name: 'Acknowledge' }).click();
  await row.getByRole('cell', { name: NAME }).waitFor(IN_TIME);
  await page.getByRole('button', { name: 'What was sent' }).click();
  await page.getByText('no mail server').first().waitFor(IN_TIME);
  await page.getByRole('cell', { name: 'alarm.acknowledged' }).waitFor(IN_TIME);
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Hide' }).click();
  await picture(page, 'alarms');
});

test('people are invited and removed; a role that may less sees less, and is refused what it does not see', async () => {
  await visit('People');
  await page.getByRole('button', { name: 'Invite somebody' }).click();
  await page.getByLabel('Role').selectOption('auditor');
  await page.getByRole('button', { name: 'Make an invite' }).click();
  const address = await page.locator('.note code').textContent();
  // What nobody is to use any more is withdrawn, also after a reload.
  await page.getByRole('button', { name: 'Invite somebody' }).click();
  await page.getByLabel('Role').selectOption('installer');
  await page.getByRole('button', { name: 'Make an invite' }).click();
  await page.reload();
  const open = page.getByRole('table', { name: 'Invites that somebody may still use' });
  await open.getByRole('row', { name: /auditor/ }).waitFor(IN_TIME);
  await open
    .getByRole('row', { name: /installer/ })
    .getByRole('button', { name: 'Withdraw' })
    .click();
  await page.getByRole('dialog').getByRole('button', { name: 'Withdraw' }).click();
  await expect.poll(() => open.getByRole('row', { name: /installer/ }).count(), IN_TIME).toBe(0);
  await expectAccessible(page);
  const context = await browser.newContext({ baseURL: origin });
  const other = await context.newPage();
  await other.goto(address!);
  await other.getByLabel('Your name').fill('Otto');
  await other.getByLabel('Password').fill(PASSWORD);
  await other.getByRole('button', { name: 'Begin' }).click();
  await other.getByRole('button', { name: 'Go on' }).click(IN_TIME);
  await other.getByRole('heading', { name: 'Overview' }).waitFor();
  expect(await other.getByRole('link', { name: 'Claim' }).count()).toBe(0);
  const refused = await other.evaluate(
    async (body) =>
      (
        await fetch('/api/v1/networks', {
          method: 'POST',
          body,
          headers: { 'x-enf-request': '1', 'content-type': 'application/json' },
        })
      ).status,
    JSON.stringify({ prefix: 'fd00:e4f:3::/64', name: 'n' }),
  );
  expect(refused).toBe(403);
  await page.getByRole('row', { name: /Otto/ }).getByRole('button', { name: 'Remove' }).click(IN_TIME);
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await other.getByRole('heading', { name: 'Sign in' }).waitFor(IN_TIME);
  await other.getByText('You were signed out').waitFor();
  await context.close();
});

test('a batch gets limits; the owner chooses what is kept of addresses; a wall shows all without a touch', async () => {
  // What is typed the moment the field is there stays.
  await page.evaluate(`new MutationObserver((_, observer) => {
    const field = document.querySelector('[data-search]');
    if (field === null) return;
    observer.disconnect();
    field.value = 'zzz';
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }).observe(document.body, { childList: true, subtree: true })`);
  await visit('Batches');
  await page.getByText('No batch has that in its name or id.').waitFor(IN_TIME);
  await page.getByRole('link', { name: 'Show all' }).click();
  await page.locator('tbody').getByRole('link').first().click(IN_TIME);
  await page.getByRole('button', { name: 'Change' }).click(IN_TIME);
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('New devices only from').fill('CH, Germany');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText('fabric.bad-country').waitFor(IN_TIME);
  await dialog.getByLabel('New devices only from').fill('ch de');
  await dialog.getByLabel('Let in at most').fill(String(DEVICES));
  await expectAccessible(page);
  await picture(page, 'limits');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Switzerland, Germany').waitFor(IN_TIME);

  await visit('Settings');
  await page.getByText('Nobody has chosen yet').waitFor(IN_TIME);
  await page.getByLabel('Of the address a handshake comes from is kept').selectOption('cut');
  await page.getByText('2001:db8:47::/48').waitFor();
  await page.getByLabel('For how many days').fill('90');
  await expectAccessible(page);
  await picture(page, 'settings');
  await page.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText('What is forgotten does not come back').waitFor();
  await dialog.getByRole('button', { name: 'Change' }).click();
  await page.getByText('chose this').waitFor(IN_TIME);
  // What is there is cut step by step; a page shows what was so when it was opened.
  await expect
    .poll(async () => {
      await visit('Overview');
      await visit('Handshakes');
      await page.getByRole('table').first().waitFor(IN_TIME);
      return page.getByText('/24', { exact: false }).count();
    }, IN_TIME)
    .toBeGreaterThan(0);
  await page.getByText('Four weeks, hour by hour').click();
  await page.locator('.calendar-4').first().waitFor(IN_TIME);
  await expectAccessible(page);
  await picture(page, 'calendar');

  await visit('Overview');
  await page.getByRole('link', { name: 'For a wall' }).click(IN_TIME);
  await page.locator('.wall-numbers').getByText(String(DEVICES)).first().waitFor(IN_TIME);
  await page.locator('.wall-arrivals li').first().waitFor(IN_TIME);
  expect(await page.getByRole('navigation').count()).toBe(0);
  await expectAccessible(page);
  await picture(page, 'wall');
  await page.getByRole('link', { name: 'Back to the console' }).click();
  await heading('Overview').waitFor(IN_TIME);
});

test('on a phone, in the dark, by keyboard alone', async () => {
  const state = await page.context().storageState();
  const phone = await watchedPage(browser, origin, {
    storageState: state,
    viewport: { width: 390, height: 844 },
    colorScheme: 'dark',
  });
  for (const path of [
    '',
    'claim',
    'batches',
    'devices',
    'handshakes',
    'map',
    'alarms',
    'networks',
    'rules/fd00:e4f:2::%2F64',
    'audit',
    'people',
    'settings',
    'wall',
    'you',
  ]) {
    await phone.page.goto(`${origin}/#/${path}`);
    await phone.page.getByRole('heading', { level: 1 }).waitFor();
    await phone.page.locator('.waiting').waitFor({ state: 'detached' });
    await expectAccessible(phone.page);
    const tooWide = await phone.page.evaluate<boolean>('document.documentElement.scrollWidth > innerWidth');
    expect([path, tooWide]).toEqual([path, false]);
  }
  await phone.page.goto(`${origin}/#/networks`);
  await picture(phone.page, 'phone');
  await phone.page.getByRole('button', { name: 'Add a network' }).focus();
  await phone.page.keyboard.press('Enter');
  await phone.page.getByRole('dialog').waitFor();
  await phone.page.keyboard.type('dock');
  await phone.page.keyboard.press('Tab');
  await phone.page.keyboard.type('fd00:e4f:4::/64');
  await phone.page.keyboard.press('Enter');
  await phone.page.getByRole('dialog').waitFor({ state: 'detached' });
  await phone.page.getByRole('link', { name: 'dock' }).waitFor();
  await phone.page.getByRole('button', { name: 'Add a network' }).focus();
  await phone.page.keyboard.press('Enter');
  await phone.page.getByRole('dialog').waitFor();
  await phone.page.keyboard.press('Escape');
  await phone.page.getByRole('dialog').waitFor({ state: 'detached' });
  expect(phone.wrongs).toEqual([]);
  await phone.context.close();
});

test('a console that is killed harms no tunnel; the pages say that they are not live, and then that the session is over', async () => {
  await visit('Networks');
  await world.fabric.stopConsole('SIGKILL');
  await page.getByText('not live since').waitFor(IN_TIME);
  const { address } = await devices[2]!.status();
  expect(await eventually('an answer', () => ping(world.network.fabric, address!))).toBeGreaterThan(0);
  await world.fabric.serveConsole(Number(new URL(origin).port));
  await heading('Sign in').waitFor(IN_TIME);
  await page.getByText('You were signed out').waitFor();
  await page.getByRole('button', { name: 'Sign in with a passkey' }).click();
  await heading('Networks').waitFor(IN_TIME);
  await page.getByText('● live').waitFor(IN_TIME);
});

test('no page asked another host, broke the policy or failed', () => {
  expect(wrongs).toEqual([]);
});
