import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { EVERYTHING } from '../../../../fabric/access/scope.ts';
import { migrateServers, openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { anyGroup, NETWORK, scratch, type WholeRegistry, wholeOf } from '../../place.ts';
import { applicant } from '../contract/place.ts';
import { formerDatabase } from './former.ts';
import { registriesOfFile } from './registries.ts';

const made = registriesOfFile();

function open(name: string): WholeRegistry {
  const registry = wholeOf(openServerRegistry([made.server.url(name)], join(scratch(), 'registry.url')));
  onTestFinished(() => registry.close());
  return registry;
}

/** How many devices have a text, and how many a wrong one, or one too many, or none in spite of a name. */
const texts = (name: string): string =>
  made.server.sql(
    name,
    `SET search_path = enf; SELECT count(text), count(*) FILTER (WHERE text IS DISTINCT FROM
       CASE WHEN name IS NOT NULL OR note IS NOT NULL THEN described(name, note) END) FROM device FULL JOIN device_text USING (id)`,
  );

/** A device of a former schema: only its first statements know of one. */
const FORMER = `SET search_path = enf; SET session_replication_role = replica;
  INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from, name, note)
  SELECT decode(repeat('00', 32), 'hex'), decode(lpad(n::text, 130, '0'), 'hex'), decode(lpad(n::text, 32, '0'), 'hex'), decode(repeat('00', 65), 'hex'), 1, 1, '', nullif('Pump ' || n, 'Pump 3'), nullif('Étage ' || n, 'Étage 2')
  FROM generate_series(1, 3) AS n`;

test('devices that had names before are found by them, those without a name have no text', async () => {
  const name = await formerDatabase(made, 'texts of devices have rows of their own');
  made.server.sql(name, `${FORMER}; UPDATE device SET note = NULL WHERE name IS NULL`);
  migrateServers([made.server.url(name)], 1);
  expect(texts(name)).toBe('2|0');
});

test('texts follow names and notes, also those that end with a device', async () => {
  const name = made.registry();
  const registry = open(name);
  await registry.addNetwork('owner', NETWORK, 'plant');
  const group = await registry.addGroup('owner', anyGroup());
  const [one, two] = [await registry.admit(applicant(group)), await registry.admit(applicant(group))];
  expect(texts(name)).toBe('0|0');
  await registry.nameDevice('owner', one, { name: 'PUMP', note: 'Étage' });
  await registry.nameDevice('owner', two, { note: 'by the door' });
  expect(texts(name)).toBe('2|0');
  await registry.nameDevice('owner', one, { name: 'Valve' });
  expect(texts(name)).toBe('2|0');
  const found = async (text: string) =>
    (await registry.of(EVERYTHING).devices({ limit: 9 }, { search: { text } })).rows.map(({ name }) => name);
  expect([await found('pump'), await found('valve'), await found('étage')]).toEqual([
    [],
    ['Valve'],
    ['Valve'],
  ]);
  await registry.nameDevice('owner', two, { note: '' });
  expect(texts(name)).toBe('1|0');
  await registry.retireDevice('owner', one);
  expect(texts(name).split('|')[1]).toBe('0');
  made.server.sql(name, 'DELETE FROM enf.device');
  expect(texts(name)).toBe('0|0');
});
