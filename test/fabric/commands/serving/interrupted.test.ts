import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { JobView } from '../../../../fabric/jobs/view.ts';
import { scratch } from '../../place.ts';
import { fabricProgram } from '../program.ts';

const fabric = fabricProgram();

test('a job that was under way when the fabric was killed is listed as interrupted, and in no backup', async () => {
  const folder = scratch();
  const data = join(folder, 'fabric');
  const at = ['--data', data];
  await fabric.json('init', ...at);
  // What the fabric leaves that is killed while it bans devices.
  const job: JobView = {
    ...{ id: 1_700_000_001, operation: 'device-bulk', input: { standing: 'active', change: 'ban' } },
    ...{ actor: 'anna', state: 'running', started: '2026-01-02T03:04:05.678Z' },
    ...{ ended: '2026-01-02T03:04:09.000Z', rows: 700, changed: 650, failed: 0, failures: [], effect: null },
  };
  mkdirSync(join(data, '.jobs'), { mode: 0o700 });
  writeFileSync(join(data, '.jobs', `${job.id}.json`), JSON.stringify({ owner: 1, job }));
  for (let start = 0; start < 2; start++) {
    const serving = await fabric.serve(data, '--tun', 'none');
    expect(await fabric.json('job', 'list', ...at)).toEqual([{ ...job, state: 'interrupted' }]);
    expect((await fabric.run('job', 'list', ...at)).out).toMatch(/anna +ban +interrupted +700 +650 /);
    await serving.stop('SIGKILL');
  }
  const backup = join(folder, 'backup.tar');
  await fabric.json('backup', 'create', backup, ...at);
  const restored = join(folder, 'restored');
  await fabric.json('restore', backup, '--data', restored);
  expect(readdirSync(restored)).not.toContain('.jobs');
});
