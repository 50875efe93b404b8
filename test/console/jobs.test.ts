import type { Route } from 'playwright-core';
import { expect, test } from 'vitest';
import { anyGroup, NETWORK, opened, registryFile } from '../fabric/place.ts';
import { applicant } from '../fabric/registry/contract/place.ts';
import { consoleBrowser } from './browser.ts';
import { signedIn } from './signed-in.ts';

const IN_TIME = { timeout: 30_000 };
const console = consoleBrowser();

test('a job ends when its sheet is closed, also before the fabric has said that it has begun', async () => {
  const registry = opened(registryFile());
  await registry.addNetwork('root', NETWORK, 'plant');
  const { gid } = await registry.addGroup('root', anyGroup('batch 7'));
  await registry.admit(applicant({ gid }));
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console);
  await enter();
  await page.goto('/#/devices?standing=active');
  // Of so few devices a job is over at once: this one goes on until it is cancelled.
  const job = { id: 7, state: 'running', rows: 3, changed: 0, failed: 0, failures: [], effect: null };
  const answers = (route: Route): Promise<void> => route.fulfill({ json: job });
  const cancels: string[] = [];
  const dialog = page.getByRole('dialog');
  const begin = async (): Promise<void> => {
    await page.getByRole('button', { name: 'Change all of these' }).click(IN_TIME);
    await dialog.getByLabel('What is to be done').selectOption('unban');
    await dialog.getByText('0 of them would be unbanned').waitFor(IN_TIME);
    await dialog.getByRole('button', { name: 'Unban 0' }).click();
  };
  const close = () => dialog.getByRole('button', { name: 'Cancel' }).click();
  await page.route(/\/jobs\/7$/, answers);
  await page.route(/\/jobs\/7\/cancel$/, async (route) => {
    cancels.push(route.request().method());
    job.state = 'cancelled';
    await answers(route);
  });

  await page.route(/\/devices\/bulk$/, answers);
  await begin();
  await dialog.getByText('Cancel ends it').waitFor(IN_TIME);
  await close();
  await page.getByText('The job was cancelled').waitFor(IN_TIME);
  expect(cancels).toEqual(['POST']);

  job.state = 'running';
  let go = (): void => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  await page.unroute(/\/devices\/bulk$/);
  await page.route(/\/devices\/bulk$/, async (route) => {
    await held;
    await answers(route);
  });
  await page.reload();
  await begin();
  await close();
  go();
  await page.getByText('The job was cancelled').waitFor(IN_TIME);
  expect(cancels).toEqual(['POST', 'POST']);
  await page.unrouteAll({ behavior: 'wait' });
  expect(wrongs).toEqual([]);
}, 180_000);

test('a job that a restart of the fabric cuts short is waited for, and is said to be interrupted', async () => {
  const registry = opened(registryFile());
  await registry.addNetwork('root', NETWORK, 'plant');
  const { gid } = await registry.addGroup('root', anyGroup('batch 7'));
  await registry.admit(applicant({ gid }));
  const { page, enter } = await signedIn(registry, 'owner', console);
  await enter();
  await page.goto('/#/devices?standing=active');
  const job = { id: 7, state: 'running', rows: 3, changed: 2, failed: 0, failures: [], effect: null };
  const away = { status: 503, code: 'fabric.not-serving', remedy: 'retry', title: 'no fabric is serving' };
  const answers = [away, away, { ...job, state: 'interrupted' }];
  await page.route(/\/devices\/bulk$/, (route) => route.fulfill({ json: job }));
  await page.route(/\/jobs\/7$/, (route) => {
    const answer = answers.shift()!;
    const isProblem = 'code' in answer;
    return route.fulfill({
      status: isProblem ? 503 : 200,
      contentType: isProblem ? 'application/problem+json' : 'application/json',
      body: JSON.stringify(answer),
    });
  });
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Change all of these' }).click(IN_TIME);
  await dialog.getByLabel('What is to be done').selectOption('unban');
  await dialog.getByText('0 of them would be unbanned').waitFor(IN_TIME);
  await dialog.getByRole('button', { name: 'Unban 0' }).click();
  await page.getByText('2 devices were unbanned. The fabric was restarted before the job').waitFor(IN_TIME);
  expect(answers).toEqual([]);
});
