import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readCertificate } from '../../crypto/certificates.ts';
import { DEFAULT_OWNER, scopeOf } from '../../fabric/access/scope.ts';
import { parseRoots } from '../../protocol/identity/roots.ts';
import { parseIpv6, parsePrefix } from '../../protocol/ipv6.ts';
import { caFolder } from '../fabric/openssl-ca.ts';
import { opened, registryFile, type WholeRegistry } from '../fabric/place.ts';
import { consoleBrowser, expectAccessible, picture } from './browser.ts';
import { signedIn } from './signed-in.ts';

const IN_TIME = { timeout: 30_000 };
const console = consoleBrowser();
const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: 'dark' } as const;

const files = caFolder();
afterAll(() => files.remove());
const root = files.ca({
  subject: '/O=Example/CN=Plant CA',
  extensions: ['keyUsage=critical,keyCertSign,cRLSign'],
});
const bare = files.ca({ subject: '/CN=Old CA', seconds: 20 * 86_400 });
const other = files.ca({ subject: '/CN=Somebody else' });

const file = (name: string, text: string): string => {
  const path = join(files.folder, name);
  writeFileSync(path, text);
  return path;
};

async function plant(): Promise<WholeRegistry> {
  const registry = opened(registryFile());
  await registry.of(scopeOf(DEFAULT_OWNER, true)).addNetwork('root', parsePrefix('fd00:1::/64'), 'plant');
  return registry;
}

test('an owner adds a CA, lists its machines, gives a list of revoked ones, and removes it', async () => {
  const registry = await plant();
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console);
  await enter();
  await page.getByRole('link', { name: 'CAs', exact: true }).click(IN_TIME);
  await page.getByText('You need one only if your machines have certificates already').waitFor(IN_TIME);
  await expectAccessible(page);

  await page.getByRole('button', { name: 'Add a CA' }).click();
  const dialog = page.getByRole('dialog');
  const certificate = dialog.getByLabel('Its certificate');
  await certificate.setInputFiles(file('text.pem', 'no certificate'));
  await dialog.getByText('expected certificates in PEM or one in DER').waitFor(IN_TIME);
  await certificate.setInputFiles(files.leaf({ subject: '/CN=pump', by: root, addresses: [] }).file);
  await dialog.getByText('may not sign others').waitFor(IN_TIME);
  await expectAccessible(page);
  expect(await dialog.getByRole('button', { name: 'Add', exact: true }).isDisabled()).toBe(true);

  await certificate.setInputFiles(bare.file);
  await dialog.getByText('It ends in 19 days').waitFor(IN_TIME);
  await dialog.getByText('no keyUsage').waitFor();
  await certificate.setInputFiles(root.file);
  await dialog.getByText('CN=Plant CA,O=Example').waitFor(IN_TIME);
  await dialog.getByText('The CA, issued by itself; P-256').waitFor();
  expect(await dialog.getByText('no keyUsage').count()).toBe(0);
  await dialog.getByLabel('Name').fill('plant CA');
  expect(await dialog.getByRole('button', { name: 'Add', exact: true }).isDisabled()).toBe(true);
  await dialog.getByLabel('plant').check();
  await expectAccessible(page);
  await picture(page, 'ca-add');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'plant CA' }).waitFor(IN_TIME);
  await page.getByText('Nobody comes in before devices are listed').waitFor();
  await expectAccessible(page);

  await page.getByRole('button', { name: 'List devices' }).click();
  const list = dialog.getByLabel('The list');
  await list.setInputFiles(
    file('wrong.csv', 'address,serial\nfd00:1::1:0:1,1\nfd00:2::1:0:1,2\nfd00:1::1:0:2,x\nfd00:1::1:0:3\n'),
  );
  await dialog.getByText('Line 3: fd00:2::1:0:1 is in none of the networks').waitFor(IN_TIME);
  await dialog.getByText('Line 4: "x" is no serial number').waitFor();
  await dialog.getByText('Line 5: expected 2 fields, got 1').waitFor();
  expect(await dialog.getByRole('button', { name: 'List', exact: true }).isDisabled()).toBe(true);
  await expectAccessible(page);
  const rows = Array.from({ length: 250 }, (_, i) => `fd00:1::1:0:${(i + 1).toString(16)},${i + 1}`);
  await list.setInputFiles(file('right.csv', `address,serial\n${rows.join('\n')}\n`));
  await dialog.getByText('250 devices in the file').waitFor(IN_TIME);
  await dialog.getByRole('button', { name: 'List', exact: true }).click();
  await page.getByText('250 devices listed.').waitFor(IN_TIME);
  expect((await registry.anchors())[0]).toMatchObject({ listed: 250 });

  await page.getByRole('button', { name: 'Give a list' }).click();
  await dialog.getByLabel('The list').setInputFiles(root.file);
  await dialog.getByText('is no list of revoked certificates').waitFor(IN_TIME);
  await dialog.getByLabel('The list').setInputFiles(file('other.crl', files.crl(other, ['01'])));
  await dialog.getByRole('button', { name: 'Give', exact: true }).click();
  await dialog.getByText('pki.bad-crl').waitFor(IN_TIME);
  await dialog.getByLabel('The list').setInputFiles(file('ca.crl', files.crl(root, ['4711', '4712'])));
  await dialog.getByRole('button', { name: 'Give', exact: true }).click();
  await page.getByText('The list counts.').waitFor(IN_TIME);
  await page.getByText('2 certificates revoked.').waitFor();

  await page.getByRole('button', { name: 'Revoke one' }).click();
  await dialog.getByLabel('Its serial number').fill('none');
  await dialog.getByLabel('Reason').fill('lost');
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await dialog.getByText('pki.bad-mapping').waitFor(IN_TIME);
  await dialog.getByLabel('Its serial number').fill('4f:02:9a');
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('3 certificates revoked.').waitFor(IN_TIME);
  await expectAccessible(page);
  await picture(page, 'ca');

  const [{ id, networks } = { id: 0, networks: [] }] = await registry.anchors();
  const address = parseIpv6('fd00:1::1:0:1');
  const facts = readCertificate(parseRoots(readFileSync(root.file), 'x').certificates[0]!)!;
  const device = { address, gid: networks[0]!.gid, anchor: id, facts, source: '192.0.2.1', names: [] };
  await registry.admitVouched(device);
  registry.connected(address, '192.0.2.1');
  await page.getByText('1 device came, 1 with a tunnel').waitFor(IN_TIME);
  await page.getByRole('link', { name: '1 device', exact: true }).click();
  await page.getByRole('cell', { name: 'fd00:1::1:0:1' }).waitFor(IN_TIME);
  await page.goBack();
  await page.getByRole('button', { name: 'Remove' }).click(IN_TIME);
  await dialog.getByText('1 device with a tunnel is cut at once.').waitFor(IN_TIME);
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await page.getByText('No CA. You need one only').waitFor(IN_TIME);
  expect(wrongs).toEqual([]);
}, 180_000);

test('on a phone in the dark the same is there, and a list that is overdue stands out', async () => {
  const registry = await plant();
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console, PHONE);
  await enter();
  const add = page.getByRole('button', { name: 'Add a CA' });
  await page.getByRole('link', { name: 'CAs', exact: true }).click(IN_TIME);
  await add.click(IN_TIME);
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Its certificate').setInputFiles(root.file);
  await dialog.getByLabel('plant').check(IN_TIME);
  await dialog.getByLabel('It admits').selectOption('anybody');
  await expectAccessible(page);
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'Plant CA' }).waitFor(IN_TIME);

  await page.getByRole('button', { name: 'Have it fetched' }).click();
  await dialog.getByLabel('Address').fill('file:///etc/passwd');
  await dialog.getByRole('button', { name: 'Fetch' }).click();
  await dialog.getByText('pki.bad-crl-address').waitFor(IN_TIME);
  await dialog.getByLabel('Address').fill('http://crl.example.org/ca.crl');
  await dialog.getByRole('button', { name: 'Fetch' }).click();
  await page.getByText('http://crl.example.org/ca.crl').waitFor(IN_TIME);
  const [due] = await registry.dueLists(1);
  await registry.recordFetch(due!, { kind: 'failed', due: Date.now() + 1_000_000, error: 'HTTP 404' });
  const [{ id } = { id: 0 }] = await registry.anchors();
  const past = {
    thisUpdate: 1_000,
    nextUpdate: 2_000,
    revoked: new Uint8Array(0),
    issuerHash: new Uint8Array(32),
  };
  await registry.takeList('root', id, past);
  await page.getByText('overdue, and goes on counting').waitFor(IN_TIME);
  await page.getByText('HTTP 404').waitFor();
  await expectAccessible(page);
  const wide = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
  expect(wide).toBe(false);
  await picture(page, 'ca-phone');
  await page.getByRole('link', { name: 'CAs', exact: true }).first().click();
  await page.getByText('overdue: due').waitFor(IN_TIME);
  await expectAccessible(page);
  expect(wrongs).toEqual([]);
}, 180_000);

test('who may not change CAs sees them without the ways to do it', async () => {
  const registry = await plant();
  const { page, enter } = await signedIn(registry, 'auditor', console);
  await enter();
  await page.getByRole('link', { name: 'CAs', exact: true }).click(IN_TIME);
  await page.getByText('No CA. You need one only').waitFor(IN_TIME);
  expect(await page.getByRole('button', { name: 'Add a CA' }).count()).toBe(0);
}, 60_000);
