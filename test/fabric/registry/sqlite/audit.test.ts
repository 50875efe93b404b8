import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EVERYTHING } from '../../../../fabric/access/scope.ts';
import {
  appendAudit,
  lastTwins,
  listAudit,
  verifyAudit,
} from '../../../../fabric/registry/sql/trail/audit.ts';
import { connect } from '../../../../fabric/registry/sqlite/connect.ts';
import { openDatabase } from '../../../../fabric/registry/sqlite/database.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { opened, registryFile, scratch } from '../../place.ts';

/** A registry file with a trail of `count` entries. */
async function trail(count: number): Promise<string> {
  const file = registryFile();
  const registry = opened(file);
  for (let i = 1; i < count; i++) {
    await registry.addNetwork('owner', parsePrefix(`fd00:${i}::/64`), `network ${i}`);
  }
  await registry.close();
  return file;
}

/** Changes the file behind the program's back, triggers out of the way. */
function tamper(file: string, sql: string): void {
  const db = connect(file);
  db.exec(`DROP TRIGGER audit_is_never_changed; DROP TRIGGER audit_is_never_deleted; ${sql}`);
  db.close();
}

describe('audit trail', () => {
  const tampering: Record<string, string> = {
    'an entry altered': "UPDATE audit SET actor = 'mallory' WHERE seq = 2",
    'a detail altered': "UPDATE audit SET detail = '{}' WHERE seq = 3",
    'a time altered': 'UPDATE audit SET at = at + 1 WHERE seq = 1',
    'an entry taken out': 'DELETE FROM audit WHERE seq = 2',
    'the first entry taken out': 'DELETE FROM audit WHERE seq = 1',
    'the tail cut': 'DELETE FROM audit WHERE seq >= 4',
    'everything gone': 'DELETE FROM audit',
    'an entry before the first': "INSERT INTO audit VALUES (0, 1, 'a', 'b', 'c', '{}', zeroblob(32), 1)",
    'an entry added': "INSERT INTO audit VALUES (6, 1, 'a', 'b', 'c', '{}', zeroblob(32), 1)",
    'two entries swapped':
      'UPDATE audit SET seq = 99 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 99',
  };
  for (const [what, sql] of Object.entries(tampering)) {
    test(`${what} is found`, async () => {
      const file = await trail(5);
      tamper(file, sql);
      await expect(opened(file).verifyAudit()).rejects.toMatchObject({ code: 'audit.broken' });
    });
  }

  test('a trail longer than what is read at once verifies, and is found out near its end', async () => {
    const file = await trail(230);
    expect((await opened(file).verifyAudit()).entries).toBe(230);
    tamper(file, 'UPDATE audit SET at = at + 1 WHERE seq = 229');
    await expect(opened(file).verifyAudit()).rejects.toThrow(/229/);
  });

  test('a trail made anew is found by a head kept elsewhere', async () => {
    const file = await trail(5);
    const kept = await opened(file).verifyAudit();
    tamper(file, "DELETE FROM audit WHERE seq >= 4; UPDATE counter SET value = 3 WHERE name = 'audit'");
    const registry = opened(file);
    expect((await registry.verifyAudit()).entries).toBe(3);
    await expect(registry.verifyAudit({ seq: 5, hash: kept.head })).rejects.toMatchObject({
      code: 'audit.broken',
    });
    await registry.addNetwork('owner', parsePrefix('fd00:aa::/64'), '');
    await registry.addNetwork('owner', parsePrefix('fd00:bb::/64'), '');
    expect((await registry.verifyAudit()).entries).toBe(5);
    await expect(registry.verifyAudit({ seq: 5, hash: kept.head })).rejects.toMatchObject({
      code: 'audit.broken',
    });
  });

  test('the file itself refuses to change or delete an entry', async () => {
    const db = connect(await trail(3));
    expect(() => db.exec("UPDATE audit SET actor = 'x'")).toThrow(/never changed/);
    expect(() => db.exec('DELETE FROM audit')).toThrow(/never deleted/);
    db.close();
  });

  test('an entry and what it tells of are one: a crash between leaves neither', async () => {
    const file = join(scratch(), 'registry.db');
    writeFileSync(file, '');
    const db = openDatabase(file);
    const act = { at: 1, actor: 'test', owner: 1 };
    const interrupted = db.transaction(() => {
      appendAudit(db, { ...act, action: 'network.add', subject: 'x' });
      throw new Error('power cut');
    });
    expect(() => interrupted.immediate()).toThrow('power cut');
    expect(listAudit(db, EVERYTHING, { limit: 9 }).rows).toEqual([]);
    appendAudit(db, { ...act, action: 'network.add', subject: 'y' });
    expect((await verifyAudit(db, (work) => work())).entries).toBe(1);
    db.close();
  });

  test('twins are found however far back they are, and only they', async () => {
    const db = openDatabase(await trail(1));
    const at = (n: number, subject: string): void =>
      appendAudit(db, { at: n, actor: 'test', owner: 1, action: 'device.twins', subject });
    const fill = db.transaction(() => {
      at(1, 'old');
      for (let n = 0; n < 2_000; n++) at(2, 'other');
      at(3, 'new');
      appendAudit(db, { at: 4, actor: 'test', owner: 1, action: 'device.ban', subject: 'new' });
    });
    fill.immediate();
    const found = (subject: string) => lastTwins(db, subject)?.at;
    expect([found('new'), found('other'), found('old')]).toEqual([3, 2, 1]);
    expect(found('none')).toBeUndefined();
    db.close();
  });
});
