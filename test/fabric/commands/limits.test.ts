import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { toHex } from '../../../protocol/bytes.ts';
import { parseTrust } from '../../../protocol/identity/trust.ts';
import { makeBatch, provision } from '../device.ts';
import { mmdb } from '../geo/mmdb.ts';
import { scratch } from '../place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();
const NETWORK = 'fd00:1:2:3::/64';

async function founded() {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  const { trust } = await fabric.json<{ trust: string }>('init', ...at);
  await fabric.json('network', 'add', NETWORK, '--name', 'plant', ...at);
  return { data, at, root: parseTrust(readFileSync(trust, 'utf8')).xttRoot };
}

test('[H-E21] limits are set on the command line, printed, and in force at once', async () => {
  const { data, at, root } = await founded();
  const batch = makeBatch();
  const gid = toHex(batch.gid).slice(0, 12);
  const claim = ['group', 'add', '--label', batch.label, '--network', 'plant', ...at];
  expect(await fabric.refusal(...claim, '--countries', 'CH,QX')).toMatchObject({
    code: 'fabric.bad-country',
  });
  expect(await fabric.refusal(...claim, '--most', 'many')).toMatchObject({ code: 'cli.bad-option' });
  expect(await fabric.refusal(...claim, '--most', '0')).toMatchObject({ code: 'fabric.bad-input' });
  expect(await fabric.json(...claim, '--most', '1', '--countries', 'ch,private')).toMatchObject({
    most: 1,
    countries: ['CH', 'private'],
  });
  const serving = await fabric.serve(data);
  const attempt = { port: serving.identityPort, root, gid: batch.gid };
  await provision({ ...attempt, chip: await batch.chip() });
  const second = { ...attempt, chip: await batch.chip() };
  await expect(provision(second)).rejects.toMatchObject({ code: 'xtt.error-received' });
  const [newest] = await fabric
    .json<{ result: string }[]>('audit', '--handshakes', ...at)
    .then((all) => all.slice(-1));
  expect(newest).toMatchObject({ result: 'fabric.group-full' });
  const list = await fabric.run('group', 'list', ...at);
  expect(list.out).toMatch(/MOST\s+COUNTRIES/);
  expect(list.out).toMatch(/\s1\s+CH,private\s/);
  expect(await fabric.json('group', 'countries', gid, 'any', ...at)).toMatchObject({
    countries: null,
    most: 1,
  });
  expect((await fabric.run('group', 'limit', gid, '0', ...at)).out).toMatch(/any number of devices may come/);
  await provision(second);
  await serving.stop();
});

test('[H-E23] what is kept of addresses is chosen on the command line, and holds for the next handshake', async () => {
  const { at } = await founded();
  expect((await fabric.run('privacy', 'show', ...at)).out).toMatch(/whole addresses are kept, as long as/);
  expect(await fabric.refusal('privacy', 'set', '--addresses', 'half', ...at)).toMatchObject({
    code: 'cli.bad-option',
  });
  expect(await fabric.refusal('privacy', 'set', '--days', 'ten', ...at)).toMatchObject({
    code: 'cli.bad-option',
  });
  expect(await fabric.refusal('privacy', 'set', ...at)).toMatchObject({ code: 'fabric.bad-input' });
  expect(await fabric.refusal('privacy', 'set', '--days', '90', ...at)).toMatchObject({
    code: 'cli.not-confirmed',
  });
  const changed = await fabric.run('privacy', 'set', '--addresses', 'cut', '--days', '90', '--yes', ...at);
  expect(changed.out).toMatch(/networks of addresses, \/24 and \/48 are kept, for 90 days/);
  expect(await fabric.json('privacy', 'show', ...at)).toMatchObject({ addresses: 'cut', days: 90 });
  await fabric.json('owner', 'add', 'acme', ...at);
  const own = ['--owner', 'acme', ...at];
  expect((await fabric.run('privacy', 'set', '--days', '0', ...own)).out).toMatch(/as long as handshakes/);
  const shown = { chosen: { of: 'owner' }, addresses: 'cut', days: null };
  expect(await fabric.json('privacy', 'show', ...own)).toMatchObject(shown);
  expect(await fabric.json('privacy', 'show', ...at)).toMatchObject({ chosen: { of: 'host' }, days: 90 });
});

test('[H-E24] SIGHUP reads the database of places again; a broken one is named, and the one before goes on', async () => {
  const { data } = await founded();
  const file = join(data, 'places.mmdb');
  writeFileSync(file, mmdb('First', { '130.59.0.0/16': { country_code: 'CH' } }));
  const listen = ['--identity-listen', '127.0.0.1:0', '--tunnel-listen', '127.0.0.1:0', '--tun', 'none'];
  const child = fabric.start('serve', '--data', data, ...listen, '--places', file);
  let log = '';
  let out = '';
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  await expect.poll(() => out, { timeout: 20_000 }).toMatch(/ready/);
  writeFileSync(file, mmdb('Second', { '130.59.0.0/16': { country_code: 'LI' } }));
  child.kill('SIGHUP');
  await expect.poll(() => log, { timeout: 10_000 }).toMatch(/places of handshakes: Second, 2026-01-01/);
  writeFileSync(file, 'half a fi');
  child.kill('SIGHUP');
  await expect.poll(() => log, { timeout: 10_000 }).toMatch(/Second, 2026-01-01 goes on: geo\.bad-database/);
  expect(child.exitCode).toBeNull();
});

test('[H-E24] check-config refuses a database of places that is none, is cut off, or names no country', async () => {
  const folder = scratch();
  const config = join(folder, 'fabric.toml');
  const database = join(folder, 'places.mmdb');
  writeFileSync(config, `[places]\ndatabase = ${JSON.stringify(database)}\n`);
  const check = ['check-config', '--config', config];
  const good = mmdb('Own-City', { '130.59.0.0/16': { country_code: 'CH' } });
  expect(await fabric.refusal(...check)).toMatchObject({ code: 'os.no-file' });
  for (const bytes of [
    'no database',
    good.subarray(0, good.length - 30),
    mmdb('GeoLite2-ASN', { '130.59.0.0/16': { autonomous_system_number: 559 } }),
  ]) {
    writeFileSync(database, bytes);
    expect(await fabric.refusal(...check)).toMatchObject({ code: 'geo.bad-database' });
  }
  writeFileSync(database, good);
  expect((await fabric.run(...check)).code).toBe(0);
});

test('[H-E24] a database of cities that is broken is named everywhere, and the fabric serves; a good one is taken at the next reload', async () => {
  const { data } = await founded();
  const [config, cities] = [join(data, 'fabric.toml'), join(data, 'cities.mmdb')];
  const listen = ['identity', 'tunnel'].map((part) => `[${part}]\nlisten = "127.0.0.1:0"\n`).join('');
  const geo = `[geo]\ncity-file = ${JSON.stringify(cities)}\nold-days = 1\n`;
  writeFileSync(config, `${listen}[host]\ntun = "none"\n${geo}`);
  writeFileSync(cities, mmdb('Countries', { '130.59.0.0/16': { country_code: 'CH' } }));
  const check = ['check-config', '--config', config];
  expect(await fabric.refusal(...check)).toMatchObject({ code: 'geo.bad-database' });
  const child = fabric.start('serve', '--data', data, '--config', config);
  let [log, out] = ['', ''];
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  await expect.poll(() => out, { timeout: 20_000 }).toMatch(/ready/);
  expect(log).toMatch(/no cities of handshakes are known: geo\.bad-database: .* names no city/);
  const examined = async (): Promise<string> => {
    const only = ['--only', 'places', '--config', config];
    return (await fabric.run('doctor', '--data', data, ...only)).out;
  };
  expect(await examined()).toMatch(/failed.*geo\.bad-database/s);

  const city = {
    country: { iso_code: 'CH' },
    city: { names: { en: 'Winterthur' } },
    location: { latitude: 47.5, longitude: 8.72, accuracy_radius: 20 },
  };
  writeFileSync(cities, mmdb('Own-City', { '130.59.0.0/16': city }));
  child.kill('SIGHUP');
  await expect.poll(() => log, { timeout: 10_000 }).toMatch(/places of handshakes: .*; Own-City, 2026-01-01/);
  expect((await fabric.run(...check)).code).toBe(0);
  expect(await examined()).toMatch(/warning.*"Own-City, 2026-01-01" is \d+ days old/s);
  const alarms = async (): Promise<string[]> =>
    (await fabric.json<{ kind: string; subject: string }[]>('alarm', 'list', '--data', data)).map(
      ({ kind, subject }) => `${kind} ${subject}`,
    );
  await expect.poll(alarms, { timeout: 90_000, interval: 1_000 }).toContain(`places.old ${cities}`);
}, 120_000);
