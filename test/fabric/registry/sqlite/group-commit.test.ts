import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { prepare } from '../../../../fabric/registry/sql/base/statements.ts';
import { connect } from '../../../../fabric/registry/sqlite/connect.ts';
import { openDatabase } from '../../../../fabric/registry/sqlite/database.ts';
import { commitQueue } from '../../../../fabric/registry/sqlite/group-commit.ts';
import { walFile } from '../../../../fabric/registry/sqlite/wal-file.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { anyGroup, NETWORK, opened, registryFile, scratch } from '../../place.ts';

describe('group commit', () => {
  afterEach(() => void vi.restoreAllMocks());

  test('answers after the commit, jobs that throw are undone alone', async () => {
    // However slow the machine is, no time passes, so that all three are one commit.
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const path = registryFile();
    const db = openDatabase(path);
    const other = connect(path, { readonly: true });
    const count = (from: typeof db): unknown => prepare(from, 'SELECT count(*) AS n FROM handshake').get();
    const insert = (): void => {
      db.exec("INSERT INTO handshake (at, source, proven, result) VALUES (1, 's', 0, 'r')");
    };
    let commits = 0;
    const queue = commitQueue(db, path, () => commits++);
    const results = await Promise.allSettled([
      queue.submit(() => insert()).then(() => count(other)),
      queue.submit(() => {
        insert();
        throw new Error('refused');
      }),
      queue.submit(() => insert()).then(() => count(other)),
    ]);
    expect(results).toEqual([
      { status: 'fulfilled', value: { n: 2 } },
      { status: 'rejected', reason: new Error('refused') },
      { status: 'fulfilled', value: { n: 2 } },
    ]);
    expect(commits).toBe(1);
    other.close();
    queue.close();
    db.close();
  });

  test('if the commit fails nobody is told it succeeded', async () => {
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const path = registryFile();
    const db = openDatabase(path);
    const queue = commitQueue(db, path, () => {});
    const good = queue.submit(() =>
      db.exec("INSERT INTO handshake (at, source, proven, result) VALUES (1, 's', 0, 'r')"),
    );
    const fatal = queue.submit(() => db.exec('INSERT INTO nowhere VALUES (1)'));
    const results = await Promise.allSettled([good, fatal]);
    expect(results.map((each) => each.status)).toEqual(['rejected', 'rejected']);
    expect(prepare(db, 'SELECT count(*) AS n FROM handshake').get()).toEqual({ n: 0 });
    queue.close();
    db.close();
  });

  /** Three jobs, of which the second is `broken`; how many handshakes are written in the end. */
  async function withAllOrNothing(broken: (insert: () => void) => void) {
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const path = registryFile();
    const db = openDatabase(path);
    const insert = (): void => {
      prepare(db, "INSERT INTO handshake (at, source, proven, result) VALUES (1, 's', 0, 'r')").run();
    };
    const queue = commitQueue(db, path, () => {});
    const results = await Promise.allSettled([
      queue.submitAllOrNothing(insert),
      queue.submitAllOrNothing(() => broken(insert)),
      queue.submit(insert),
    ]);
    const written = prepare(db, 'SELECT count(*) FROM handshake').pluck().get();
    queue.close();
    db.close();
    return { statuses: results.map(({ status }) => status), results, written };
  }

  test('a job without a savepoint that throws before it writes is refused alone', async () => {
    const { statuses, results, written } = await withAllOrNothing(() => {
      throw new Error('refused');
    });
    expect(statuses).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: new Error('refused') });
    expect(written).toBe(2);
  });

  test('if it throws after it has written, nothing before it in its commit is written or said to be', async () => {
    const { statuses, results, written } = await withAllOrNothing((insert) => {
      insert();
      throw new Error('a mistake');
    });
    // What had not begun is the next commit.
    expect(statuses).toEqual(['rejected', 'rejected', 'fulfilled']);
    expect(results[0]).toMatchObject({ reason: { cause: new Error('a mistake') } });
    expect(written).toBe(1);
  });

  test('a queue that is closed while the file is locked asks now and then, and tells who waited', async () => {
    const path = registryFile();
    const [db, other] = [openDatabase(path), openDatabase(path)];
    db.exec('PRAGMA busy_timeout = 0');
    const queue = commitQueue(db, path, () => {});
    other.exec('BEGIN IMMEDIATE');
    const asked = vi.spyOn(db, 'transaction');
    const job = queue.submit(() => 'done').catch(({ code }: Failure) => code);
    queue.close();
    expect(await job).toBe('registry.locked');
    expect(asked.mock.calls.length).toBeGreaterThan(1);
    expect(asked.mock.calls.length).toBeLessThan(200);
    other.close();
    db.close();
  });

  /** A queue of a new registry over a disk that is as slow as the test says; `submit` notes a handshake with this result. */
  function slowDisk() {
    const path = registryFile();
    const db = openDatabase(path);
    const flushes: ((failure?: Failure) => void)[] = [];
    const told: string[] = [];
    const disk = { now: () => {} };
    const queue = commitQueue(db, path, () => told.push('commit'), {
      flush: (done) => flushes.push(done),
      flushNow: () => disk.now(),
      close: () => told.push('close'),
    });
    const submit = (result: string): Promise<unknown> =>
      queue
        .submit(() =>
          prepare(db, "INSERT INTO handshake (at, source, proven, result) VALUES (1, 's', 0, ?)").run(result),
        )
        .then(
          () => told.push(result),
          (error: Failure) => told.push(`${result}: ${error.code}`),
        );
    const written = (): unknown =>
      prepare(db, "SELECT group_concat(result, ' ') AS all_of_them FROM handshake").pluck().get();
    return { path, db, queue, flushes, told, submit, written, disk };
  }
  /** Until the next commit has begun: timers end in the order of their times, and its own is the shorter one. */
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));

  test('nobody is told before the disk has it; what comes meanwhile is the next commit', async () => {
    const { db, queue, flushes, told, submit, written } = slowDisk();
    const first = submit('a');
    await turn();
    void submit('b');
    void submit('c');
    await turn();
    expect([written(), flushes.length, told]).toEqual(['a', 1, []]);
    flushes[0]!();
    await first;
    await turn();
    expect([written(), flushes.length, told]).toEqual(['a b c', 2, ['commit', 'a']]);
    flushes[1]!();
    await turn();
    expect(told).toEqual(['commit', 'a', 'commit', 'b', 'c']);
    // The rest of the registry waits for its own commits.
    expect(prepare(db, 'PRAGMA synchronous').pluck().get()).toBe(2);
    queue.close();
    db.close();
  });

  test('what the disk did not take is refused, and the log is left before the next commit', async () => {
    const { path, db, queue, flushes, told, submit } = slowDisk();
    const logged = (): number => statSync(`${path}-wal`).size;
    void submit('a');
    await turn();
    const before = logged();
    flushes[0]!(new Failure('registry.not-writable', 'operator', 'EIO'));
    await turn();
    // Somebody who reads the log keeps it from being left.
    db.exec('PRAGMA busy_timeout = 1');
    const reader = connect(path, { readonly: true });
    reader.exec('BEGIN; SELECT * FROM handshake');
    await submit('b');
    reader.close();
    void submit('c');
    await turn();
    expect(logged()).toBe(before);
    flushes[1]!();
    await turn();
    expect(told).toEqual(['a: registry.not-writable', 'b: registry.locked', 'commit', 'c']);
    queue.close();
    db.close();
  });

  test('closing does not wait for a flush under way, and the disk still has everything', async () => {
    const { db, queue, flushes, told, submit, written, disk } = slowDisk();
    let now = 0;
    disk.now = () => now++;
    void submit('a');
    await turn();
    void submit('b');
    queue.close();
    await turn();
    expect([written(), now, told]).toEqual(['a b', 2, ['commit', 'commit', 'close', 'a', 'b']]);
    flushes[0]!();
    await turn();
    expect(told).toHaveLength(5);
    db.close();
  });

  test('a log that is not there is a failure with a name', async () => {
    const wal = walFile(join(scratch(), 'none.db'));
    const failed = { code: 'registry.not-writable' };
    expect(await new Promise((resolve) => wal.flush(resolve))).toMatchObject(failed);
    expect(() => wal.flushNow()).toThrow(expect.objectContaining(failed));
    wal.close();
  });

  test('closing commits what waits', async () => {
    const path = registryFile();
    const registry = opened(path);
    await registry.addNetwork('owner', NETWORK, '');
    await registry.addGroup('owner', anyGroup());
    const noted = registry.refused({ source: '192.0.2.1', proven: false, result: 'xtt.bad-header' });
    await registry.close();
    await noted;
    expect((await opened(path).handshakes({ limit: 9 })).rows).toMatchObject([
      { source: '192.0.2.1', result: 'xtt.bad-header' },
    ]);
  });
});
