import { expect, onTestFinished, test } from 'vitest';
import { keepNode } from '../../fabric/nodes/keep.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import {
  anyGroup,
  NETWORK,
  opened,
  random,
  registryFile,
  scratch,
  type WholeRegistry,
} from '../fabric/place.ts';
import { applicant } from '../fabric/registry/contract/place.ts';
import { consoleBrowser, expectAccessible, picture } from './browser.ts';
import { signedIn } from './signed-in.ts';

const IN_TIME = { timeout: 30_000 };
const console = consoleBrowser();
const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: 'dark' } as const;
const DESK = { viewport: { width: 1280, height: 800 }, colorScheme: 'light' } as const;

/** A node that serves as long as the test lasts. */
async function serves(registry: WholeRegistry, name: string, tunnels: number): Promise<void> {
  const keeper = await keepNode(
    registry,
    { name, address: `2001:db8::${name}` },
    { data: scratch(), log: () => {}, onNameTaken: () => {}, beatMs: 500, load: () => 0.71 },
  );
  keeper.carries(() => tunnels);
  onTestFinished(() => keeper.close());
}

/** A node that was killed a minute ago. */
async function wasKilled(path: string, name: string): Promise<void> {
  const registry = opened(path, { now: () => Date.now() - 60_000 });
  await registry.join({ name, version: '0.1.0', installation: random(32) });
  await registry.beat({ tunnels: 50_102, load: 3.5 });
}

/** Two nodes, one that is lost, one that serves handshakes alone, and a device that is at the first one, besides one that is at none. */
async function place() {
  const path = registryFile();
  const registry = opened(path);
  await registry.addNetwork('root', NETWORK, 'plant');
  const { gid } = await registry.addGroup('root', anyGroup('batch 7'));
  const addresses = [await registry.admit(applicant({ gid })), await registry.admit(applicant({ gid }))];
  await serves(registry, 'a', 48_211);
  await serves(opened(path), 'b', 7);
  await wasKilled(path, 'c');
  await serves(opened(path, { serves: ['identity'] }), 'd', 0);
  const alone = opened(path);
  await alone.join({ name: 'e', version: '0.1.0', installation: random(32) });
  await alone.beat({ tunnels: 3, load: 0.1, routesLost: Date.now() - 60_000 });
  await registry.attach(addresses[0]!, '192.0.2.1');
  return { registry, addresses: addresses.map(formatIpv6) };
}

test('whoever runs the fabric sees the nodes, drains, resumes and removes them', async () => {
  const { registry, addresses } = await place();
  const { page, wrongs, enter } = await signedIn(registry, 'host', console, DESK);
  await enter();
  const dialog = page.getByRole('dialog');
  const press = (name: string) => dialog.getByRole('button', { name, exact: true }).click();
  const row = (name: string) => page.getByRole('row', { name: new RegExp(`^${name}\\b`) });

  await page.getByRole('link', { name: 'Nodes', exact: true }).click(IN_TIME);
  await row('a').getByText('serving').waitFor(IN_TIME);
  await row('a').getByText('48,211').waitFor(IN_TIME);
  await row('c').getByText('lost').waitFor(IN_TIME);
  await row('e').getByText('routes-lost').waitFor(IN_TIME);
  await row('e').getByText('no other node learns which devices are here').waitFor(IN_TIME);
  expect(await row('a').getByRole('button', { name: 'Remove' }).count()).toBe(0);
  await row('a').getByText('handshakes, tunnels, console').waitFor(IN_TIME);
  await row('d').getByText('handshakes', { exact: true }).waitFor(IN_TIME);
  expect(await row('d').getByRole('link').count()).toBe(0);

  await row('b').getByRole('button', { name: 'Drain' }).click();
  await dialog.getByText('7 devices had a tunnel there').waitFor(IN_TIME);
  await expectAccessible(page);
  await press('Drain');
  await page.getByText('b drains.').waitFor(IN_TIME);
  await row('b').getByText('draining').waitFor(IN_TIME);
  await expectAccessible(page);
  await picture(page, 'nodes');
  await page.emulateMedia({ colorScheme: 'dark' });
  await expectAccessible(page);
  await picture(page, 'nodes-dark');

  await row('b').getByRole('button', { name: 'Resume' }).click();
  await press('Resume');
  await row('b').getByText('serving').waitFor(IN_TIME);
  // Another program drains it: the page hears of that.
  await registry.drainNode('root', 'a');
  await row('a').getByText('draining').waitFor(IN_TIME);

  await row('c').getByRole('button', { name: 'Remove' }).click();
  await press('Remove');
  await page.getByText('c is forgotten.').waitFor(IN_TIME);
  await row('c').waitFor({ ...IN_TIME, state: 'detached' });

  await row('a').getByRole('link', { name: '48,211' }).click();
  await page.getByRole('link', { name: addresses[0]! }).waitFor(IN_TIME);
  expect(await page.getByRole('link', { name: addresses[1]! }).count()).toBe(0);
  await page.getByLabel('Node').selectOption('b');
  await page.getByText('No device is like that.').waitFor(IN_TIME);
  await page.getByLabel('Node').selectOption('');
  await page.getByRole('link', { name: addresses[1]! }).waitFor(IN_TIME);
  await picture(page, 'nodes-devices');

  await page.goto(`/#/devices/${encodeURIComponent(addresses[0]!)}`);
  await page.getByRole('definition').getByRole('link', { name: 'a', exact: true }).waitFor(IN_TIME);
  await picture(page, 'nodes-device');
  await page.goto('/#/audit');
  await page.getByText('removed the node c').waitFor(IN_TIME);
  expect(wrongs).toEqual([]);
}, 180_000);

test('nodes are read on a phone in the dark; a fabric that serves alone says so', async () => {
  const { registry } = await place();
  await registry.drainNode('root', 'b');
  const { page, wrongs, enter } = await signedIn(registry, 'host', console, PHONE);
  await enter();
  await page.goto('/#/nodes');
  await page.getByText('draining').waitFor(IN_TIME);
  await expectAccessible(page);
  await picture(page, 'nodes-phone');
  await page.emulateMedia({ colorScheme: 'light' });
  await expectAccessible(page);
  await picture(page, 'nodes-phone-light');
  expect(wrongs).toEqual([]);

  const alone = await signedIn(opened(registryFile()), 'host', console, PHONE);
  await alone.enter();
  await alone.page.goto('/#/nodes');
  await alone.page.getByText('This fabric serves alone.').waitFor(IN_TIME);
  await expectAccessible(alone.page);
  await alone.page.goto('/#/devices');
  await alone.page.getByText('No device has come yet.').waitFor(IN_TIME);
  expect(await alone.page.getByLabel('Node').count()).toBe(0);
  expect(alone.wrongs).toEqual([]);
}, 180_000);

test('an owner sees no nodes', async () => {
  const { registry, addresses } = await place();
  const { page, wrongs, enter } = await signedIn(registry, 'owner', console, PHONE);
  await enter();
  expect(await page.getByRole('link', { name: 'Nodes', exact: true }).count()).toBe(0);
  await page.goto('/#/nodes');
  await page.getByText('your role may not see it').waitFor(IN_TIME);
  await page.goto('/#/devices');
  await page.getByRole('link', { name: addresses[0]! }).waitFor(IN_TIME);
  expect(await page.getByLabel('Node').count()).toBe(0);
  expect(wrongs).toEqual([]);
}, 180_000);
