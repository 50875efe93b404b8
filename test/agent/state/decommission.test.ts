import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  decommissionedOf,
  endService,
  keepCredentialEnd,
  leavingSince,
  withLeaving,
  withoutLeaving,
} from '../../../agent/state/decommission.ts';
import { openStore, STATE_FILES } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { fragile, type Power, PowerCut, power, temporaryFolder } from '../folders.ts';

const SECRET = 'abadcafe'.repeat(4);
const IDENTITY = {
  address: 'fd00::7',
  certificate: '3082',
  key: { kind: 'software', der: SECRET },
} as const;
const AT = '2026-03-01T12:00:00.000Z';

/** A device in service, both of whose files hold its key. */
async function device(): Promise<string> {
  const path = temporaryFolder();
  const store = await openStore(await openFolder(path));
  await store.save({ identity: IDENTITY, pending: { kind: 'software', der: SECRET } });
  await store.save({ identity: IDENTITY, lastGood: { time: AT } });
  return path;
}

const open = async (path: string, supply = power()) => openStore(fragile(await openFolder(path), supply));

async function leave(path: string, supply: Power): Promise<void> {
  const store = await open(path, supply);
  await endService(store, AT, true);
  await keepCredentialEnd(store, 'removed');
}

const text = (path: string): string =>
  STATE_FILES.map((name) => readFileSync(join(path, name), 'utf8')).join('\n');

test('neither file has an identity or a key then, and nothing else is in them', async () => {
  const path = await device();
  const supply = power();
  await leave(path, supply);
  expect(supply.steps).toEqual(['write state-0', 'write state-1', 'write state-0']);
  expect(text(path)).not.toContain(SECRET);
  const { record } = await open(path);
  expect(Object.keys(record)).toEqual(['decommissioned']);
  expect(decommissionedOf(record)).toEqual({
    at: AT,
    address: 'fd00::7',
    told: true,
    credential: 'removed',
  });
});

for (let cutAt = 0; cutAt < 6; cutAt++) {
  test(`power cut ${cutAt % 2 === 0 ? 'before' : 'after'} write ${(cutAt >> 1) + 1}: as before, or the next start ends it`, async () => {
    const path = await device();
    await expect(leave(path, power(cutAt))).rejects.toBeInstanceOf(PowerCut);
    const { record } = await open(path);
    if (cutAt === 0) expect(record.identity).toEqual(IDENTITY);
    else expect([record.identity, decommissionedOf(record)?.address]).toEqual([undefined, 'fd00::7']);
    await leave(path, power());
    expect(text(path)).not.toContain(SECRET);
    expect(decommissionedOf((await open(path)).record)).toMatchObject({ address: 'fd00::7', told: true });
  });
}

test('how it began is not forgotten when it goes on', async () => {
  const path = await device();
  const store = await open(path);
  await endService(store, AT, true);
  await endService(store, '2027-01-01T00:00:00.000Z', false);
  expect(decommissionedOf(store.record)).toEqual({ at: AT, address: 'fd00::7', told: true });
  await keepCredentialEnd(store, 'kept');
  const { generation } = store;
  await keepCredentialEnd(store, 'kept');
  expect(store.generation).toBe(generation);
  await keepCredentialEnd(store, 'removed');
  expect(decommissionedOf(store.record)).toMatchObject({ told: true, credential: 'removed' });
});

test('a device without an identity goes, too', async () => {
  const store = await open(temporaryFolder());
  expect(await endService(store, AT, false)).toEqual({ at: AT, told: false });
});

test('the wish is kept with what is there, since it was first uttered, and can be taken back', async () => {
  const record = withLeaving({ identity: IDENTITY }, AT);
  expect(leavingSince(withLeaving(record, 'later'))).toBe(AT);
  expect(withoutLeaving(record)).toEqual({ identity: IDENTITY });
  expect(leavingSince({})).toBeUndefined();
});

test('garbage in the record makes no device leave; a record of the end is one, whatever is in it', () => {
  expect(leavingSince({ leaving: 7 })).toBeUndefined();
  for (const decommissioned of [null, 'yes', 7, undefined])
    expect(decommissionedOf({ decommissioned })).toBeUndefined();
  expect(decommissionedOf({ decommissioned: { told: 'yes', credential: 'sold' } })).toEqual({
    at: '',
    told: false,
  });
});
