import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EVERYTHING, scopeOf } from '../../../fabric/access/scope.ts';
import { openJobs } from '../../../fabric/jobs/jobs.ts';
import { openJobKeeper } from '../../../fabric/jobs/kept.ts';
import { Failure } from '../../../protocol/failure.ts';
import { scratch } from '../place.ts';

const OF = {
  operation: 'device-bulk',
  input: { change: 'ban', standing: 'active' },
  actor: 'alice',
  owner: 3,
};
const START = 1_800_000_000_000;
const NO_DEVICE = new Failure('fabric.unknown-device', 'operator', 'no such device', { action: 'Look.' });
const never = new Promise<void>(() => {});

/** The jobs of a fabric that starts on the folder. */
async function started(folder: string, now = START, errors: unknown[] = []) {
  return openJobs(
    () => now,
    (error) => errors.push(error),
    await openJobKeeper(folder),
  );
}
const files = (folder: string): string[] => readdirSync(folder).sort();

test('a job that the end of the fabric cuts short is interrupted for the next one, with what it has done', async () => {
  const folder = join(scratch(), 'jobs');
  const jobs = await started(folder);
  const { id } = await jobs.start(OF, ({ row, failed, effect }) => {
    for (const changed of [true, true, false]) row(changed);
    failed('fd00::1', NO_DEVICE);
    effect('in force');
    return never;
  });
  await jobs.close();
  const next = await started(folder, START + 60_000);
  const cut = { ...OF, owner: undefined, id, state: 'interrupted', rows: 3, changed: 2, failed: 1 };
  const ended = new Date(START).toISOString();
  expect(next.show(EVERYTHING, id)).toMatchObject({
    ...{ operation: cut.operation, input: cut.input, state: cut.state, rows: 3, changed: 2, ended },
    failures: [{ subject: 'fd00::1', code: 'fabric.unknown-device' }],
  });
  // It counts as none that runs, and cannot be cancelled any more.
  expect(next.cancel(EVERYTHING, id).state).toBe('interrupted');
  for (let i = 0; i < 4; i++) await next.start(OF, () => never);
  expect(next.list(EVERYTHING).map(({ state }) => state)).toEqual([
    ...Array.from({ length: 4 }, () => 'running'),
    'interrupted',
  ]);
  // It is its owner's alone, and there after a further start.
  expect(next.list(scopeOf(4, false))).toEqual([]);
  expect(next.list(scopeOf(3, false))).toHaveLength(5);
  expect((await started(folder)).show(scopeOf(3, false), id)).toMatchObject({ state: 'interrupted' });
});

test('a job is on the disk before it changes anything, and not once it has ended', async () => {
  const folder = join(scratch(), 'jobs');
  const jobs = await started(folder);
  let before: string[] = [];
  const { id } = await jobs.start(OF, async () => {
    before = files(folder);
  });
  await expect.poll(() => files(folder)).toEqual([]);
  expect(before).toEqual([`${id}.json`]);
  expect(jobs.show(EVERYTHING, id)).toMatchObject({ state: 'done' });
  const refused = jobs.start(
    OF,
    () => never,
    () => Promise.reject(NO_DEVICE),
  );
  await expect(refused).rejects.toBe(NO_DEVICE);
  expect(files(folder)).toEqual([]);
});

test('progress is kept while a job goes on', async () => {
  const folder = join(scratch(), 'jobs');
  const jobs = await started(folder);
  const { id } = await jobs.start(OF, ({ row }) => {
    for (let i = 0; i < 500; i++) row(true);
    return never;
  });
  const seen = () => JSON.parse(readFileSync(join(folder, `${id}.json`), 'utf8')).job.changed;
  await expect.poll(seen, { timeout: 10_000 }).toBe(500);
  // As after a power cut: nobody has said that the fabric ends.
  expect((await openJobKeeper(folder)).found).toMatchObject([{ job: { changed: 500 } }]);
  expect(jobs.show(EVERYTHING, id).state).toBe('running');
});

test('a disk that cannot be written begins no job, and ends none', async () => {
  const errors: unknown[] = [];
  let full = true;
  const diskFull = new Failure('os.disk-full', 'retry', 'full', { action: 'Make room.' });
  const fail = async (): Promise<void> => {
    if (full) throw diskFull;
  };
  const jobs = openJobs(
    () => START,
    (error) => errors.push(error),
    { found: [], keep: fail, drop: fail },
  );
  await expect(jobs.start(OF, () => never)).rejects.toBe(diskFull);
  expect(jobs.list(EVERYTHING)).toEqual([]);
  expect(errors.splice(0)).toEqual([diskFull]);
  full = false;
  const { id } = await jobs.start(OF, async () => {
    full = true;
  });
  await expect.poll(() => errors).toEqual([diskFull]);
  expect(jobs.show(EVERYTHING, id).state).toBe('done');
});

test('what is no job is removed, and of very many the newest stay', async () => {
  const folder = join(scratch(), 'jobs');
  const jobs = await started(folder);
  const { id } = await jobs.start(OF, () => never);
  const good = JSON.parse(JSON.stringify({ owner: 3, job: jobs.show(EVERYTHING, id) }));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const wrong = ['', '{', 'null', '[]', JSON.stringify({ ...good, owner: 'x' }), JSON.stringify(good)];
  for (const [i, text] of [...wrong, `"${'x'.repeat(100_000)}"`].entries()) write(`${i + 1}.json`, text);
  write('note.txt', 'of somebody else');
  const { found } = await openJobKeeper(folder);
  expect(found.map(({ job }) => job.id)).toEqual([id]);
  expect(files(folder)).toEqual([`${id}.json`, 'note.txt']);
  for (let i = 1; i <= 1_005; i++)
    write(`${i}.json`, JSON.stringify({ owner: 3, job: { ...good.job, id: i } }));
  const many = (await openJobKeeper(folder)).found;
  expect([many.length, many[0]!.job.id, many.at(-1)!.job.id]).toEqual([1_000, 7, id]);
});
