import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkRegistry, copyRegistry } from '../../../fabric/open-registry.ts';
import { anyGroup, NETWORK, opened, registryFile, scratch } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';
import { anyPseudonym, giveRoster, makeRoster, rostered } from '../rosters.ts';

test('[H-E26] a copy of a registry has its rosters, and whom they ban', async () => {
  const path = registryFile();
  const registry = opened(path);
  await registry.addNetwork('alice', NETWORK, 'plant');
  const { gid } = await registry.addGroup('alice', anyGroup());
  const devices = rostered(3);
  await giveRoster(registry, gid, makeRoster(gid, devices, { perBox: 1 }));
  await registry.setRosterStanding('alice', gid, { of: { box: 2 }, change: 'ban' });
  const copy = join(scratch(), 'copy.db');
  await copyRegistry(path, copy);
  await checkRegistry(copy);
  const again = opened(copy);
  expect(await again.roster(gid)).toEqual(await registry.roster(gid));
  const come = (pseudonym: Uint8Array) => again.admit({ ...applicant({ gid }), pseudonym });
  await come(devices[0]!.pseudonym);
  await expect(come(devices[1]!.pseudonym)).rejects.toMatchObject({ code: 'fabric.device-banned' });
  await expect(come(anyPseudonym())).rejects.toMatchObject({ code: 'fabric.not-on-roster' });
});
