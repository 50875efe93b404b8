import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { lockKeys } from '../../../../fabric/open-registry.ts';
import { pathOf } from '../../../../fabric/pki/files.ts';
import { fabricProgram } from '../program.ts';

const fabric = fabricProgram();

test('one command at a time changes keys that no fabric serves', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'enf-keys-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const data = join(folder, 'fabric');
  await fabric.json('init', '--data', data);
  const router = (): string => new X509Certificate(readFileSync(join(data, 'router.pem'))).fingerprint256;
  const before = router();
  const lock = lockKeys(pathOf(data, 'keyLock'));
  for (const what of [
    ['certificate', 'rotate', 'router'],
    ['root', 'rotate'],
    ['certificate', 'list'],
  ])
    expect(await fabric.refusal(...what, '--data', data)).toMatchObject({
      code: 'fabric.keys-busy',
      remedy: 'retry',
    });
  expect(router()).toBe(before);
  lock.release();
  // Those that come at the same moment do it one after the other.
  const rotate = () => fabric.json('certificate', 'rotate', 'router', '--data', data);
  await Promise.all([rotate(), rotate()]);
  expect(router()).not.toBe(before);
  const trail = await fabric.run('audit', '--data', data);
  expect(trail.out.match(/certificate\.rotate/g)).toHaveLength(2);
}, 120_000);
