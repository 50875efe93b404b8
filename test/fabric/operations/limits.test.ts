import { expect, test } from 'vitest';
import { parseCountries } from '../../../fabric/geo/country-list.ts';
import { admitGroup, changeGroup, listGroups, showGroup } from '../../../fabric/operations/groups.ts';
import { addNetwork } from '../../../fabric/operations/networks.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { makeBatch } from '../device.ts';
import { opened, registryFile, seenBy, type TestContext } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';

const PLANT = 'fd00:1:2:3::/64';

function context(): TestContext {
  return {
    ...seenBy(opened(registryFile())),
    running: { notify: async () => 'in force', presence: async () => undefined },
    actor: 'alice',
    now: Date.now,
  };
}

const codeOf = (work: () => unknown): Promise<string> =>
  Promise.resolve()
    .then(work)
    .then(
      () => 'done',
      (error: unknown) => (isFailure(error) ? error.code : Promise.reject(error)),
    );

test('[H-E21] a batch is claimed with its limits, and they are changed one by one', async () => {
  const on = context();
  const batch = makeBatch();
  await addNetwork.run(on, { prefix: PLANT, name: 'plant' });
  const limits = { most: 2, countries: ['de', 'CH', 'ch', 'Private'] };
  const { view } = await admitGroup.run(on, { label: batch.label, network: PLANT, ...limits });
  expect(view).toMatchObject({ most: 2, countries: ['CH', 'DE', 'private'], announced: null });
  const gid = toHex(batch.gid).slice(0, 12);
  const changed = await changeGroup.run(on, { gid, most: 3 });
  expect(changed.view).toMatchObject({ most: 3, countries: ['CH', 'DE', 'private'] });
  expect((await listGroups.run(on, { limit: 9 })).rows).toMatchObject([{ most: 3, devices: 0 }]);
  expect((await changeGroup.run(on, { gid, most: 0, countries: [] })).view).toMatchObject({
    most: null,
    countries: null,
  });
});

test('[H-E21] limits that mean nothing are refused, and change nothing', async () => {
  const on = context();
  const batch = makeBatch();
  await addNetwork.run(on, { prefix: PLANT, name: 'plant' });
  const claim = { label: batch.label, network: PLANT };
  for (const most of [0, -1, 1.5, 10_000_001, '5' as unknown as number])
    expect(await codeOf(() => admitGroup.run(on, { ...claim, most }))).toBe('fabric.bad-input');
  for (const word of ['QX', 'Switzerland', 'C', '', 'CH,DE', 'ZZ', '12'])
    expect(await codeOf(() => admitGroup.run(on, { ...claim, countries: [word] }))).toBe(
      'fabric.bad-country',
    );
  expect((await listGroups.run(on, { limit: 9 })).rows).toEqual([]);
  await admitGroup.run(on, claim);
  const gid = toHex(batch.gid);
  expect(await codeOf(() => changeGroup.run(on, { gid }))).toBe('fabric.bad-input');
  const many = Array.from({ length: 301 }, () => 'CH');
  expect(await codeOf(() => changeGroup.run(on, { gid, countries: many }))).toBe('fabric.bad-input');
  expect(await codeOf(() => changeGroup.run(on, { gid, countries: ['CH', 'XX?'] }))).toBe(
    'fabric.bad-country',
  );
  expect(await showGroup.run(on, { gid })).toMatchObject({ most: null, countries: null });
});

test('[H-E22] the page of a batch says who is kept out by its limits', async () => {
  const on = context();
  const batch = makeBatch();
  await addNetwork.run(on, { prefix: PLANT, name: 'plant' });
  await admitGroup.run(on, { label: batch.label, network: PLANT, most: 1 });
  const gid = toHex(batch.gid);
  await on.registry.admit(applicant(batch));
  expect(await showGroup.run(on, { gid })).toMatchObject({ devices: 1, beyondLimits: null });
  for (const result of ['fabric.group-full', 'fabric.group-full', 'fabric.device-banned'])
    await on.registry.refused({ gid: batch.gid, source: '10.0.0.1', proven: true, result });
  const { beyondLimits, refusals } = await showGroup.run(on, { gid });
  expect(beyondLimits).toMatchObject({ attempts: 2, countries: ['private'] });
  expect(refusals).toHaveLength(3);
});

test('[H-E21] countries are ISO codes in either case, in order, each once; UK is GB', () => {
  expect(parseCountries(['gb', 'UK', 'xk', 'unknown'])).toEqual(['GB', 'XK', 'unknown']);
  expect(parseCountries([])).toEqual([]);
});
