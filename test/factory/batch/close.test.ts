import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { closeBatch } from '../../../factory/batch/close.ts';
import { exportLines } from '../../../factory/batch/export.ts';
import { withJournal } from '../../../factory/batch/journal.ts';
import type { Facts } from '../../../factory/batch/row.ts';
import { createGroup, type Group } from '../../../factory/group/group.ts';
import { createMaker, type Maker } from '../../../factory/maker/maker.ts';
import { encodeUtf8 } from '../../../protocol/utf8.ts';
import { expectFailure, scratch } from '../folders.ts';

const path = scratch();
let [group, maker] = [undefined, undefined] as unknown as [Group, Maker];
let made = 0;
const nobody = (): Promise<Uint8Array> => Promise.reject(new Error('nobody is to be asked'));
const record = (facts: Facts) => withJournal(group, (journal) => journal.record(facts));
const close = (more: Partial<Parameters<typeof closeBatch>[0]> = {}) =>
  closeBatch({ group, maker, passphrase: nobody, leaveIssued: false, ...more });

beforeEach(async () => {
  made++;
  group = await createGroup({ folder: path(`g${made}`), name: 'March', basename: encodeUtf8('xaprcnet') });
  maker = await createMaker(path(`maker-${made}`), undefined);
  await record({
    result: 'pass',
    member: 'aa',
    pseudonym: 'bb',
    serial: 'S1',
    ek: 'verified',
    operator: 'ann',
  });
  await record({ result: 'fail', failure: 'tpm.lost', member: 'cc' });
});

const openssl = (publicKey: string, folder: string): string =>
  execFileSync(
    'openssl',
    [
      'pkeyutl',
      '-verify',
      '-rawin',
      '-pubin',
      '-inkey',
      publicKey,
      '-sigfile',
      'manifest.sig',
      '-in',
      'manifest.json',
    ],
    { cwd: folder, encoding: 'utf8', stdio: 'pipe' },
  );

describe('closing a batch', () => {
  test('signs a manifest that openssl verifies, with the digest of the devices, and nothing of the operator', async () => {
    const { manifest, folder, already } = await close();
    expect([manifest, already]).toMatchObject([
      { devices: 1, verified: 1, unnamed: 0, gid: group.gid, basename: 'xaprcnet' },
      false,
    ]);
    expect(openssl(`${maker.folder}/maker.pub`, folder)).toContain('Verified Successfully');
    const devices = readFileSync(`${folder}/devices.jsonl`, 'utf8');
    expect(createHash('sha256').update(devices).digest('hex')).toBe(manifest.sha256);
    expect(devices).not.toContain('ann');
    expect(
      devices
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([{ serial: 'S1', member: 'aa', pseudonym: 'bb' }]);
    expect(await close()).toEqual({ manifest, folder, already: true });
    const other = await createMaker(path(`other-${made}`), undefined);
    expect(() => openssl(`${other.folder}/maker.pub`, folder)).toThrow();
    writeFileSync(
      `${folder}/manifest.json`,
      readFileSync(`${folder}/manifest.json`, 'utf8').replace('"devices": 1', '"devices": 2'),
    );
    expect(() => openssl(`${maker.folder}/maker.pub`, folder)).toThrow();
    await expectFailure(record({ result: 'pass', member: 'dd' }), 'factory.batch-closed');
  });

  test('waits for boards that have a credential only, unless told to leave them out', async () => {
    await record({ result: 'issued', member: 'dd' });
    await expectFailure(close(), 'factory.boards-open');
    await record({ result: 'pass', member: 'ee' });
    expect((await close({ leaveIssued: true })).manifest.devices).toBe(2);
  });

  test('a wrong passphrase or another key closes nothing', async () => {
    const word = encodeUtf8('correct horse');
    const sealed = await createMaker(path(`sealed-${made}`), word);
    expect(sealed.encrypted).toBe(true);
    const wrong = close({ maker: sealed, passphrase: async () => encodeUtf8('falsches Wort') });
    await expectFailure(wrong, 'os.wrong-passphrase');
    writeFileSync(`${maker.folder}/maker.key`, 'x');
    await expectFailure(close(), 'factory.bad-maker-key');
    await record({ result: 'pass', member: 'ee' });
    const { manifest } = await close({ maker: sealed, passphrase: async () => encodeUtf8('correct horse') });
    expect(manifest.devices).toBe(2);
  });
});

test('exports lines that a spreadsheet reads, and takes none of them for a formula', async () => {
  await record({ result: 'fail', failure: 'a.b', message: '=1+1, "x"', serial: 'S2' });
  const lines = async (format: 'csv' | 'json', which: 'all' | 'passed'): Promise<string[]> =>
    collect(exportLines(group, format, which));
  const csv = await lines('csv', 'all');
  expect(csv).toHaveLength(4);
  expect(csv[0]).toMatch(/^time,serial,member,.*\r\n$/);
  expect(csv[1]).toMatch(/^20[^,]*Z,S1,aa,bb,verified,,,pass,/);
  expect(csv[3]).toContain(`,fail,a.b,"'=1+1, ""x""",`);
  expect(await lines('csv', 'passed')).toHaveLength(2);
  expect((await lines('json', 'all')).map((line) => JSON.parse(line).result)).toEqual([
    'pass',
    'fail',
    'fail',
  ]);
});

async function collect(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}
