import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRegistry } from '../../../fabric/open-registry.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { makeBatch } from '../device.ts';
import { random, scratch } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';
import { fabricProgram } from './program.ts';

/** What commands say to a person: the words that are true, and of one thing in the singular. */
const fabric = fabricProgram();
const NETWORK = 'fd00:1:2:3::/64';

/** A founded fabric with one device, which is called pump-7. */
async function founded(): Promise<{ at: string[]; address: string }> {
  const at = ['--data', join(scratch(), 'fabric')];
  const batch = makeBatch();
  await fabric.json('init', ...at);
  await fabric.json('network', 'add', NETWORK, '--name', 'plant', ...at);
  await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, ...at);
  const registry = await openRegistry(join(at[1]!, 'registry.db'));
  const address = formatIpv6(await registry.admit(applicant(batch)));
  await registry.close();
  return { at, address };
}

test('a device that is named is answered for by name and address, and with all that is so of it', async () => {
  const { at, address } = await founded();
  const said = async (...words: string[]): Promise<string> => (await fabric.run(...words, ...at)).out;
  const named = `pump-7 (${address})`;
  expect(await said('device', 'name', address, 'pump-7')).toBe(`${address} is called pump-7.\n`);
  expect(await said('device', 'note', 'pump-7', 'by the door')).toBe(`${named}: by the door\n`);
  expect(await said('device', 'ban', 'pump-7')).toContain(`${named} is banned: `);
  expect(await said('device', 'evict', 'pump-7')).toContain(`${named} is evicted, and stays banned: `);
  expect(await said('status')).toMatch(
    /^Devices +1: .*, 0 active, 1 banned, 1 evicted \(1 of these banned as well\), 0 retired/m,
  );
  expect(await said('group', 'list')).toMatch(
    /DEVICES +BANNED +EVICTED +BOTH +RETIRED .*\n.* active +1 +1 +1 +1 +0 /,
  );
  expect(await said('status')).toMatch(/^Groups +1 in 1 network$/m);
  expect(await said('device', 'unban', address)).toContain(`${address} is no longer banned; it was evicted`);
  expect(await said('device', 'bulk', 'ban', '--group', 'batch 7')).toMatch(
    /^1 device is like that; 1 of them would be banned\. /,
  );
  expect(await said('network', 'zone', 'plant', 'plant.internal')).toContain(`plant (${NETWORK}) `);
  expect(await said('network', 'takes', 'plant', 'resident')).toContain(
    `Network plant (${NETWORK}) takes only devices whose roster says that their chips keep their keys `,
  );
  expect(await said('network', 'list')).toMatch(/TAKES +CREATED\n.* resident keys /);
  expect(await said('network', 'takes', 'plant', 'any')).toContain('whatever keeps their keys');
  expect(await fabric.refusal('network', 'takes', 'plant', 'none', ...at)).toMatchObject({
    code: 'cli.bad-arguments',
  });
  expect(await fabric.refusal('device', 'name', address, 'GW 1', ...at)).toMatchObject({
    code: 'fabric.bad-input',
    message:
      'name has to have 1 to 63 lower-case letters, digits and hyphens, none of them a hyphen at an end',
    action: 'Correct it, and try again.',
  });
});

test('a group that is admitted with limits, or suspended, is answered for with them', async () => {
  const { at } = await founded();
  const add = async (...words: string[]): Promise<string> => {
    const { label } = makeBatch('March', random(16));
    return (await fabric.run('group', 'add', '--label', label, '--network', NETWORK, ...words, ...at)).out;
  };
  const limited = await add('--suspended', '--most', '500', '--countries', 'CH,DE', '--announced', '1');
  expect(limited).toContain(', 1 device is expected.\n');
  expect(limited).toContain('At most 500 devices may come.\nNew devices may come from CH, DE.\n');
  expect(limited).toContain('It is suspended: ');
  expect(await add()).toMatch(/^Group "March" admitted to \S+\.\nCompare with the label: [0-9a-f ]+\n$/);
});
