import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../e2e/batch.ts';
import { eventually } from '../e2e/process.ts';
import type { Recording } from './disk.ts';
import type { Guest } from './guest.ts';
import { chooseCuts, replayAll } from './powercut.ts';
import { randomFor, settings, step } from './settings.ts';
import { ONLINE, online, openTestbed, type Testbed, until } from './testbed.ts';

/** Half of all; the other half is replayed from the first boot, unless this runs alone. */
const CUTS = settings.alone ? settings.cuts : Math.floor(settings.cuts / 2);
/** How many of them are made to a booted guest; each costs a boot. */
const WHOLE = Math.min(10, Math.floor(CUTS / 5));
const CONTROLS = 5;

const STATE = '/var/lib/enf-agent';

/** Faulty implementations of `sync` of a file handle, and what a power cut then makes of the state. */
const FORGOTTEN = [
  {
    what: 'fsync',
    sync: 'async () => {}',
    // Nothing has asked for the identity to be on the disk: it is gone.
    found: /the identity was in use and not durable/,
  },
  {
    what: 'fsync of files, though not of their folder',
    sync: 'async function () { if ((await this.stat()).isDirectory()) await sync.call(this); }',
    // The name is there before the bytes are.
    found: /unreadable state: state-[01]/,
  },
] as const;

describe('power cuts', () => {
  let testbed: Testbed;
  let guest: Guest;
  let address: string;
  let running: Recording;
  const careless: Recording[] = [];
  /** How often the disk is written to from an empty state until the tunnel is up. */
  let writes: number;

  /** The agent provisions itself again with an empty state, as at a first boot. */
  const startEmpty = async (): Promise<void> => {
    await guest.must(`systemctl stop enf-agent && rm -f ${STATE}/state-* && sync`);
  };

  beforeAll(async () => {
    testbed = await openTestbed('q-cut');
    step('boots for the first time');
    guest = await testbed.boot();
    address = await online(guest);
  });
  afterAll(() => testbed?.close());

  test('changes of state are recorded while it runs: new keys, an eviction, a restart', async () => {
    // So that nothing is stored without a request.
    await guest.must(
      `mount -o remount,commit=300 ${STATE}; echo 0 >/proc/sys/vm/dirty_writeback_centisecs; sync`,
    );
    testbed.disk.record();
    step('runs, and is recorded');
    for (let round = 0; round < 3; round++) await guest.must('enf-agent provision --force');
    const before = (await testbed.accepted()).length;
    await must(testbed.world.fabric.run('device', 'evict', address));
    await eventually(
      'another handshake',
      async () => (await testbed.accepted()).length > before || undefined,
      300_000,
    );
    expect(await online(guest)).toBe(address);
    await guest.must('systemctl restart enf-agent');
    expect(await online(guest)).toBe(address);
    testbed.disk.mark('online');
    running = testbed.disk.recorded();
  });

  test('so are first boots of an agent that forgets to flush', async () => {
    for (const { what, sync } of FORGOTTEN) {
      step(`provisions itself without ${what}, and is recorded`);
      await startEmpty();
      await guest.must(`mkdir -p /run/systemd/system/enf-agent.service.d
printf '[Service]\\nEnvironment=NODE_OPTIONS=--import=/run/careless.mjs\\n' >/run/systemd/system/enf-agent.service.d/careless.conf
cat >/run/careless.mjs <<'JS'
import { open } from 'node:fs/promises';
const file = await open('/dev/null');
const handles = Object.getPrototypeOf(file);
const { sync } = handles;
handles.sync = ${sync};
await file.close();
JS
systemctl daemon-reload`);
      testbed.disk.record();
      await guest.must('systemctl start enf-agent');
      expect(await online(guest)).toBe(address);
      testbed.disk.mark('online');
      careless.push(testbed.disk.recorded());
    }
    await guest.must(
      'systemctl stop enf-agent && rm -r /run/systemd/system/enf-agent.service.d && systemctl daemon-reload',
    );
  });

  test('how often a first boot writes', async () => {
    await startEmpty();
    const before = testbed.disk.writes;
    await guest.must('systemctl start enf-agent');
    await until(guest, ONLINE);
    writes = testbed.disk.writes - before;
    expect(writes).toBeGreaterThan(10);
  });

  test(`[C-16] [C-18] ${WHOLE} power cuts of the whole guest while it provisions: the same device each time`, async () => {
    const random = randomFor('whole guest');
    for (let round = 1; round <= WHOLE; round++) {
      await startEmpty();
      const after = 1 + Math.floor(random() * writes);
      const keep = random();
      const cut = testbed.disk.powerCut(after, keep, random);
      // It may be through with fewer writes this time; and it ends meanwhile if it is not.
      const through = guest
        .must('systemctl start enf-agent')
        .then(() => until(guest, ONLINE))
        .then(() => testbed.disk.powerCut(0, keep, random))
        .catch(() => cut);
      const { lost, kept } = await Promise.race([cut, through]);
      await testbed.afterCut(guest);
      step(`power cut ${round} of ${WHOLE}: after ${after} writes, ${lost} blocks lost, ${kept} kept; boots`);
      guest = await testbed.boot();
      expect(await online(guest)).toBe(address);
      expect(await testbed.rows()).toHaveLength(1);
      expect(await guest.must(`ls ${STATE}`)).not.toContain('.bad');
    }
    await guest.kill();
    await testbed.device.powerCut();
    const tpm = ['inspect', '--tcti', testbed.device.tpm.tcti];
    expect(await must(testbed.world.factory(tpm, testbed.device.number))).toContain('lockout 0 of');
  });

  test(`[C-16] [C-18] ${CUTS - WHOLE} power cuts while it runs, replayed: the same device each time`, async () => {
    expect(await replayAll(testbed, running, chooseCuts(running, CUTS - WHOLE, 'running'), address)).toEqual(
      [],
    );
  });

  for (const [index, { what, found }] of FORGOTTEN.entries())
    test(`[C-16] the same without ${what} is noticed, ${CONTROLS} times out of ${CONTROLS}`, async () => {
      step(`the negative control: without ${what}`);
      const recording = careless[index]!;
      const cuts = chooseCuts(recording, CONTROLS, what, 'online');
      const failed = await replayAll(testbed, recording, cuts, address);
      expect(failed).toHaveLength(CONTROLS);
      for (const each of failed) expect(each).toMatch(found);
    });
});
