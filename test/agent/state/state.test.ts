import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type DeviceRecord, forgetStore, openStore } from '../../../agent/state/state.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { type Folder, openFolder } from '../../../os/files/folder.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { fragile, PowerCut, power, temporaryFolder } from '../folders.ts';

const pending = { kind: 'software', der: 'aabb' } as const;
const identity = (n: number) => ({ address: `fd00::${n}`, certificate: '3082', key: pending });
const record = (n: number): DeviceRecord => ({ identity: identity(n) });

/** A file as a version would write it. */
function file(generation: number, body: string, version = 1): string {
  const checksum = toHex(primitives.sha256(new TextEncoder().encode(`${generation}\n${body}`)));
  return `enf-agent-state ${version} ${generation} ${checksum}\n${body}`;
}

async function reopen(path: string) {
  return openStore(await openFolder(path));
}

test('a new device has an empty record', async () => {
  const store = await reopen(temporaryFolder());
  expect([store.record, store.generation, store.quarantined]).toEqual([{}, 0, []]);
});

test('what was saved is there again, in private files written in turn', async () => {
  const path = join(temporaryFolder(), 'deep', 'state');
  const store = await reopen(path);
  await store.save({ pending });
  await store.save(record(1));
  await store.save(record(2));
  expect(readdirSync(path).sort()).toEqual(['state-0', 'state-1']);
  expect([statSync(path).mode & 0o777, statSync(join(path, 'state-0')).mode & 0o777]).toEqual([0o700, 0o600]);
  const again = await reopen(path);
  expect([again.record, again.generation]).toEqual([record(2), 3]);
  expect(readFileSync(join(path, 'state-1'), 'utf8')).toContain('fd00::1');
});

test('[C-16] a power cut at any write leaves the old or the new record', async () => {
  for (let cutAt = 0; cutAt < 12; cutAt++) {
    const path = temporaryFolder();
    const supply = power(cutAt);
    const store = await openStore(fragile(await openFolder(path), supply));
    let saved = 0;
    try {
      for (let n = 1; n <= 6; n++) {
        await store.save(record(n));
        saved = n;
      }
    } catch (error) {
      expect(error).toBeInstanceOf(PowerCut);
    }
    const again = await reopen(path);
    const address = again.record.identity?.address;
    expect([saved === 0 ? undefined : `fd00::${saved}`, `fd00::${saved + 1}`]).toContain(address);
    await again.save(record(9));
    expect((await reopen(path)).record).toEqual(record(9));
  }
});

test('a temporary file that a power cut left behind is cleared away', async () => {
  const path = temporaryFolder();
  writeFileSync(join(path, '.0123456789ab.tmp'), 'half');
  writeFileSync(join(path, 'kept'), '');
  await reopen(path);
  expect(readdirSync(path)).toEqual(['kept']);
});

describe('a file that does not check out', () => {
  const damages: [string, (bytes: Buffer) => Buffer | string][] = [
    ['is empty', () => ''],
    ['is cut short', (bytes) => bytes.subarray(0, bytes.length - 1)],
    ['has a byte more', (bytes) => Buffer.concat([bytes, Buffer.from('x')])],
    ['is all NULs', (bytes) => Buffer.alloc(bytes.length)],
    ['has another generation', (bytes) => bytes.toString().replace(/^(\S+ 1 )\d+/, '$17')],
    ['is not JSON inside', () => file(7, '{"identity":')],
    ['is not a record inside', () => file(7, '[1]')],
    [
      'has an identity without a key',
      () => file(7, JSON.stringify({ identity: { address: 'fd00::1', certificate: '30' } })),
    ],
    ['has a bad address', () => file(7, JSON.stringify({ identity: { ...identity(1), address: 'fd00' } }))],
    ['has a key of no known kind', () => file(7, JSON.stringify({ pending: { kind: 'paper' } }))],
  ];
  for (const [name, damage] of damages) {
    test(`${name}: the other copy is used, it is set aside`, async () => {
      const path = temporaryFolder();
      const store = await reopen(path);
      await store.save(record(1));
      await store.save(record(2)); // into state-1
      writeFileSync(join(path, 'state-1'), damage(readFileSync(join(path, 'state-1'))));
      const again = await reopen(path);
      expect([again.record, again.quarantined]).toEqual([record(1), ['state-1.bad-1']]);
      expect(readdirSync(path).sort()).toEqual(['state-0', 'state-1.bad-1']);
      await again.save(record(3));
      const last = await reopen(path);
      expect([last.record, last.quarantined]).toEqual([record(3), []]);
    });
  }

  test('[C-16] any flipped bit is noticed', async () => {
    const path = temporaryFolder();
    await (await reopen(path)).save(record(1));
    const good = readFileSync(join(path, 'state-0'));
    for (let i = 0; i < good.length; i += 7) {
      const bad = Buffer.from(good);
      bad[i]! ^= 1 << (i % 8);
      writeFileSync(join(path, 'state-0'), bad);
      const store = await reopen(path);
      expect([i, store.record, store.quarantined.length]).toEqual([i, {}, 1]);
    }
  });

  test('[C-17] both copies: set aside and numbered, never deleted', async () => {
    const path = temporaryFolder();
    for (let round = 1; round <= 2; round++) {
      writeFileSync(join(path, 'state-0'), `bad ${round}`);
      writeFileSync(join(path, 'state-1'), `bad ${round}`);
      const store = await reopen(path);
      expect(store.record).toEqual({});
      expect(store.quarantined).toEqual([`state-0.bad-${round}`, `state-1.bad-${round}`]);
    }
    expect(readFileSync(join(path, 'state-0.bad-1'), 'utf8')).toBe('bad 1');
    expect(readdirSync(path)).toHaveLength(4);
  });

  test('[C-17] on a read-only disk the intact copy is still used', async () => {
    const path = temporaryFolder();
    await (await reopen(path)).save(record(1));
    writeFileSync(join(path, 'state-1'), 'bad');
    const folder = await openFolder(path);
    const readOnly: Folder = {
      ...folder,
      rename: async () => {
        throw new Failure('os.no-folder', 'operator', 'EROFS');
      },
    };
    expect((await openStore(readOnly)).record).toEqual(record(1));
  });
});

test('[C-17] a disk that cannot be read is not a new device', async () => {
  const path = temporaryFolder();
  await (await reopen(path)).save(record(1));
  const folder = await openFolder(path);
  const broken = (names: readonly string[]): Folder => ({
    ...folder,
    read: async (name) => {
      if (names.includes(name)) throw new Failure('os.not-readable', 'operator', 'EIO');
      return folder.read(name);
    },
  });
  await expect(openStore(broken(['state-0']))).rejects.toMatchObject({ code: 'os.not-readable' });
  await (await reopen(path)).save(record(2));
  expect((await openStore(broken(['state-0']))).record).toEqual(record(2));
  expect(readdirSync(path).sort()).toEqual(['state-0', 'state-1']);
});

test('[C-20] a failed save keeps the old record, and the next one succeeds', async () => {
  const path = temporaryFolder();
  const folder = await openFolder(path);
  let full = false;
  const store = await openStore({
    ...folder,
    write: async (name, bytes) => {
      if (full) throw new Failure('os.disk-full', 'retry', 'no space left');
      return folder.write(name, bytes);
    },
  });
  await store.save(record(1));
  full = true;
  await expect(store.save(record(2))).rejects.toMatchObject({ code: 'os.disk-full' });
  expect([store.record, store.generation]).toEqual([record(1), 1]);
  full = false;
  await store.save(record(3));
  expect((await reopen(path)).record).toEqual(record(3));
});

describe('other versions', () => {
  const newer = {
    identity: { ...identity(1), colour: 'blue' },
    pending: undefined,
    future: { deep: [1, 2] },
  };

  test('[C-38] fields of a later version survive a save by this one', async () => {
    const path = temporaryFolder();
    writeFileSync(join(path, 'state-0'), file(5, JSON.stringify(newer)));
    const store = await reopen(path);
    await store.save({ ...store.record, pending });
    expect((await reopen(path)).record).toEqual({ ...newer, pending });
  });

  test('[C-38] a later format is refused and left untouched', async () => {
    const path = temporaryFolder();
    const text = file(5, '{"another":"world"}', 2);
    writeFileSync(join(path, 'state-1'), text);
    await expect(reopen(path)).rejects.toMatchObject({ code: 'state.newer-version', remedy: 'operator' });
    expect(readFileSync(join(path, 'state-1'), 'utf8')).toBe(text);
    expect(readdirSync(path)).toEqual(['state-1']);
  });
});

test('forgetting removes all of it, and only that', async () => {
  const path = temporaryFolder();
  const store = await reopen(path);
  await store.save(record(1));
  await store.save(record(2));
  writeFileSync(join(path, 'state-1.bad-3'), '');
  writeFileSync(join(path, 'somebody-elses'), '');
  await forgetStore(await openFolder(path));
  expect(readdirSync(path)).toEqual(['somebody-elses']);
});

test('a folder that cannot be is a failure for a person', async () => {
  const path = temporaryFolder();
  writeFileSync(join(path, 'file'), '');
  await expect(openFolder(join(path, 'file', 'state'))).rejects.toMatchObject({
    code: 'os.no-folder',
    remedy: 'operator',
  });
  mkdirSync(join(path, 'ok'));
  chmodSync(join(path, 'ok'), 0o700);
  await expect(openFolder(join(path, 'ok'))).resolves.toBeDefined();
});
