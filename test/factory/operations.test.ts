import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGroup, type Group, labelSaying } from '../../factory/group/group.ts';
import {
  drawLabel,
  inspectTarget,
  personaliseFolder,
  readTrust,
  showGroup,
} from '../../factory/operations.ts';
import { encodeLabel, parseLabel } from '../../protocol/label.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { zxing } from './decoder.ts';
import { expectFailure } from './folders.ts';

describe('operations of the station', () => {
  let folder: string;
  let group: Group;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'enf-operations-'));
    group = await createGroup({
      folder: join(folder, 'group'),
      name: 'March',
      vendor: 'ACME',
      basename: encodeUtf8('xaprcnet'),
    });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('showGroup returns the view that --json prints', async () => {
    expect(await showGroup(group.folder)).toEqual({
      name: 'March',
      vendor: 'ACME',
      basename: 'xaprcnet',
      gid: group.gid,
      created: group.created,
      devices: 0,
      closed: false,
      issuerSecret: 'plain',
    });
  });

  test('drawLabel writes only the files that are named, and never overwrites one', async () => {
    const svg = join(folder, 'label.svg');
    const { devices, text } = await drawLabel(group.folder, 34, { svg });
    expect([devices, text]).toEqual([0, expect.arrayContaining(['March', 'ACME', 'Devices: 0'])]);
    expect(readFileSync(svg, 'utf8')).toContain('ACME');
    await expect(drawLabel(group.folder, 34, { svg })).rejects.toMatchObject({ code: 'os.exists' });
    expect((await drawLabel(group.folder, 34, {})).code.size).toBeGreaterThan(0);
  });

  test('drawLabel says how many devices the batch has if it is told to; else the label is as it was', async () => {
    const png = join(folder, 'counted.png');
    const counted = await drawLabel(group.folder, 34, { png, count: 500 });
    expect(counted.text).toContain('Devices: 500');
    expect(parseLabel(await zxing(png))).toMatchObject({ name: 'March', count: 500 });
    const text = readFileSync(join(group.folder, 'label.txt'), 'utf8').trimEnd();
    expect(parseLabel(text).count).toBeUndefined();
    expect(parseLabel(await labelSaying(text, { count: 7 }))).toEqual({ ...parseLabel(text), count: 7 });
    const signed = encodeLabel({ ...parseLabel(text), count: 7, signature: new Uint8Array(64) });
    expect(await labelSaying(signed, { count: 7 })).toBe(signed);
    expect(await labelSaying(signed, {})).toBe(signed);
    await expectFailure(labelSaying(signed, { count: 8 }), 'factory.label-signed');
    const box = { number: 1, boxes: 2, devices: 4 };
    await expectFailure(labelSaying(signed, { box }), 'factory.label-signed');
    await expect(drawLabel(group.folder, 34, { count: 0 })).rejects.toMatchObject({
      code: 'label.bad-count',
    });
  });

  test('inspectTarget tells a folder from a file', async () => {
    expect(await inspectTarget({ folder: group.folder })).toMatchObject({ facts: { folder: 'group' } });
    expect(await inspectTarget({ file: join(group.folder, 'daa_gpk.bin') })).toMatchObject({
      findings: [{ kind: 'group public key (gpk)' }],
    });
  });

  test('readTrust refuses what is not a trust bundle', async () => {
    const path = join(folder, 'trust.json');
    writeFileSync(path, '{}');
    await expect(readTrust(path)).rejects.toMatchObject({ code: 'trust.bad-bundle' });
  });

  test('personaliseFolder needs no passphrase where the issuer key is plain, and reports its steps', async () => {
    const steps: string[] = [];
    const record = await personaliseFolder(join(folder, 'device'), {
      group,
      trust: { xttRoot: new Uint8Array(81), tlsRoot: '' },
      passphrase: () => Promise.reject(new Error('asked for a passphrase')),
      progress: (step) => steps.push(step),
    });
    expect([record.gid, record.tpm]).toEqual([group.gid, 'software']);
    expect(steps.at(-1)).toBe('files written');
    expect((await showGroup(group.folder)).devices).toBe(1);
  });
});
