import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { must } from '../e2e/batch.ts';
import { eventually } from '../e2e/process.ts';
import type { Recording } from './disk.ts';
import type { Guest } from './guest.ts';
import { ONLINE, online, openPlace, type Place, until } from './place.ts';
import { chooseCuts, replayAll } from './powercut.ts';
import { randomFor, settings, step } from './settings.ts';

/** Of all cuts, how many are made to a booted guest; each costs a boot. The first boot's replays have half of all. */
const WHOLE = Math.min(10, Math.floor(settings.cuts / 10));
const REPLAYED = Math.floor(settings.cuts / 2) - WHOLE;
const CONTROLS = 5;

const STATE = '/var/lib/enf-agent';

describe('power cuts', () => {
  let place: Place;
  let guest: Guest;
  let address: string;
  let running: Recording;
  let careless: Recording;
  /** How often the disk is written to from an empty state until the tunnel is up. */
  let writes: number;

  /** The agent provisions itself again with an empty state, as at a first boot. */
  const startEmpty = async (): Promise<void> => {
    await guest.must(`systemctl stop enf-agent && rm -f ${STATE}/state-* && sync`);
  };

  beforeAll(async () => {
    place = await openPlace('q-cut');
    step('boots for the first time');
    guest = await place.boot();
    address = await online(guest);
  });
  afterAll(() => place?.close());

  test('changes of state are recorded while it runs: new keys, an eviction, a restart', async () => {
    // So that nothing is stored that nobody has asked for.
    await guest.must(`mount -o remount,commit=300 ${STATE}; sync`);
    place.disk.record();
    step('runs, and is recorded');
    for (let round = 0; round < 3; round++) await guest.must('enf-agent provision --force');
    const before = (await place.accepted()).length;
    await must(place.world.fabric.run('device', 'evict', address));
    await eventually(
      'another handshake',
      async () => (await place.accepted()).length > before || undefined,
      300_000,
    );
    expect(await online(guest)).toBe(address);
    await guest.must('systemctl restart enf-agent');
    expect(await online(guest)).toBe(address);
    place.disk.mark('online');
    running = place.disk.recorded();
  });

  test('so is a first boot whose writes are not followed by fsync', async () => {
    step('provisions itself without fsync, and is recorded');
    await startEmpty();
    await guest.must(`mkdir -p /run/systemd/system/enf-agent.service.d
printf '[Service]\\nEnvironment=NODE_OPTIONS=--import=/run/careless.mjs\\n' >/run/systemd/system/enf-agent.service.d/careless.conf
cat >/run/careless.mjs <<'JS'
import { open } from 'node:fs/promises';
const file = await open('/dev/null');
Object.getPrototypeOf(file).sync = async () => {};
await file.close();
JS
systemctl daemon-reload`);
    place.disk.record();
    await guest.must('systemctl start enf-agent');
    expect(await online(guest)).toBe(address);
    place.disk.mark('online');
    careless = place.disk.recorded();
    await guest.must(
      'systemctl stop enf-agent && rm -r /run/systemd/system/enf-agent.service.d && systemctl daemon-reload',
    );
  });

  test('how often a first boot writes', async () => {
    await startEmpty();
    const before = place.disk.writes;
    await guest.must('systemctl start enf-agent');
    await until(guest, ONLINE);
    writes = place.disk.writes - before;
    expect(writes).toBeGreaterThan(10);
  });

  test(`[C-16] [C-18] ${WHOLE} power cuts of the whole guest while it provisions: the same device each time`, async () => {
    const random = randomFor('whole guest');
    for (let round = 1; round <= WHOLE; round++) {
      await startEmpty();
      const after = 1 + Math.floor(random() * writes);
      const keep = random();
      const cut = place.disk.powerCut(after, keep, random);
      // It may be through with fewer writes this time; and it ends meanwhile if it is not.
      const through = guest
        .must('systemctl start enf-agent')
        .then(() => until(guest, ONLINE))
        .then(() => place.disk.powerCut(0, keep, random))
        .catch(() => cut);
      const { lost, kept } = await Promise.race([cut, through]);
      await place.afterCut(guest);
      step(`power cut ${round} of ${WHOLE}: after ${after} writes, ${lost} blocks lost, ${kept} kept; boots`);
      guest = await place.boot();
      expect(await online(guest)).toBe(address);
      expect(await place.rows()).toHaveLength(1);
      expect(await guest.must(`ls ${STATE}`)).not.toContain('.bad');
    }
    await guest.kill();
    await place.device.powerCut();
    const tpm = ['inspect', '--tcti', place.device.tpm.tcti];
    expect(await must(place.world.factory(tpm, place.device.number))).toContain('lockout 0 of');
  });

  test(`[C-16] [C-18] ${REPLAYED} power cuts while it runs, replayed: the same device each time`, async () => {
    expect(await replayAll(place, running, chooseCuts(running, REPLAYED, 'running'), address)).toEqual([]);
  });

  test('[C-16] the same without fsync is noticed', async () => {
    step('the negative control');
    const cuts = chooseCuts(careless, CONTROLS, 'careless', 'online');
    const failed = await replayAll(place, careless, cuts, address);
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.join()).toMatch(/not durable|unreadable state/);
  });
});
