import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startControl } from '../../../fabric/control.ts';
import { openRegistry } from '../../../fabric/open-registry.ts';
import { makeBatch } from '../device.ts';
import { scratch } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();

test('the fabric at a glance, whether one is serving or not', async () => {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  await fabric.json('init', ...at);
  const batch = makeBatch();
  await fabric.json('network', 'add', 'fd00:1:2:3::/64', ...at);
  await fabric.json('group', 'add', '--label', batch.label, '--network', 'fd00:1:2:3::/64', ...at);
  const registry = await openRegistry(join(data, 'registry.db'), { locate: () => 'CH' });
  onTestFinished(() => registry.close());
  await registry.admit(applicant(batch));
  for (let i = 0; i < 3; i++)
    await registry.refused({ source: '::1', proven: false, result: 'fabric.group-not-admitted' });

  const { out } = await fabric.run('status', ...at);
  expect(out).toMatch(/^Serving +no fabric is serving/m);
  expect(out).toMatch(/^Devices +1: nobody knows how many are online, 1 active, 0 banned/m);
  expect(out).toMatch(/^Handshakes +1 admitted, 3 refused within 24 hours$/m);
  expect(out).toMatch(/^Refused +3 × fabric\.group-not-admitted$/m);
  expect(out).toMatch(/^Devices from +CH 1$/m);

  const control = await startControl(join(data, 'control.sock'), { registry, log: () => {} });
  onTestFinished(() => control.close());
  const json = await fabric.json<Record<string, unknown>>('status', ...at);
  expect(json).toMatchObject({ groups: 1, networks: 1, devices: { total: 1, online: 0 }, serving: null });
  expect(json.refusedLately).toEqual([{ result: 'fabric.group-not-admitted', times: 3 }]);
  expect((await fabric.run('status', ...at)).out).toMatch(/^Serving +starting$/m);
});

test('without a fabric in the folder it says so', async () => {
  expect(await fabric.refusal('status', '--data', scratch())).toMatchObject({
    code: expect.stringMatching(/^(?:fabric|registry|os)\./),
  });
});
