import { expect, test } from 'vitest';
import { generateMakerKey, signAsMaker } from '../../crypto/maker-key.ts';
import { toHex } from '../../protocol/bytes.ts';
import { parseLabel, signLabel } from '../../protocol/label.ts';
import { makeBatch } from '../fabric/device.ts';
import { anyGroup, NETWORK, opened, registryFile } from '../fabric/place.ts';
import { applicant } from '../fabric/registry/contract/place.ts';
import { giveRoster, makeRoster, rostered, type TestRoster } from '../fabric/rosters.ts';
import { consoleBrowser, expectAccessible } from './browser.ts';
import { signedIn } from './signed-in.ts';

const IN_TIME = { timeout: 30_000 };
const console = consoleBrowser();

test('[H-E26] the page of a batch says what its roster means; a box of it is banned before it comes', async () => {
  const registry = opened(registryFile());
  await registry.addNetwork('alice', NETWORK, 'plant');
  const { gid } = await registry.addGroup('alice', anyGroup('batch 7'));
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console);
  await enter();
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
  await expectAccessible(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'dark' });
  await expectAccessible(page);
  expect(wrongs).toEqual([]);
}, 180_000);

/** A roster as a file that somebody chooses. */
const asFile = ({ header, lines }: TestRoster) => ({
  name: 'march.roster',
  mimeType: 'application/octet-stream',
  buffer: Buffer.concat([Buffer.from(`${header}\n`), lines]),
});

test('[H-E26] a roster is uploaded on the page of its batch: a wrong one is refused, a torn one goes on, the whole is in force', async () => {
  const registry = opened(registryFile());
  await registry.addNetwork('alice', NETWORK, 'plant');
  const { gid } = await registry.addGroup('alice', anyGroup('batch 7'));
  const other = await registry.addGroup('alice', anyGroup('batch 8'));
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console);
  await enter();
  await page.goto(`/#/batches/${toHex(gid)}`);
  const uploaded = async (file: ReturnType<typeof asFile>, names = false): Promise<void> => {
    await page.getByRole('button', { name: /^Upload (?:its|the rest of its) roster$/ }).click(IN_TIME);
    await page.getByLabel('Roster', { exact: true }).setInputFiles(file);
    if (names) await page.getByLabel('Call each device by its serial number').check();
    await page.getByRole('button', { name: 'Upload', exact: true }).click(IN_TIME);
  };
  const refused = (code: string): Promise<void> =>
    page.locator('.problem code', { hasText: code }).waitFor(IN_TIME);

  const devices = rostered(6_000);
  const roster = makeRoster(gid, devices, { perBox: 2 });
  const forged = JSON.parse(roster.header) as { signature: string };
  const header = JSON.stringify({ ...forged, signature: `AA${forged.signature.slice(2)}` });
  await uploaded(asFile({ ...roster, header }));
  await refused('roster.bad-signature');
  await uploaded(asFile(makeRoster(other.gid, devices)));
  await refused('roster.other-group');
  await uploaded({ ...asFile(roster), buffer: Buffer.from('no roster') });
  await refused('roster.bad-header');
  expect(await registry.roster(gid)).toEqual({ awaited: false });

  // Half of it, and a line that is none: what came before it is kept.
  const half = roster.lines.indexOf(0x0a, roster.lines.length - 20_000) + 1;
  await uploaded(
    asFile({ ...roster, lines: Buffer.concat([roster.lines.subarray(0, half), Buffer.from('{}x\n')]) }),
  );
  await refused('roster.bad-row');
  await page.getByText(/^Line \d+ of the roster names no device/).waitFor(IN_TIME);
  await page.getByText('is not in force yet').waitFor(IN_TIME);
  await registry.admit({ ...applicant({ gid }) });
  await expectAccessible(page);

  await uploaded(asFile(roster), true);
  await page.getByText('0 of 6,000 devices have been seen').waitFor(IN_TIME);
  await page.getByRole('link', { name: '1 device of the batch' }).waitFor(IN_TIME);
  expect((await registry.roster(gid)).roster).toMatchObject({
    state: 'in-force',
    names: true,
    devices: 6_000,
  });
  await expect(registry.admit({ ...applicant({ gid }) })).rejects.toMatchObject({
    code: 'fabric.not-on-roster',
  });
  expect(await page.getByRole('button', { name: /Upload/ }).count()).toBe(0);
  expect(wrongs).toEqual([]);
}, 180_000);

test('[H-E26] a batch is admitted with its roster in one step; one of another batch admits nothing', async () => {
  const registry = opened(registryFile());
  await registry.addNetwork('alice', NETWORK, 'plant');
  const batch = makeBatch('march');
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console);
  await enter();
  await page.goto('/#/claim');
  await page.getByLabel('Or paste the text of the label').fill(batch.label, IN_TIME);
  await page.getByRole('button', { name: 'Read it' }).click();
  const field = page.getByLabel('Roster, if the maker has given one');
  await field.setInputFiles(asFile(makeRoster(makeBatch('april').gid, rostered(3))), IN_TIME);
  await page.getByRole('button', { name: 'Admit the batch' }).click();
  await page.locator('.problem code', { hasText: 'roster.other-group' }).waitFor(IN_TIME);
  expect((await registry.groups({ limit: 9 })).rows).toEqual([]);

  await field.setInputFiles(asFile(makeRoster(batch.gid, rostered(3))), IN_TIME);
  await expectAccessible(page);
  await page.getByRole('button', { name: 'Admit the batch' }).click();
  await page.getByText('0 of 3 devices have been seen').waitFor(IN_TIME);
  expect(await registry.roster(batch.gid)).toMatchObject({ awaited: false, roster: { state: 'in-force' } });
  expect(wrongs).toEqual([]);
}, 180_000);

test('the signature of a label that is scanned is good, wrong or not checked, and a wrong one admits nothing', async () => {
  const registry = opened(registryFile());
  await registry.addNetwork('alice', NETWORK, 'plant');
  const [maker, other] = [generateMakerKey(), generateMakerKey()];
  const batch = makeBatch('march');
  const label = await signLabel(parseLabel(batch.label), async (message) =>
    signAsMaker(maker.secret, maker.publicKey, message),
  );
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console);
  await enter();
  await page.goto('/#/claim');
  await page.getByLabel('Or paste the text of the label').fill(label, IN_TIME);
  await page.getByRole('button', { name: 'Read it' }).click();
  await page.getByText('there, not checked').waitFor(IN_TIME);
  const choose = (key: string): Promise<void> =>
    page
      .getByLabel('Public key of the maker')
      .setInputFiles({ name: 'maker.pub', mimeType: 'application/x-pem-file', buffer: Buffer.from(key) });
  await choose(other.publicKey);
  await page.getByText('WRONG: not made with the key').waitFor(IN_TIME);
  expect(await page.getByRole('button', { name: 'Admit the batch' }).count()).toBe(0);
  await expectAccessible(page);
  await choose(maker.publicKey);
  await page.getByText('good: made with the key').waitFor(IN_TIME);
  await page.getByRole('button', { name: 'Admit the batch' }).click();
  await page.getByRole('heading', { level: 1, name: 'march' }).waitFor(IN_TIME);
  expect(wrongs).toEqual([]);
}, 180_000);
