import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { EVERYTHING } from '../../../../fabric/access/scope.ts';
import { deriveIdentifier, type Identifier } from '../../../../fabric/registry/address.ts';
import { admitOnServer } from '../../../../fabric/registry/postgres/admit.ts';
import { serverQueue } from '../../../../fabric/registry/postgres/commit-queue.ts';
import { serverDatabase } from '../../../../fabric/registry/postgres/connection.ts';
import { openLink } from '../../../../fabric/registry/postgres/link.ts';
import { openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import type { Applicant } from '../../../../fabric/registry/records.ts';
import { prepare } from '../../../../fabric/registry/sql/base/statements.ts';
import { anyGroup, NETWORK, random, scratch } from '../../place.ts';
import { giveRoster, makeRoster, rostered } from '../../rosters.ts';
import { applicant } from '../contract/place.ts';
import { registriesOfFile } from './registries.ts';

const made = registriesOfFile();

/** A registry whose chips are admitted by its server's function: `come` tells which of them it left to the code of both engines. */
async function place(identifier: Identifier = deriveIdentifier) {
  const urls = [made.server.url(made.registry())];
  const registry = openServerRegistry(urls, join(scratch(), 'registry.url'));
  onTestFinished(() => registry.close());
  const link = openLink(urls);
  onTestFinished(() => link.close());
  const db = serverDatabase(link);
  const { together, alone } = admitOnServer(db, {
    act: () => ({ at: Date.now(), actor: 'fabric' }),
    options: { identifier, locate: () => undefined, cityOf: () => undefined, keep: (source) => source },
  });
  const queue = serverQueue(db, link, () => {});
  const whole = registry.of(EVERYTHING);
  await whole.addNetwork('owner', NETWORK, 'plant');
  return {
    ...{ registry, whole, db },
    addGroup: () => whole.addGroup('owner', anyGroup(`group ${random(4)}`)),
    async come(...applicants: readonly Applicant[]): Promise<readonly number[]> {
      const left: number[] = [];
      const kind = {
        together,
        alone(each: Applicant) {
          left.push(applicants.indexOf(each));
          return alone(each);
        },
      };
      const done = await Promise.allSettled(applicants.map((each) => queue.submitTogether(kind, each)));
      expect(done.filter(({ status }) => status === 'rejected').length).toBeLessThanOrEqual(left.length);
      return left;
    },
  };
}

const renewed = (chip: Applicant): Applicant => ({ ...chip, longtermKey: random(65) });

test('the server admits chips that are new, and devices that it knows, with and without another key', async () => {
  const { come, addGroup, registry } = await place();
  const chips = [applicant(await addGroup()), applicant(await addGroup()), applicant(await addGroup())];
  expect(await come(...chips)).toEqual([]);
  expect(await come(renewed(chips[0]!), chips[1]!, renewed(chips[2]!), applicant(chips[0]!))).toEqual([]);
  await registry.verifyAudit();
});

test('it leaves those who are another case, and admits the others', async () => {
  const { come, addGroup, registry, whole } = await place();
  const [open, small, closed, swiss] = [
    await addGroup(),
    await addGroup(),
    await addGroup(),
    await addGroup(),
  ];
  const chips = Array.from({ length: 8 }, () => applicant(open));
  const inSmall = applicant(small);
  expect(await come(...chips, inSmall, applicant(closed), applicant(swiss))).toEqual([]);
  await whole.changeGroup('owner', small.gid, { most: 2 });
  await whole.setGroupStatus('owner', closed.gid, 'suspended');
  await whole.changeGroup('owner', swiss.gid, { countries: ['CH'] });
  const [banned, evicted, retired] = (await whole.devices({ limit: 3 })).rows;
  await whole.setStanding('owner', banned!.address, 'ban');
  await whole.setStanding('owner', evicted!.address, 'evict');
  await whole.retireDevice('owner', retired!.address);
  const unusual = new Set([banned, evicted, retired].map((device) => String(device!.pseudonym)));
  const all = [
    ...chips.map(renewed),
    // Known ones are within the limits whatever these are; new ones are counted.
    ...[renewed(inSmall), applicant(small), applicant(small), applicant(closed), applicant(swiss)],
    ...[applicant(anyGroup()), applicant(open, { requested: random(16) }), applicant(open)],
  ];
  const twice = renewed(all.find((each) => each.gid === open.gid && !unusual.has(String(each.pseudonym)))!);
  const left = await come(...all, twice);
  const expected = all.flatMap((each, at) => (unusual.has(String(each.pseudonym)) ? [at] : []));
  expect(left).toEqual([...expected, 9, 10, 11, 12, 13, 14, all.length]);
  await registry.verifyAudit();
});

test('it admits those on a roster, and new ones within the limits of their group', async () => {
  const { come, addGroup, registry, whole } = await place();
  const [listed, few, anywhere] = [await addGroup(), await addGroup(), await addGroup()];
  const devices = rostered(4);
  await giveRoster(whole, listed.gid, makeRoster(listed.gid, devices, { names: true }));
  await whole.setRosterStanding('owner', listed.gid, { of: { serial: 'S4' }, change: 'ban' });
  await whole.changeGroup('owner', few.gid, { most: 3 });
  await whole.changeGroup('owner', anywhere.gid, { countries: ['unknown'] });
  const chips = [
    ...devices.map(({ pseudonym }) => applicant(listed, { pseudonym })),
    ...[applicant(few), applicant(few), applicant(anywhere), applicant(listed)],
  ];
  expect(await come(...chips)).toEqual([3, 7]);
  expect(await come(...chips.map(renewed))).toEqual([3, 7]);
  // Whoever would come to the limit is counted, one by one.
  expect(await come(applicant(few), applicant(few))).toEqual([0, 1]);
  expect(await come(renewed(chips[4]!), renewed(chips[5]!))).toEqual([]);
  await registry.verifyAudit();
});

test('of chips with the same first address the first one gets it', async () => {
  const { come, addGroup } = await place((_key, _pseudonym, counter) =>
    Uint8Array.of(1, 2, 3, 4, 5, 6, 7, counter),
  );
  const group = await addGroup();
  const chips = [applicant(group), applicant(group), applicant(group)];
  expect(await come(...chips)).toEqual([1, 2]);
  // Whose address is not its first one is left, too.
  expect(await come(...chips.map(renewed))).toEqual([1, 2]);
});

test('if the statement fails each is admitted alone', async () => {
  const { come, addGroup, db, registry } = await place();
  const group = await addGroup();
  const chips = [applicant(group), applicant(group), applicant(group)];
  // No text of the server has a zero.
  expect(await come(chips[0]!, { ...chips[1]!, source: 'a\0b' }, chips[2]!)).toEqual([0, 1, 2]);
  expect(prepare(db, 'SELECT count(*) FROM device').pluck().get()).toBe(3);
  await registry.verifyAudit();
});
