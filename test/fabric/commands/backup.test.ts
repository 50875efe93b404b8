import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { parseTrust } from '../../../protocol/identity/trust.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { type Batch, type Chip, makeBatch, provision } from '../device.ts';
import { scratch } from '../place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();
const NETWORK = 'fd00:1:2:3::/64';

interface View {
  readonly audit: { readonly entries: number; readonly head: string };
  readonly devices: number;
  readonly encrypted: boolean;
}

interface Place {
  readonly folder: string;
  readonly data: string;
  readonly at: readonly string[];
  readonly root: Uint8Array;
  readonly batch: Batch;
}

/** A founded fabric with a network and a group, in a folder where there is room beside it. */
async function founded(): Promise<Place> {
  const folder = scratch();
  const data = join(folder, 'fabric');
  const at = ['--data', data];
  const { trust } = await fabric.json<{ trust: string }>('init', ...at);
  await fabric.json('network', 'add', NETWORK, ...at);
  const batch = makeBatch();
  await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, ...at);
  return { folder, data, at, root: parseTrust(readFileSync(trust, 'utf8')).xttRoot, batch };
}

/** Nothing that a command works on is left. */
const leftovers = (folder: string): string[] =>
  readdirSync(folder).filter(
    (name) => (name.startsWith('.') && !['.last-backup', '.jobs'].includes(name)) || name.endsWith('.tmp'),
  );

describe('[H-C2] backup and restore', () => {
  let place: Place;
  let file: string;
  beforeEach(async () => {
    place = await founded();
    file = join(place.folder, 'fabric.backup');
  });

  const admit = (chip: Chip, identityPort: number): Promise<{ identity: Uint8Array }> =>
    provision({ port: identityPort, root: place.root, gid: place.batch.gid, chip });

  test('of a fabric that serves: all that was committed is in it, and a restored fabric is that fabric', async () => {
    const { data, at, folder } = place;
    const serving = await fabric.serve(data);
    const chips = await Promise.all(Array.from({ length: 3 }, () => place.batch.chip()));
    const addresses: string[] = [];
    for (const chip of chips) addresses.push(formatIpv6((await admit(chip, serving.identityPort)).identity));
    // The registry's file alone lacks what is in its log.
    expect(statSync(join(data, 'registry.db-wal')).size).toBeGreaterThan(0);
    const made = await fabric.json<View>('backup', 'create', file, ...at);
    const { entries, head } = await fabric.json<{ entries: number; head: string }>('audit', ...at);
    expect(made).toMatchObject({ devices: 3, encrypted: false, audit: { entries, head } });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect([...leftovers(folder), ...leftovers(data)]).toEqual([]);
    // Any tar program can read it.
    const names = execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).trim().split('\n');
    expect(names).toEqual(expect.arrayContaining(['enf-fabric-backup.json', 'router.key', 'registry.db']));
    expect(names.filter((name) => /-wal|-shm|-head|sock/.test(name))).toEqual([]);

    expect(await fabric.json('backup', 'verify', file)).toMatchObject({ devices: 3, audit: made.audit });
    const elsewhere = join(folder, 'restored');
    mkdirSync(elsewhere);
    const restored = await fabric.json<View>('restore', file, '--data', elsewhere);
    expect(restored).toMatchObject({ devices: 3, data: elsewhere, audit: made.audit });
    expect(leftovers(folder)).toEqual([]);
    expect(statSync(elsewhere).mode & 0o777).toBe(0o750);
    for (const name of readdirSync(data).filter(
      (each) => !/^\.(last-backup|jobs)$|^registry|sock$/.test(each),
    ))
      expect(readFileSync(join(elsewhere, name)), name).toEqual(readFileSync(join(data, name)));
    const rows = await fabric.json<{ address: string }[]>('device', 'list', '--data', elsewhere);
    expect(rows.map((row) => row.address)).toEqual(addresses);
    const trail = ['audit', '--data', elsewhere, '--expect', `${made.audit.entries}:${made.audit.head}`];
    const after = await fabric.json<{ entries: number; newest: { action: string; detail: object }[] }>(
      ...trail,
    );
    expect(after.entries).toBe(made.audit.entries + 1);
    expect(after.newest.at(-1)).toMatchObject({
      action: 'fabric.restore',
      detail: { entries: made.audit.entries, head: made.audit.head },
    });
    await serving.stop();
    const again = await fabric.serve(elsewhere);
    expect(formatIpv6((await admit(chips[1]!, again.identityPort)).identity)).toBe(addresses[1]);
  });

  test('of one that was killed: what was in its log is in the backup', async () => {
    const serving = await fabric.serve(place.data);
    await admit(await place.batch.chip(), serving.identityPort);
    await serving.stop('SIGKILL');
    expect(await fabric.json('backup', 'create', file, ...place.at)).toMatchObject({ devices: 1 });
  });

  test('overwrites nothing, and is not put where it would be lost with the fabric', async () => {
    const { data, at, folder } = place;
    writeFileSync(file, 'mine');
    expect(await fabric.refusal('backup', 'create', file, ...at)).toMatchObject({ code: 'os.exists' });
    expect(readFileSync(file, 'utf8')).toBe('mine');
    const inside = join(data, 'fabric.backup');
    expect(await fabric.refusal('backup', 'create', inside, ...at)).toMatchObject({ code: 'backup.inside' });
    const nowhere = join(folder, 'none', 'fabric.backup');
    expect(await fabric.refusal('backup', 'create', nowhere, ...at)).toMatchObject({
      code: 'os.write-failed',
    });
    rmSync(file);
    await fabric.json('backup', 'create', file, ...at);
    expect(await fabric.refusal('restore', file, ...at)).toMatchObject({
      code: 'fabric.already-initialised',
    });
    expect(await fabric.json('group', 'list', ...at)).toHaveLength(1);
    expect([...leftovers(folder), ...leftovers(data)]).toEqual([]);
  });

  test('without a fabric, or without a backup, each names what is missing', async () => {
    const { folder, at } = place;
    const nowhere = ['--data', join(folder, 'nothing')];
    expect(await fabric.refusal('backup', 'create', file, ...nowhere)).toMatchObject({
      code: 'fabric.not-initialised',
    });
    for (const command of [
      ['restore', file, ...nowhere],
      ['backup', 'verify', file],
    ])
      expect(await fabric.refusal(...command)).toMatchObject({ code: 'os.no-file' });
    writeFileSync(file, 'this is a letter');
    expect(await fabric.refusal('backup', 'verify', file)).toMatchObject({ code: 'backup.not-a-backup' });
    writeFileSync(join(place.data, 'disk.img'), new Uint8Array(2_000_000));
    expect(await fabric.refusal('backup', 'create', `${file}.2`, ...at)).toMatchObject({
      code: 'os.file-too-large',
      message: expect.stringContaining('disk.img'),
    });
    expect(readdirSync(folder).sort()).toEqual(['fabric', 'fabric.backup']);
  });

  test('whatever is changed or cut is found before anything is put in place', async () => {
    const { folder } = place;
    await fabric.json('backup', 'create', file, ...place.at);
    const whole = readFileSync(file);
    const target = join(folder, 'restored');
    const refused = async (bytes: Uint8Array): Promise<string> => {
      writeFileSync(file, bytes);
      const { code } = await fabric.refusal('restore', file, '--data', target);
      expect(existsSync(target)).toBe(false);
      return code;
    };
    for (const at of [600, 5_000, 9_000, whole.length - 2_000, whole.length - 1_600, whole.length - 1]) {
      const changed = Uint8Array.from(whole);
      changed[at]! ^= 1;
      expect(await refused(changed), `byte ${at}`).toMatch(/^backup\.(damaged|not-a-backup)$/);
    }
    for (const length of [0, 100, 4_000, whole.length - 512])
      expect(await refused(whole.subarray(0, length)), `${length} bytes`).toMatch(/^backup\./);
    expect(await refused(Buffer.concat([whole, Buffer.alloc(512)]))).toBe('backup.damaged');
    expect(leftovers(folder)).toEqual([]);
    writeFileSync(file, whole);
    await fabric.json('restore', file, '--data', target);
  });

  test('encrypted: no key in it, and only its passphrase opens it', async () => {
    const { folder, at, data } = place;
    const passphrase = (words: string): string[] => {
      const path = join(folder, `passphrase ${words}`);
      writeFileSync(path, `${words}\n`);
      return ['--passphrase-file', path];
    };
    const [right, wrong] = [passphrase('correct horse'), passphrase('correct house')];
    expect(await fabric.json('backup', 'create', file, ...right, ...at)).toMatchObject({ encrypted: true });
    const key = readFileSync(join(data, 'xtt-root.key')).subarray(7, 39);
    expect(readFileSync(file).includes(key)).toBe(false);
    expect(await fabric.json('backup', 'verify', file, ...right)).toMatchObject({ encrypted: true });
    const target = ['--data', join(folder, 'restored')];
    const refused = async (...args: string[]) =>
      (await fabric.refusal('restore', file, ...target, ...args)).code;
    expect(await refused(...wrong)).toBe('os.wrong-passphrase');
    expect(await refused()).toBe('os.no-terminal');
    const sealed = readFileSync(file);
    writeFileSync(file, sealed.subarray(0, -1));
    expect(await refused(...right)).toMatch(/^os\.(bad-container|wrong-passphrase)$/);
    writeFileSync(file, sealed);
    await fabric.json('restore', file, ...target, ...right);
    const plain = join(folder, 'plain');
    await fabric.json('backup', 'create', plain, ...at);
    expect(await fabric.refusal('backup', 'verify', plain, ...right)).toMatchObject({
      code: 'backup.not-encrypted',
    });
  });

  test('a fabric whose files do not belong together, or whose registry was tampered with, is not backed up', async () => {
    const other = await founded();
    const cert = join(place.data, 'xtt-server.cert');
    const own = readFileSync(cert);
    cpSync(join(other.data, 'xtt-server.cert'), cert);
    expect(await fabric.refusal('backup', 'create', file, ...place.at)).toMatchObject({
      code: 'fabric.bad-authority',
    });
    writeFileSync(cert, own);
    execFileSync(process.execPath, [
      '-e',
      `const db = new (require('better-sqlite3'))(${JSON.stringify(join(place.data, 'registry.db'))});
       db.exec("DROP TRIGGER audit_is_never_changed; UPDATE audit SET actor = 'mallory' WHERE seq = 2"); db.close();`,
    ]);
    expect(await fabric.refusal('backup', 'create', file, ...place.at)).toMatchObject({
      code: 'audit.broken',
    });
    expect(existsSync(file)).toBe(false);
    expect([...leftovers(place.folder), ...leftovers(place.data)]).toEqual([]);
  });
});

describe('[H-C2] a registry that was copied without its log', () => {
  /** A copy of a serving fabric's folder without the registry's log, and the head that its audit printed. */
  async function copied(): Promise<{ at: string[]; copy: string; head: string; devices: number }> {
    const { folder, data, root, batch, at } = await founded();
    const serving = await fabric.serve(data);
    for (let i = 0; i < 3; i++)
      await provision({ port: serving.identityPort, root, gid: batch.gid, chip: await batch.chip() });
    const { entries, head } = await fabric.json<{ entries: number; head: string }>('audit', ...at);
    const kept = join(data, 'registry.db-head');
    while (!existsSync(kept) || !readFileSync(kept, 'utf8').startsWith(`${entries}:`))
      await new Promise((resolve) => setTimeout(resolve, 20));
    const copy = join(folder, 'copy');
    cpSync(data, copy, { recursive: true, filter: (name) => !/-(wal|shm)$|\.sock$/.test(name) });
    await serving.stop();
    return { at: ['--data', copy], copy, head: `${entries}:${head}`, devices: 3 };
  }

  test('is found by audit, by serve and by backup, until its loss is accepted', async () => {
    const { at, copy, head, devices } = await copied();
    expect((await fabric.json<object[]>('device', 'list', ...at)).length).toBeLessThan(devices);
    const refused = await fabric.refusal('audit', ...at);
    expect(refused).toMatchObject({ code: 'audit.behind', remedy: 'operator' });
    expect(refused.message).toContain('without its -wal');
    expect(await fabric.refusal('backup', 'create', `${copy}.backup`, ...at)).toMatchObject({
      code: 'audit.behind',
    });
    const serving = await fabric.serve(copy);
    expect(serving.log()).toMatch(/audit\.behind: .*--accept-loss/);
    expect(await fabric.refusal('audit', ...at)).toMatchObject({ code: 'audit.behind' });
    await serving.stop();
    // What is written meanwhile does not hide it.
    await fabric.json('network', 'add', 'fd00:9::/64', ...at);
    expect(await fabric.refusal('audit', ...at)).toMatchObject({ code: 'audit.behind' });

    const accepted = await fabric.json<{ newest: { action: string }[] }>('audit', '--accept-loss', ...at);
    expect(accepted.newest.at(-1)?.action).toBe('fabric.restore');
    const { entries } = await fabric.json<{ entries: number }>('audit', ...at);
    await fabric.json('audit', '--accept-loss', ...at);
    expect(await fabric.json('audit', ...at)).toMatchObject({ entries });
    expect(await fabric.refusal('audit', '--expect', head, ...at)).toMatchObject({ code: 'audit.broken' });
    const quiet = await fabric.serve(copy);
    expect(quiet.log()).not.toContain('audit.behind');
    await fabric.json('backup', 'create', `${copy}.backup`, ...at);
  });

  test('put back with its log it is whole', async () => {
    const { folder, data, at } = await founded();
    const serving = await fabric.serve(data);
    await fabric.json('network', 'add', 'fd00:9::/64', ...at);
    await serving.stop('SIGKILL');
    const copy = join(folder, 'copy');
    cpSync(data, copy, { recursive: true, filter: (name) => !/-shm$|\.sock$/.test(name) });
    expect(await fabric.json('network', 'list', '--data', copy)).toHaveLength(2);
    await fabric.json('audit', '--data', copy);
  });
});
