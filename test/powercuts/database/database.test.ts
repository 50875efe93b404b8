import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cut, cutsOf, seeded } from '../../qemu/cuts.ts';
import type { Recording } from '../../qemu/disk.ts';
import type { Work } from '../load.ts';
import { MOUNTABLE, SEED, say } from '../options.ts';
import { replayAll } from '../replay.ts';
import { lookAtServer } from './look.ts';
import { type Fault, type Founded, foundOnServer, recordServer } from './record.ts';

/** What `npm run test:power-cuts` asks for; by default what a run of all tests has time for. */
const CUTS = Number(process.env.ENF_POWER_CUTS_DATABASE ?? 4);
const IS_LONG = CUTS > 100;
const CONTROLS = IS_LONG ? 8 : 2;

const LONG: Work = { devices: 1_000, crowd: 8, changes: 120 };
const SHORT: Work = { devices: 60, crowd: 8, changes: 6 };
const WORK = IS_LONG ? LONG : SHORT;

const ASYNCHRONOUS = fileURLToPath(new URL('../faults/asynchronous-commit.mjs', import.meta.url));

const FAULTS: Readonly<Record<string, Fault>> = {
  'that is not asked to wait for its log': { module: ASYNCHRONOUS },
  ...(IS_LONG && { 'that does not flush': { settings: { fsync: 'off' } } }),
};

describe.skipIf(!MOUNTABLE)(`a database server under load whose power is cut, seed ${SEED}`, () => {
  let founded: Founded;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'enf-powercuts-'));
    founded = await foundOnServer(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const replayed = (recording: Recording, cuts: readonly Cut[]): Promise<string[]> =>
    replayAll(recording, cuts, {
      ...{ folder, look: lookAtServer(founded) },
      progress(done) {
        if (done % 25 === 0) say(`${done} of ${cuts.length} power cuts`);
      },
    });

  test(`[H-C14] ${CUTS} power cuts while a fabric admits and bans: nothing that it has told is lost, and its trail is unbroken`, async () => {
    const recording = await recordServer(founded, WORK);
    const count = (kind: string): number => recording.events.filter((event) => event.kind === kind).length;
    say(`${count('write')} writes, ${count('flush')} flushes, ${count('mark')} marks`);
    expect(await replayed(recording, cutsOf(recording, CUTS, seeded('sound', SEED)))).toEqual([]);
  }, 3_600_000);

  for (const [which, fault] of Object.entries(FAULTS))
    test(`[H-C14] what one ${which} loses is found`, async () => {
      const recording = await recordServer(founded, SHORT, fault);
      const cuts = cutsOf(recording, CONTROLS, seeded(which, SEED)).map((cut) => ({ ...cut, keep: 0 }));
      const failed = await replayed(recording, cuts);
      say(`${which}: ${failed.length} of ${CONTROLS}`);
      expect(failed.join('\n')).toMatch(/(key|standing) \S+: .* in place of/);
    });
});
