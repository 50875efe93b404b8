import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkDatabase, copyDatabase } from '../../../../fabric/registry/sqlite/copy.ts';
import { openDatabase } from '../../../../fabric/registry/sqlite/database.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { opened, registryFile, scratch } from '../../place.ts';

const network = (n: number) => parsePrefix(`fd00:${n}::/64`);

test('[H-C2] what was written last is kept beside the registry when it is closed, and soon while it is open', async () => {
  const path = registryFile();
  const registry = opened(path);
  const kept = (): string => readFileSync(`${path}-head`, 'utf8');
  await registry.addNetwork('owner', network(1), '');
  while (!existsSync(`${path}-head`)) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(kept()).toMatch(/^2:[0-9a-f]{64}\n$/);
  await registry.addNetwork('owner', network(2), '');
  const { entries, head } = await registry.verifyAudit();
  await registry.close();
  expect(kept()).toBe(`${entries}:${toHex(head)}\n`);
});

test('[H-C2] whoever only reads writes nothing, and a registry without a kept head is as good as before', async () => {
  const path = registryFile();
  const registry = opened(path);
  expect(registry.missing()).toBeUndefined();
  await registry.verifyAudit();
  await registry.close();
  expect(existsSync(`${path}-head`)).toBe(false);
});

test('[H-C2] a registry that lost its newest entries, or has others in their place, says so until that is accepted', async () => {
  for (const others of [0, 5]) {
    const path = registryFile();
    const first = opened(path);
    await first.addNetwork('owner', network(1), '');
    await first.close();
    const older = join(scratch(), 'older.db');
    cpSync(path, older);
    const second = opened(path);
    await second.addNetwork('owner', network(2), '');
    await second.close();
    cpSync(older, path);
    rmSync(`${path}-wal`, { force: true });

    const third = opened(path);
    for (let i = 0; i < others; i++) await third.addNetwork('owner', network(10 + i), '');
    expect(third.missing()).toMatchObject({ code: 'audit.behind' });
    await third.close();
    const fourth = opened(path);
    expect(fourth.missing()?.message).toMatch(
      others === 0 ? /ends with audit entry 2, and there were 3/ : /has another audit entry 3/,
    );
    expect(() => copyDatabase(path, `${path}.copy`)).toThrow(
      expect.objectContaining({ code: 'audit.behind' }),
    );
    await fourth.recordRestore('owner', { why: 'test' });
    expect(fourth.missing()).toBeUndefined();
    await fourth.close();
    const fifth = opened(path);
    expect(fifth.missing()).toBeUndefined();
    expect(await fifth.verifyAudit()).toMatchObject({ entries: 3 + others });
  }
});

test('[H-C2] a kept head that cannot be read counts as none', async () => {
  const path = registryFile();
  for (const text of ['', 'nonsense', '3:ff', '9'.repeat(400)]) {
    writeFileSync(`${path}-head`, text);
    const registry = opened(path);
    expect(registry.missing()).toBeUndefined();
    await registry.close();
  }
});

test('[H-C2] a copy has what is only in the log, and is checked page by page', async () => {
  const path = registryFile();
  const registry = opened(path);
  await registry.addNetwork('owner', network(1), '');
  const copy = join(scratch(), "a 'copy'.db");
  copyDatabase(path, copy);
  expect(await checkDatabase(copy)).toMatchObject({ networks: 1, groups: 0, devices: 0, head: { seq: 2 } });
  expect(() => copyDatabase(path, copy)).toThrow();
  expect(() => copyDatabase(join(scratch(), 'none'), copy)).toThrow(
    expect.objectContaining({ code: 'registry.absent' }),
  );
  const bytes = readFileSync(copy);
  bytes.fill(0x55, 4_096, 8_192);
  writeFileSync(copy, bytes);
  await expect(checkDatabase(copy)).rejects.toMatchObject({ code: 'registry.corrupt' });
});

test('[H-C2] a copy whose rows lead nowhere is refused', async () => {
  const path = registryFile();
  const db = openDatabase(path);
  db.exec(
    "PRAGMA foreign_keys = OFF; INSERT INTO grp (gid, gpk, basename, name, network, status, claim_hash, created) VALUES (zeroblob(32), zeroblob(258), X'62', 'g', 77, 'active', NULL, 1)",
  );
  db.close();
  await expect(checkDatabase(path)).rejects.toMatchObject({ code: 'registry.corrupt' });
});
