import { describe, expect, test } from 'vitest';
import { trailCheck } from '../../../fabric/alarms/trail.ts';
import { connect } from '../../../fabric/registry/sqlite/connect.ts';
import { Failure } from '../../../protocol/failure.ts';
import { opened, registryFile } from '../place.ts';

const HOUR_MS = 3_600_000;

describe('the audit trail is recomputed', () => {
  /** A trail of 251 entries, its check, and what changes the file behind the program's back. */
  async function watched() {
    const file = registryFile();
    const registry = opened(file);
    for (let i = 1; i < 251; i++) await registry.record('anna', 'token.create', `token ${i}`);
    let now = 0;
    const find = trailCheck(registry, () => now);
    const tamper = (sql: string): void => {
      const db = connect(file);
      db.exec(`DROP TRIGGER IF EXISTS audit_is_never_changed; ${sql}`);
      db.close();
    };
    const pass = (ms: number): void => {
      now += ms;
    };
    return { registry, find, tamper, pass };
  }

  test('what was changed is found within an hour, and stays until a pass finds nothing', async () => {
    const { registry, find, tamper, pass } = await watched();
    expect(await find()).toEqual([]);
    tamper('UPDATE audit SET at = at + 1 WHERE seq = 230');
    pass(HOUR_MS - 1);
    expect(await find()).toEqual([]);
    pass(1);
    const finding = {
      kind: 'audit.broken',
      owner: 0,
      subject: 'audit',
      detail: { message: 'audit entry 230 does not fit its hash' },
    } as const;
    expect(await find()).toEqual([finding]);
    // The alarm itself is an entry; that does not mend the trail.
    await registry.recordFindings(['audit.broken'], [finding], 0);
    pass(HOUR_MS);
    expect(await find()).toEqual([finding]);
    tamper('UPDATE audit SET at = at - 1 WHERE seq = 230');
    expect(await find()).toEqual([finding]);
    pass(HOUR_MS);
    expect(await find()).toEqual([]);
  });

  test('in a bounded number of parts each time, which go on where the last ones ended', async () => {
    const seen: (number | undefined)[] = [];
    const find = trailCheck(
      {
        async verifyAuditPart(from) {
          seen.push(from?.seq);
          const seq = (from?.seq ?? 0) + 100;
          return { head: { seq, hash: new Uint8Array(32) }, end: seq === 15_000 };
        },
      },
      () => 0,
    );
    await find();
    expect(seen).toHaveLength(100);
    await find();
    expect(seen).toHaveLength(150);
    expect(seen.slice(98, 102)).toEqual([9_800, 9_900, 10_000, 10_100]);
    await find();
    expect(seen).toHaveLength(150);
  });

  test('a registry that cannot be read is no broken trail', async () => {
    const locked = new Failure('registry.locked', 'retry', 'another program has it');
    const find = trailCheck({ verifyAuditPart: () => Promise.reject(locked) }, () => 0);
    await expect(find()).rejects.toBe(locked);
  });
});
