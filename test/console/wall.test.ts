import { expect, onTestFinished, test } from 'vitest';
import { invitePerson } from '../../fabric/operations/people/people.ts';
import { served } from '../fabric/api/console.ts';
import { opened, registryFile } from '../fabric/place.ts';
import { consoleBrowser, watchedPage } from './browser.ts';

const IN_TIME = { timeout: 30_000 };
const { files, browser } = consoleBrowser();

test('a wall asks once for what it shows, and once more each minute', async () => {
  const registry = opened(registryFile());
  const { port } = await served(registry, { files });
  const context = {
    ...{ registry, now: Date.now, actor: 'alice' },
    running: { notify: async () => 'in force', presence: async () => undefined },
  };
  const { invite } = await invitePerson.run(context, { role: 'owner', hours: 1 });
  const { page, context: own } = await watchedPage(browser(), `http://localhost:${port}`);
  onTestFinished(() => own.close());
  await page.goto(`/#/setup/${invite}`);
  await page.getByLabel('Your name').fill('Anna');
  await page.getByLabel('Password').fill('four words are good');
  await page.getByRole('button', { name: 'Begin' }).click();
  await page.getByRole('button', { name: 'Go on' }).click(IN_TIME);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor(IN_TIME);
  const asked: string[] = [];
  page.on('request', (request) => {
    const { pathname, search } = new URL(request.url());
    if (pathname === '/api/v1/handshakes') asked.push(search);
  });
  await page.clock.install();
  await page.getByRole('link', { name: 'For a wall' }).click(IN_TIME);
  await page.getByText('Lately admitted').waitFor(IN_TIME);
  await page.waitForLoadState('networkidle').catch(() => {});
  await expect.poll(() => asked.length).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(asked).toHaveLength(1);
  await page.clock.runFor(60_000);
  await expect.poll(() => asked.length).toBe(2);
  await page.keyboard.press('Escape');
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor(IN_TIME);
}, 120_000);
