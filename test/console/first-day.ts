import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { inSoftware, must, openBatch } from '../e2e/batch.ts';
import { FABRIC_ADDRESS } from '../e2e/network.ts';
import { runIn } from '../e2e/process.ts';
import type { Device, World } from '../e2e/world.ts';
import { mmdb } from '../fabric/geo/mmdb.ts';
import { addAuthenticator, openBrowser, watchedPage } from './browser.ts';
import { film } from './film.ts';

/** Where the devices seem to be; no packet leaves the namespaces. */
export const ABROAD = ['193.0.0.', '130.59.1.', '17.0.0.'] as const;

/** What an owner has on the first day: a fabric, devices in their boxes, and a browser whose camera sees their label. */
export interface FirstDay {
  readonly world: World;
  readonly devices: readonly Device[];
  readonly origin: string;
  readonly browser: Browser;
  readonly page: Page;
  /** What the page did that it may not do. */
  readonly wrongs: string[];
}

export async function firstDay(count: number): Promise<FirstDay> {
  const cities = citiesFile();
  const { world, group } = await openBatch('console', ['--city-file', cities]).finally(() =>
    rmSync(dirname(cities), { recursive: true }),
  );
  const devices: Device[] = [];
  for (let n = 1; n <= count; n++) {
    const device = await inSoftware(world, group, n);
    await moveAbroad(world, device, n);
    devices.push(device);
  }
  const [label, file] = [join(world.folder, 'label.png'), join(world.folder, 'label.y4m')];
  await must(world.factory(['label', '--group', group, '--png', label]));
  film(label, file);
  const origin = await world.fabric.serveConsole();
  const browser = await openBrowser(file);
  const { page, wrongs } = await watchedPage(browser, origin, { permissions: ['camera'] });
  await addAuthenticator(page);
  return { world, devices, origin, browser, page, wrongs };
}

/** A database of cities that knows where two of the three are. */
function citiesFile(): string {
  const city = (country: string, region: string, name: string, latitude: number, longitude: number) => ({
    country: { iso_code: country },
    subdivisions: [{ names: { en: region } }],
    city: { names: { en: name } },
    location: { latitude, longitude, accuracy_radius: 20 },
  });
  const file = join(mkdtempSync(join(tmpdir(), 'enf-cities-')), 'cities.mmdb');
  const networks = {
    '193.0.0.0/16': city('NL', 'North Holland', 'Amsterdam', 52.37, 4.9),
    '130.59.0.0/16': city('CH', 'Zurich', 'Winterthur', 47.5, 8.72),
  };
  writeFileSync(file, mmdb('Cities', networks));
  return file;
}

/** Gives a device an address of another country, from which it reaches the fabric. */
async function moveAbroad(world: World, { namespace }: Device, n: number): Promise<void> {
  const address = `${ABROAD[n % ABROAD.length]}${10 + n}`;
  await must(runIn(namespace, ['ip', 'addr', 'add', `${address}/32`, 'dev', 'uplink']));
  await must(runIn(namespace, ['ip', 'route', 'add', FABRIC_ADDRESS, 'dev', 'uplink', 'src', address]));
  await must(runIn(world.network.fabric, ['ip', 'route', 'add', address, 'dev', 'bridge0']));
}
