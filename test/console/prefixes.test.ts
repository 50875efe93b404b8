import { expect, test } from 'vitest';
import { DEFAULT_OWNER, scopeOf } from '../../fabric/access/scope.ts';
import { toHex } from '../../protocol/bytes.ts';
import { formatIpv6, parsePrefix } from '../../protocol/ipv6.ts';
import { anyGroup, NETWORK, opened, registryFile } from '../fabric/place.ts';
import { applicant } from '../fabric/registry/contract/place.ts';
import { consoleBrowser, expectAccessible } from './browser.ts';
import { signedIn } from './signed-in.ts';

const IN_TIME = { timeout: 30_000 };
const console = consoleBrowser();
const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: 'dark' } as const;

/** A network with a batch, of which two devices are in. */
async function place() {
  const registry = opened(registryFile());
  const own = registry.of(scopeOf(DEFAULT_OWNER, true));
  await own.addNetwork('root', NETWORK, 'plant');
  const { gid } = await own.addGroup('root', anyGroup('batch 7'));
  const addresses = [await registry.admit(applicant({ gid })), await registry.admit(applicant({ gid }))];
  return { registry, own, gid: toHex(gid), addresses: addresses.map(formatIpv6) };
}

test('an owner gives a pool, and grants and withdraws prefixes, on a phone in the dark', async () => {
  const { registry, gid, addresses } = await place();
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console, PHONE);
  await enter();
  const dialog = page.getByRole('dialog');
  const press = (name: string) => dialog.getByRole('button', { name, exact: true }).click();

  // Without a pool there is nothing to grant.
  await page.goto(`/#/devices/${encodeURIComponent(addresses[1]!)}`);
  await page.getByRole('button', { name: 'Delegate', exact: true }).click(IN_TIME);
  await press('Delegate');
  await dialog.getByText('fabric.no-pool').waitFor(IN_TIME);
  await expectAccessible(page);
  await press('Cancel');

  await page.goto('/#/networks');
  await page.getByRole('row', { name: 'plant' }).getByRole('link', { name: 'none' }).click(IN_TIME);
  await page.getByText('This network has no pool').waitFor(IN_TIME);
  await page.getByRole('button', { name: 'Give it a pool' }).click(IN_TIME);
  await dialog.getByLabel('Pool').fill('fd00:9::/40');
  await press('Save');
  await dialog.getByText('fabric.bad-pool').waitFor(IN_TIME);
  await dialog.getByLabel('Pool').fill('fd00:9::/48');
  await expectAccessible(page);
  await press('Save');
  await page.getByText('Prefixes come out of fd00:9::/48').waitFor(IN_TIME);
  await page.getByText('No device has one.').waitFor(IN_TIME);

  await page.goto(`/#/devices/${encodeURIComponent(addresses[1]!)}`);
  await page.getByRole('button', { name: 'Delegate', exact: true }).click(IN_TIME);
  await expectAccessible(page);
  await press('Delegate');
  await page.getByText('The device has fd00:9::/64').waitFor(IN_TIME);

  await page.goto(`/#/batches/${gid}`);
  await page.getByText('none by the batch').waitFor(IN_TIME);
  await page.getByRole('button', { name: 'Delegate', exact: true }).click();
  await dialog.getByText('batch 7, 2 devices').waitFor(IN_TIME);
  await expectAccessible(page);
  await press('Delegate');
  await page.getByText('Each device of the batch gets a prefix').waitFor(IN_TIME);
  await page.getByText('one for each').waitFor(IN_TIME);

  // What its batch is granted stays with the device.
  await page.goto(`/#/devices/${encodeURIComponent(addresses[1]!)}`);
  await page.getByRole('button', { name: 'Withdraw', exact: true }).click(IN_TIME);
  await press('Withdraw');
  await page.getByText('The device keeps fd00:9::/64, which is granted to its batch').waitFor(IN_TIME);

  await page.goto(`/#/prefixes/${encodeURIComponent('fd00:1:2:3::/64')}`);
  await page
    .getByRole('row', { name: 'fd00:9::/64' })
    .getByText('delegated', { exact: true })
    .waitFor(IN_TIME);
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Change the pool' }).click();
  await dialog.getByLabel('Pool').fill('');
  await press('Save');
  await dialog.getByText('fabric.pool-in-use').waitFor(IN_TIME);
  await press('Cancel');

  await page.goto(`/#/batches/${gid}`);
  await page.getByRole('button', { name: 'Withdraw', exact: true }).click(IN_TIME);
  await press('Withdraw');
  await page.getByText('The prefixes of the batch are withdrawn').waitFor(IN_TIME);
  await page.goto(`/#/prefixes/${encodeURIComponent('fd00:1:2:3::/64')}`);
  await page.getByText('withdrawn, and kept for the device').waitFor(IN_TIME);
  await page.getByRole('button', { name: 'Change the pool' }).click();
  await dialog.getByLabel('Pool').fill('');
  await press('Save');
  await page.getByText('The network has no pool any more').waitFor(IN_TIME);
  expect(wrongs).toEqual([]);
}, 180_000);

test('there are more prefixes than a page has, and who may not change them sees no button', async () => {
  const { registry, own, gid, addresses } = await place();
  await own.setPool('root', NETWORK, parsePrefix('fd00:9::/48'));
  const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
  for (let i = 0; i < 51; i++) {
    const address = await registry.admit(applicant({ gid: bytes(gid) }));
    await own.setGrant('root', { kind: 'device', address }, true);
  }
  const { page, wrongs, enter } = await signedIn(registry, 'auditor', console, PHONE);
  await enter();
  await page.goto(`/#/prefixes/${encodeURIComponent('fd00:1:2:3::/64')}`);
  await page.getByRole('row', { name: 'fd00:9:0:31::/64' }).waitFor(IN_TIME);
  expect(await page.getByRole('row', { name: 'fd00:9:0:32::/64' }).count()).toBe(0);
  await page.getByRole('button', { name: 'Next 50' }).click();
  await page.getByRole('row', { name: 'fd00:9:0:32::/64' }).waitFor(IN_TIME);
  expect(await page.getByRole('button', { name: 'Change the pool' }).count()).toBe(0);
  await page.goto(`/#/devices/${encodeURIComponent(addresses[0]!)}`);
  await page.getByText('Prefix behind it').waitFor(IN_TIME);
  expect(await page.getByRole('button', { name: 'Delegate' }).count()).toBe(0);
  expect(wrongs).toEqual([]);
}, 180_000);
