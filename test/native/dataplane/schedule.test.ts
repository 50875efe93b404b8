import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeAdmission, testRouter } from '../../fabric/router/fixture.ts';
import { world } from '../client/client-world.ts';
import { runParts } from '../parts.ts';

/** The turns of our threads of that name, in nanoseconds; undefined where the kernel does not tell. */
const turnsOf = (name: string): (number | undefined)[] =>
  readdirSync('/proc/self/task')
    .map((id) => `/proc/self/task/${id}`)
    .filter((folder) => readFileSync(`${folder}/comm`, 'utf8').startsWith(name))
    .map((folder) => {
      const told = existsSync(`${folder}/sched`) ? readFileSync(`${folder}/sched`, 'utf8') : '';
      const turns = /^se\.slice +: +(\d+)$/m.exec(told);
      return turns === null ? undefined : Number(turns[1]);
    });

function kernelHasTurns(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 12);
}

describe('short turns', () => {
  for (const sanitizer of ['', 'address,undefined']) {
    it(`are taken where that is possible, and change nothing else (${sanitizer || 'as shipped'})`, async () => {
      const done = await runParts('dataplane/schedule_parts', ['dataplane/schedule'], sanitizer);
      expect(done).toEqual({ code: 0, signal: null, stdout: 'ok\n', stderr: '' });
    });
  }

  it('are those of the threads that carry packets, and of no other', async () => {
    const [usual] = turnsOf('node');
    const short = usual !== undefined && kernelHasTurns() ? 100_000 : usual;
    await world();
    const router = await testRouter(fakeAdmission(), { threads: 2 });
    onTestFinished(() => router.close());
    await expect.poll(() => ['enf-dataplane', 'enf-router-'].map(turnsOf)).toEqual([[short], [short, short]]);
    expect(new Set(turnsOf('node'))).toEqual(new Set([usual]));
  });
});
