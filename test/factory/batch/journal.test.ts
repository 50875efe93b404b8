import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { withJournal } from '../../../factory/batch/journal.ts';
import type { Facts, Row } from '../../../factory/batch/row.ts';
import { createGroup, type Group, openGroup } from '../../../factory/group/group.ts';
import { encodeUtf8 } from '../../../protocol/utf8.ts';
import { bundle } from '../../bundle.ts';
import { expectFailure, readManifest, scratch } from '../folders.ts';

const path = scratch();
let group: Group;
let made = 0;
const file = (name: string): string => `${group.folder}/${name}`;

beforeEach(async () => {
  group = await createGroup({
    folder: path(`group-${++made}`),
    name: 'March',
    basename: encodeUtf8('xaprcnet'),
  });
});

const member = (i: number): string => i.toString(16).padStart(64, '0');
const record = (facts: Facts): Promise<Row> => withJournal(group, (journal) => journal.record(facts));
const pass = (i: number, more: Partial<Facts> = {}): Promise<Row> =>
  record({ result: 'pass', member: member(i), tpm: 'IBM', ...more });
const fail = (failure: string, i?: number): Promise<Row> =>
  record({ result: 'fail', failure, ...(i === undefined ? {} : { member: member(i) }) });
const tally = () => withJournal(group, async (journal) => journal.tally);
const serials = async (): Promise<unknown[]> => (await readManifest(group)).map(({ serial }) => serial);

describe('the journal of a batch', () => {
  test('has one row for a device, however often it comes', async () => {
    const first = await pass(1, { serial: 'A-1', operator: 'ann' });
    expect(await pass(1, { serial: 'B-9', operator: 'bob' })).toEqual(first);
    await pass(2);
    expect(await readManifest(group)).toMatchObject([
      { serial: 'A-1', operator: 'ann' },
      { member: member(2) },
    ]);
    expect(await tally()).toMatchObject({ passed: 2, issued: 0, failed: {}, first: first.time });
    const found = await withJournal(group, async (journal) => [
      await journal.find({ serial: 'A-1' }),
      await journal.find({ member: member(2) }),
      await journal.find({ serial: 'B-9' }),
    ]);
    expect(found).toMatchObject([{ member: member(1) }, { member: member(2) }, undefined]);
  });

  test('a chip that failed, or has its credential only, counts as what it is last', async () => {
    await fail('tpm.lost', 1);
    await fail('tpm.lost', 1);
    await fail('tpm.absent');
    expect(await tally()).toMatchObject({ passed: 0, failed: { 'tpm.lost': 1, 'tpm.absent': 1 } });
    await record({ result: 'issued', member: member(1), token: 't', serial: 'S1', pseudonym: 'aa' });
    await record({ result: 'issued', member: member(1), token: 'u' });
    expect(await tally()).toMatchObject({ issued: 1, failed: { 'tpm.absent': 1 }, tokens: { t: 1 } });
    await fail('tpm.lost', 1);
    expect(await tally()).toMatchObject({ issued: 1, failed: { 'tpm.absent': 1 } });
    await record({ result: 'issued', member: member(1), token: 't' });
    // What was known stays known, and the credential is charged once.
    expect(await pass(1)).toMatchObject({ serial: 'S1', pseudonym: 'aa' });
    expect(await tally()).toMatchObject({
      passed: 1,
      issued: 0,
      failed: { 'tpm.absent': 1 },
      tokens: { t: 1 },
    });
    await fail('tpm.lost', 1);
    expect((await tally()).passed).toBe(1);
  });

  test('a serial number is that of one device', async () => {
    await pass(1, { serial: 'S1' });
    await expectFailure(pass(2, { serial: 'S1' }), 'factory.serial-taken');
    await fail('x.y', 3);
    await pass(2, { serial: 'S2' });
    expect(await serials()).toEqual(['S1', 'S2']);
  });

  test('a serial number is free again when its device has failed, or has another number', async () => {
    const issued = (i: number, serial: string): Promise<Row> =>
      record({ result: 'issued', member: member(i), serial });
    await issued(1, 'S1');
    await expectFailure(issued(2, 'S1'), 'factory.serial-taken');
    await fail('tpm.lost', 1);
    await pass(2, { serial: 'S1' });
    await expectFailure(issued(1, 'S1'), 'factory.serial-taken');
    await issued(3, 'S3');
    await pass(3, { serial: 'S4' });
    await pass(4, { serial: 'S3' });
    await expectFailure(pass(5, { serial: 'S4' }), 'factory.serial-taken');
    expect(await serials()).toEqual(['S1', 'S4', 'S3']);
    rmSync(file('journal.index'));
    await expectFailure(pass(5, { serial: 'S3' }), 'factory.serial-taken');
  });

  test('a credential that has left stays counted, and when it did', async () => {
    const { issued } = await record({ result: 'issued', member: member(1) });
    expect(issued).toMatch(/Z$/);
    expect(await fail('tpm.lost', 1)).toMatchObject({ issued });
    expect(await tally()).toMatchObject({ issued: 1, failed: {} });
    rmSync(file('journal.index'));
    expect(await tally()).toMatchObject({ issued: 1, failed: {} });
    expect(await pass(1)).toMatchObject({ issued });
    expect(await tally()).toMatchObject({ passed: 1, issued: 0 });
  });

  test('a torn last line is cut, whole ones stay, and what is none is counted', async () => {
    await pass(1);
    await pass(2);
    const whole = readFileSync(file('journal.jsonl'));
    for (const cut of [1, 20, 100]) {
      truncateSync(file('journal.jsonl'), whole.length - cut);
      expect(await readManifest(group)).toHaveLength(1);
      await pass(2);
      expect(await readManifest(group)).toHaveLength(2);
      expect(readFileSync(file('journal.jsonl'), 'utf8').split('\n')).toHaveLength(3);
    }
    appendFileSync(file('journal.jsonl'), `${'x'.repeat(10_000)}\n{"time":1}\n\0\0\0`);
    await pass(3);
    expect(await tally()).toMatchObject({ passed: 3, damaged: 2 });
  });

  test('the index is made again when it is missing, damaged, of another journal, or full', async () => {
    for (let i = 0; i < 5; i++) await pass(i, { serial: `S${i}` });
    const before = await tally();
    const known = async (): Promise<void> => {
      expect(await tally()).toEqual(before);
      expect(await pass(3)).toMatchObject({ serial: 'S3' });
    };
    rmSync(file('journal.index'));
    await known();
    const bytes = readFileSync(file('journal.index'));
    bytes[20]! ^= 1;
    writeFileSync(file('journal.index'), bytes);
    await known();
    truncateSync(file('journal.index'), 100);
    await known();
    const lines = Array.from({ length: 2_000 }, (_, i) =>
      JSON.stringify({
        time: before.last,
        gid: group.gid,
        member: member(100 + i),
        tpm: 'IBM',
        serial: `T${i}`,
      }),
    );
    appendFileSync(file('journal.jsonl'), `${lines.join('\n')}\n`);
    expect((await tally()).passed).toBe(2_005);
    await expectFailure(pass(9_999, { serial: 'T1999' }), 'factory.serial-taken');
    // A line was taken out by hand, and the others moved.
    await fail('tpm.lost', 7_000);
    await fail('tpm.absent', 7_000);
    const whole = readFileSync(file('journal.jsonl'), 'utf8').split('\n');
    writeFileSync(file('journal.jsonl'), whole.toSpliced(1, 1).join('\n'));
    expect(await tally()).toMatchObject({ passed: 2_004, failed: { 'tpm.absent': 1 }, damaged: 0 });
    expect(await pass(3)).toMatchObject({ serial: 'S3' });
    await pass(8_000, { serial: 'S1' });
    // A journal of before, restored from a backup.
    writeFileSync(file('journal.jsonl'), readFileSync(file('journal.jsonl')).subarray(0, 2_000));
    expect((await tally()).passed).toBeLessThan(10);
  });

  test('what the index has on the disk beyond its last checkpoint does no harm', async () => {
    await fail('tpm.lost', 1);
    await tally();
    const old = readFileSync(file('journal.index')).subarray(0, 16_384);
    await pass(1, { serial: 'S1' });
    for (let i = 2; i < 200; i++) await pass(i);
    const now = await tally();
    const bytes = readFileSync(file('journal.index'));
    bytes.set(old);
    writeFileSync(file('journal.index'), bytes);
    expect(await tally()).toEqual(now);
    expect(now).toMatchObject({ passed: 199, failed: {} });
  });

  test('a manifest of devices alone becomes the journal', async () => {
    const line = { time: '2026-01-01T00:00:00.000Z', gid: group.gid, member: member(1), tpm: 'IBM' };
    writeFileSync(file('manifest.jsonl'), `${JSON.stringify(line)}\n{"time":`);
    expect(await readManifest(group)).toEqual([{ ...line, result: 'pass' }]);
    expect(existsSync(file('manifest.jsonl'))).toBe(false);
    expect(await pass(1)).toMatchObject(line);
  });

  test('a closed batch takes no more devices, and says which it has', async () => {
    await pass(1);
    mkdirSync(file('manifest'));
    expect(await pass(1)).toMatchObject({ member: member(1) });
    await expectFailure(pass(2), 'factory.batch-closed');
    expect(await readManifest(group)).toHaveLength(1);
  });

  test('what cannot be written is a failure', async () => {
    renameSync(group.folder, `${group.folder}-away`);
    await expectFailure(pass(1), 'os.write-failed');
    expect(existsSync(group.folder)).toBe(false);
    renameSync(`${group.folder}-away`, group.folder);
    chmodSync(group.folder, 0o700);
    await pass(1);
  });
});

test('a folder that can only be read is read, and takes no row', async () => {
  await pass(1, { serial: 'S1' });
  chmodSync(path('.'), 0o755);
  chmodSync(group.folder, 0o555);
  for (const name of ['journal.jsonl', 'ipk.bin', 'basename.bin', 'group.json']) chmodSync(file(name), 0o444);
  rmSync(file('journal.index'));
  const program = path('reader.mjs');
  await bundle(new URL('./journal-child.ts', import.meta.url), program);
  const uid = process.geteuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const child = fork(program, [group.folder, 'read'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    ...uid,
  });
  const [said] = await once(child, 'message');
  expect(said).toMatchObject({ passed: 1, serial: 'S1', code: 'os.write-failed' });
  await once(child, 'exit');
  chmodSync(group.folder, 0o700);
  expect(existsSync(file('journal.index'))).toBe(false);
});

describe('programs that share a batch', () => {
  test('have one lock, also when they name its folder by a link', async () => {
    const link = path(`link-${made}`);
    symlinkSync(group.folder, link);
    const other = await openGroup(link);
    let [inside, most] = [0, 0];
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside--;
    };
    await Promise.all([group, other, group, other].map((each) => withJournal(each, work)));
    expect(most).toBe(1);
  });

  test('none loses a row, none writes one twice, also when one is killed at any moment', async () => {
    const program = path('writer.mjs');
    await bundle(new URL('./journal-child.ts', import.meta.url), program);
    const children = [0, 1, 2].map((first) =>
      fork(program, [group.folder, String(first)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    );
    // From the beginning: a fast one has ended before the other is killed.
    const ended = children.map((child) => once(child, 'exit'));
    const told = new Set<number>();
    for (const child of children) child.on('message', (i) => told.add(i as number));
    await new Promise((r) => setTimeout(r, 300));
    children[0]!.kill('SIGKILL');
    await Promise.all(ended);
    const rows = (await readManifest(group)).map((row) => Number.parseInt(row.member!, 16));
    expect(new Set(rows).size).toBe(rows.length);
    // Each that was told is there.
    expect([...told].filter((i) => !rows.includes(i))).toEqual([]);
    expect(rows.length).toBeGreaterThanOrEqual(60);
    rmSync(file('journal.index'));
    expect((await tally()).passed).toBe(rows.length);
  });
});
