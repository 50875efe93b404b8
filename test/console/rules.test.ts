import { expect, test } from 'vitest';
import { DEFAULT_OWNER, scopeOf } from '../../fabric/access/scope.ts';
import { parsePrefix } from '../../protocol/ipv6.ts';
import { opened, registryFile } from '../fabric/place.ts';
import { consoleBrowser, expectAccessible } from './browser.ts';
import { signedIn } from './signed-in.ts';

const IN_TIME = { timeout: 30_000 };
const console = consoleBrowser();
const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: 'dark' } as const;

test('an owner says who reaches whom, in what order, and gives names, on a phone in the dark', async () => {
  const registry = opened(registryFile());
  await registry.of(scopeOf(DEFAULT_OWNER, true)).addNetwork('root', parsePrefix('fd00:1::/64'), 'harbour');
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console, PHONE);
  await enter();
  await page.getByRole('link', { name: 'Networks', exact: true }).click(IN_TIME);
  const dialog = page.getByRole('dialog');
  const network = page.getByRole('row', { name: 'harbour' });
  await network.getByRole('button', { name: 'Names' }).click(IN_TIME);
  await dialog.getByLabel('Domain').fill('no domain');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('dns.bad-zone').waitFor(IN_TIME);
  await dialog.getByLabel('Domain').fill('harbour.internal');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await network.getByText('harbour.internal').waitFor(IN_TIME);
  await expectAccessible(page);

  await network.getByRole('link', { name: 'Who reaches whom' }).click();
  await page.getByText('No rules: the devices reach each other').waitFor(IN_TIME);
  for (const [what, direction, whom] of [
    ['allow', 'out', 'host'],
    ['deny', 'in', 'outside'],
  ] as const) {
    await page.getByRole('button', { name: 'Add a rule' }).click();
    await dialog.getByLabel('What becomes of it').selectOption(what);
    await dialog.getByLabel('Direction').selectOption(direction);
    await dialog.getByLabel('With').fill(whom);
    await dialog.getByLabel('Traffic').fill('tcp/22');
    await dialog.getByRole('button', { name: 'Add' }).click();
    await page.getByRole('cell', { name: whom }).waitFor(IN_TIME);
  }
  await expectAccessible(page);
  const first = page.getByRole('row').nth(1);
  await first.getByText('host').waitFor();
  await first.getByRole('button', { name: 'Down' }).click();
  await first.getByText('outside').waitFor(IN_TIME);
  await first.getByRole('button', { name: 'Remove' }).click();
  await dialog.getByText('for open connections, too').waitFor();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await page.getByRole('cell', { name: 'outside' }).waitFor({ state: 'detached', ...IN_TIME });
  await first.getByText('host').waitFor();

  await page.getByText('each device sends and gets as much').waitFor();
  for (const [way, packets, bytes] of [
    ['out', '1000', ''],
    ['both', '', '1000000'],
  ] as const) {
    await page.getByRole('button', { name: 'Set a limit' }).click();
    await dialog.getByLabel('Direction').selectOption(way);
    await dialog.getByLabel('Packets in a second').fill(packets);
    await dialog.getByLabel('Bytes in a second').fill(bytes);
    if (packets !== '') await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Set', exact: true }).click();
    await dialog.waitFor({ state: 'detached', ...IN_TIME });
  }
  await page.getByText('1,000 packets and 1,000,000 bytes a second').waitFor(IN_TIME);
  await page.getByText('1,000,000 bytes a second', { exact: true }).waitFor();
  await expectAccessible(page);
  const limit = page.getByRole('row', { name: 'Each device' });
  await limit.getByRole('button', { name: 'Remove' }).click();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await page.getByText('each device sends and gets as much').waitFor(IN_TIME);
  expect(wrongs).toEqual([]);
}, 180_000);
