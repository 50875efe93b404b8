import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRegistry } from '../../../fabric/open-registry.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { makeBatch } from '../device.ts';
import { scratch } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();
const NETWORK = 'fd00:1:2:3::/64';

test('rate limits are set, listed, shown at the device and removed', async () => {
  const at = ['--data', join(scratch(), 'fabric')];
  const batch = makeBatch('batch 7');
  await fabric.json('init', ...at);
  await fabric.json('network', 'add', NETWORK, '--name', 'plant', ...at);
  const { gid } = await fabric.json<{ gid: string }>(
    ...['group', 'add', '--label', batch.label, '--network', NETWORK, ...at],
  );
  const registry = await openRegistry(join(at[1]!, 'registry.db'));
  const address = formatIpv6(await registry.admit(applicant(batch)));
  await registry.close();
  const said = async (...words: string[]): Promise<string> => (await fabric.run(...words, ...at)).out;

  expect(await said('limit', 'list', 'plant')).toContain('No rate limits');
  expect(await said('device', 'show', address)).not.toContain('Limits');
  expect(await said('limit', 'set', 'plant', '--packets', '2k', '--bytes', '1M')).toBe(
    `each device of ${NETWORK}: in 2,000 packets/s, 1,000,000 bytes/s; out 2,000 packets/s, 1,000,000 bytes/s (no fabric is serving).\n`,
  );
  expect(
    await said('limit', 'set', 'plant', '--device', address, '--packets', '7', '--direction', 'out'),
  ).toBe(`device:${address} of ${NETWORK}: in no limit; out 7 packets/s (no fabric is serving).\n`);
  expect(await said('limit', 'set', 'plant', '--group', 'batch 7', '--packets', 'unlimited')).toContain(
    `in any number of packets; out any number of packets`,
  );
  expect(await said('limit', 'set', 'plant', '--max', '--bytes', '900k')).toContain(
    `the most in ${NETWORK}: `,
  );
  expect(await said('device', 'show', address)).toContain(
    'Limits    in 900,000 bytes/s; out 7 packets/s, 900,000 bytes/s\n',
  );
  expect(await fabric.json<object>('device', 'show', address, ...at)).toMatchObject({
    limits: {
      in: { packets: null, bytes: 900_000 },
      out: { packets: 7, bytes: 900_000 },
      dropped: null,
    },
  });
  const values = (packets: number | null, bytes: number | null) => ({ packets, bytes });
  const all = { in: values(2_000, 1_000_000), out: values(2_000, 1_000_000) };
  expect(await fabric.json<object[]>('limit', 'list', NETWORK, ...at)).toMatchObject([
    { devices: { names: 'max' }, in: values(null, 900_000), out: values(null, 900_000) },
    { devices: { names: 'any' }, ...all },
    { devices: { names: `group:${gid}`, called: 'batch 7' }, in: values(0, null), out: values(0, null) },
    { devices: { names: `device:${address}`, called: null }, in: values(null, null), out: values(7, null) },
  ]);
  expect(await fabric.refusal('limit', 'set', 'plant', '--bytes', '901k', ...at)).toMatchObject({
    code: 'fabric.limit-above-max',
  });
  expect(await said('limit', 'remove', 'plant', '--device', address)).toContain(
    'The rate limit is removed: ',
  );
  expect(await said('limit', 'remove', 'plant', '--max')).toContain(`removed: the most in ${NETWORK}`);
  expect(await fabric.refusal('limit', 'remove', 'plant', '--device', address, ...at)).toMatchObject({
    code: 'fabric.unknown-limit',
  });
  expect(await said('limit', 'remove', 'plant')).toContain('The rate limit is removed: each device of ');
  expect(await fabric.json<object[]>('limit', 'list', 'plant', ...at)).toHaveLength(1);
});

test.each([
  [[], /--packets or --bytes/],
  [['--packets', '0'], /--packets as a number/],
  [['--bytes', '1m'], /--bytes as a number/],
  [['--bytes', '1.5M'], /--bytes as a number/],
  [['--packets', '1', '--direction', 'up'], /the direction as in or out/],
  [['--packets', '1', '--group', 'g', '--max'], /one of --group, --device and --max/],
])('limit set refuses %j', async (words, message) => {
  expect(await fabric.refusal('limit', 'set', 'plant', ...words)).toMatchObject({
    code: 'cli.bad-option',
    message: expect.stringMatching(message),
  });
});

test('a limit is of what is in the network, and below what the router counts', async () => {
  const at = ['--data', join(scratch(), 'fabric')];
  await fabric.json('init', ...at);
  for (const n of ['3', '4'])
    await fabric.json('network', 'add', `fd00:1:2:${n}::/64`, '--name', `n${n}`, ...at);
  const { label } = makeBatch('away');
  await fabric.json('group', 'add', '--label', label, '--network', 'fd00:1:2:4::/64', ...at);
  const refused = (...words: string[]) => fabric.refusal('limit', 'set', 'n3', ...words, ...at);
  expect(await refused('--group', 'away', '--packets', '1')).toMatchObject({ code: 'fabric.bad-limit' });
  expect(await refused('--bytes', '11G')).toMatchObject({ code: 'fabric.bad-input' });
});
