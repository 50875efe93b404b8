import { expect, test } from 'vitest';
import { DEFAULT_OWNER, scopeOf } from '../../fabric/access/scope.ts';
import { parsePrefix } from '../../protocol/ipv6.ts';
import { makeBatch } from '../fabric/device.ts';
import { opened, registryFile, type WholeRegistry } from '../fabric/place.ts';
import { applicant } from '../fabric/registry/contract/place.ts';
import { consoleBrowser, expectAccessible } from './browser.ts';
import { signedIn } from './signed-in.ts';

/** Who may act for several owners chooses among them; who may not sees nothing of that. */

const IN_TIME = { timeout: 30_000 };
const HOLD_MS = 600_000;
const console = consoleBrowser();

async function twoOwners(registry: WholeRegistry): Promise<void> {
  const { id } = await registry.addOwner('root', 'acme');
  await registry.lendPrefix('root', 'acme', parsePrefix('fd00:9::/48'));
  await registry.of(scopeOf(id, false)).addNetwork('root', parsePrefix('fd00:9:0:1::/64'), 'acme plant');
}

test('a person of two owners switches between them, and sees one at a time', async () => {
  const registry = opened(registryFile());
  await registry
    .of(scopeOf(DEFAULT_OWNER, true))
    .addNetwork('root', parsePrefix('fd00:1::/64'), 'first plant');
  const { page, wrongs, anna, enter } = await signedIn(registry, 'owner', console);
  await enter();
  await page.getByRole('link', { name: 'Networks', exact: true }).click(IN_TIME);
  await page.getByText('first plant').first().waitFor(IN_TIME);
  expect(await page.getByLabel('Owner', { exact: true }).count()).toBe(0);

  await twoOwners(registry);
  await registry.setMembership('root', 'acme', anna, 'auditor');
  await enter();
  await page.getByRole('link', { name: 'Networks', exact: true }).click(IN_TIME);
  const choice = page.getByLabel('Owner', { exact: true });
  await choice.waitFor(IN_TIME);
  expect(await choice.inputValue()).toBe('default');
  await page.getByText('first plant').first().waitFor(IN_TIME);
  expect(await page.getByText('acme plant').count()).toBe(0);
  await expectAccessible(page);
  await choice.selectOption('acme');
  await page.getByText('acme plant').first().waitFor(IN_TIME);
  expect(await page.getByText('first plant').count()).toBe(0);
  await page.getByText('auditor', { exact: true }).waitFor(IN_TIME);

  // It stays so in this window, and an owner that is none of hers any more is forgotten.
  await page.reload();
  await page.getByText('acme plant').first().waitFor(IN_TIME);
  await page.getByText('● live').waitFor(IN_TIME);
  await registry.setMembership('root', 'acme', anna, undefined);
  await enter();
  await page.getByRole('link', { name: 'Networks', exact: true }).click(IN_TIME);
  await page.getByText('first plant').first().waitFor(IN_TIME);
  expect(await choice.count()).toBe(0);
  expect(wrongs).toEqual([]);
}, 180_000);

test('who runs the fabric sees all owners, or one', async () => {
  const registry = opened(registryFile());
  await registry
    .of(scopeOf(DEFAULT_OWNER, true))
    .addNetwork('root', parsePrefix('fd00:1::/64'), 'first plant');
  await twoOwners(registry);
  for (const prefix of ['fd00:1::/64', 'fd00:9:0:1::/64']) {
    const group = await registry.addGroup('root', {
      ...makeBatch(),
      name: prefix,
      network: parsePrefix(prefix),
    });
    await registry.admit(applicant(group));
    await registry.recordFindings(
      [],
      [{ kind: 'group.over-announced', owner: group.owner, subject: prefix, detail: {} }],
      HOLD_MS,
    );
  }
  const { page, wrongs, enter } = await signedIn(registry, 'host', console);
  await enter();
  await page.getByRole('link', { name: 'Networks', exact: true }).click(IN_TIME);
  await page.getByText('first plant').first().waitFor(IN_TIME);
  await page.getByText('acme plant').first().waitFor(IN_TIME);
  const choice = page.getByLabel('Owner', { exact: true });
  expect(await choice.inputValue()).toBe('');
  // Who sees what is of several owners sees whose it is; of one it goes without saying.
  const visit = async (list: string): Promise<void> => {
    await page.goto(`/#/${list.toLowerCase()}`);
    await page.getByRole('heading', { level: 1, name: list, exact: true }).waitFor(IN_TIME);
  };
  const column = page.getByRole('columnheader', { name: 'Owner', exact: true });
  for (const list of ['Devices', 'Batches', 'Handshakes', 'Audit', 'Alarms']) {
    await visit(list);
    await column.waitFor(IN_TIME);
    for (const owner of ['default', 'acme'])
      await page.getByRole('cell', { name: owner, exact: true }).first().waitFor(IN_TIME);
  }
  await expectAccessible(page);
  await visit('Networks');
  await choice.selectOption('acme');
  await page.getByText('Lent to this owner').waitFor(IN_TIME);
  for (const list of ['Handshakes', 'Audit', 'Alarms']) {
    await visit(list);
    await page.getByRole('columnheader').first().waitFor(IN_TIME);
    expect(await column.count()).toBe(0);
  }
  await visit('Networks');
  await expect.poll(() => page.getByText('first plant').count(), IN_TIME).toBe(0);
  await page.getByText('acme plant').first().waitFor(IN_TIME);
  await choice.selectOption('');
  await page.getByText('first plant').first().waitFor(IN_TIME);
  expect(wrongs).toEqual([]);
}, 180_000);
