import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { makerFingerprint } from '../../../crypto/maker-key.ts';
import { openRoster } from '../../../fabric/labels/roster.ts';
import { closeBatch } from '../../../factory/batch/close.ts';
import { withJournal } from '../../../factory/batch/journal.ts';
import { rosterChunks } from '../../../factory/batch/roster.ts';
import type { Facts } from '../../../factory/batch/row.ts';
import { createGroup, type Group } from '../../../factory/group/group.ts';
import { createMaker, type Maker } from '../../../factory/maker/maker.ts';
import { fromHex } from '../../../protocol/bytes.ts';
import { parseRosterRow } from '../../../protocol/roster.ts';
import { encodeUtf8 } from '../../../protocol/utf8.ts';
import { expectFailure, scratch } from '../folders.ts';

const path = scratch();
let [group, maker] = [undefined, undefined] as unknown as [Group, Maker];
let made = 0;
const POINT = `04${'0b'.repeat(64)}`;
const record = (facts: Facts) => withJournal(group, (journal) => journal.record(facts));
const close = (perBox?: number) =>
  closeBatch({
    ...{ group, maker, leaveIssued: false, perBox },
    passphrase: () => Promise.reject(new Error('nobody is to be asked')),
  });

beforeEach(async () => {
  made++;
  group = await createGroup({ folder: path(`g${made}`), name: 'März', basename: encodeUtf8('xaprcnet') });
  maker = await createMaker(path(`maker-${made}`), undefined);
  await record({ result: 'pass', member: 'aa', pseudonym: POINT, serial: 'S1', operator: 'ann' });
  await record({ result: 'fail', failure: 'tpm.lost', member: 'cc' });
  await record({ result: 'pass', member: 'bb', serial: 'S2' });
});

async function exported(): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of rosterChunks(group)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test('a closed batch has a roster, which a fabric opens: its manifest, and the lines that were signed', async () => {
  const { manifest, folder } = await close(20);
  const [header, ...lines] = (await exported()).split('\n');
  const opened = openRoster(header!, fromHex(group.gid));
  expect(opened.manifest).toMatchObject({ name: 'März', devices: 2, unnamed: 1, perBox: 20 });
  expect(opened.manifest).toMatchObject({ sha256: manifest.sha256, bytes: manifest.bytes });
  expect(opened.maker).toEqual(makerFingerprint(maker.publicKey));
  expect(lines.join('\n')).toBe(readFileSync(`${folder}/devices.jsonl`, 'utf8'));
  expect(lines.slice(0, 2).map(parseRosterRow)).toEqual([
    { serial: 'S1', pseudonym: POINT, resident: true },
    { serial: 'S2', pseudonym: undefined, resident: true },
  ]);
  expect(lines.join()).not.toContain('ann');
});

test('what a fabric is given is of its group, and signed by whom it names', async () => {
  await close();
  const [header] = (await exported()).split('\n');
  expect(openRoster(header!, fromHex(group.gid)).manifest.perBox).toBeUndefined();
  const refused = (line: string, gid = group.gid) => {
    try {
      openRoster(line, fromHex(gid));
      return 'opened';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  expect(refused(header!, 'ab'.repeat(32))).toBe('roster.other-group');
  const fields = JSON.parse(header!) as Record<string, string>;
  const manifest = Buffer.from(fields.manifest!, 'base64').toString().replace('"devices": 2', '"devices": 3');
  expect(refused(JSON.stringify({ ...fields, manifest: Buffer.from(manifest).toString('base64') }))).toBe(
    'roster.bad-signature',
  );
  const other = await createMaker(path(`other-${made}`), undefined);
  for (const key of [other.publicKey, '', 'no key'])
    expect(refused(JSON.stringify({ ...fields, maker: key }))).toBe('roster.bad-signature');
});

test('an open batch has none, and neither has one whose files are not those that were signed', async () => {
  await expectFailure(exported(), 'factory.batch-open');
  const { folder } = await close();
  const devices = readFileSync(`${folder}/devices.jsonl`);
  appendFileSync(`${folder}/devices.jsonl`, '{}\n');
  await expectFailure(exported(), 'factory.bad-manifest');
  writeFileSync(`${folder}/devices.jsonl`, devices);
  await exported();
  writeFileSync(`${folder}/maker.pub`, 'no key');
  await expectFailure(exported(), 'factory.bad-manifest');
});
