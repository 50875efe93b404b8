import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cut, cutsOf, seeded } from '../qemu/cuts.ts';
import type { Recording } from '../qemu/disk.ts';
import type { Work } from './load.ts';
import { lookAtFabric } from './look.ts';
import { MOUNTABLE, SEED, say } from './options.ts';
import { type Founded, found, record } from './record.ts';
import { replayAll } from './replay.ts';

/** What `npm run test:power-cuts` asks for; by default what a run of all tests has time for. */
const CUTS = Number(process.env.ENF_POWER_CUTS ?? 16);
const CONTROLS = 8;

const LONG: Work = { devices: 1_000, crowd: 8, changes: 120 };
const SHORT: Work = { devices: 120, crowd: 8, changes: 12 };
const WORK = CUTS > 100 ? LONG : SHORT;

describe.skipIf(!MOUNTABLE)(`a fabric under load whose power is cut, seed ${SEED}`, () => {
  let founded: Founded;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'enf-powercuts-'));
    founded = await found(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const replayed = (recording: Recording, cuts: readonly Cut[]): Promise<string[]> =>
    replayAll(recording, cuts, {
      ...{ folder, look: lookAtFabric },
      progress(done) {
        if (done % 25 === 0) say(`${done} of ${cuts.length} power cuts`);
      },
    });

  test(`[H-C14] ${CUTS} power cuts while it admits and bans: it starts, is sound, and has forgotten nothing that it has told`, async () => {
    const recording = await record(founded, WORK);
    const count = (kind: string): number => recording.events.filter((event) => event.kind === kind).length;
    say(`${count('write')} writes, ${count('flush')} flushes, ${count('mark')} marks`);
    expect(await replayed(recording, cutsOf(recording, CUTS, seeded('sound', SEED)))).toEqual([]);
  }, 3_600_000);

  for (const fault of ['early-answer', 'no-flush'])
    test(`[H-C14] what a fabric with the fault ${fault} forgets is found`, async () => {
      const faults = fileURLToPath(new URL(`faults/${fault}.mjs`, import.meta.url));
      const recording = await record(founded, SHORT, faults);
      const cuts = cutsOf(recording, CONTROLS, seeded(fault, SEED)).map((cut) => ({ ...cut, keep: 0 }));
      const failed = await replayed(recording, cuts);
      say(`${fault}: ${failed.length} of ${CONTROLS}`);
      expect(failed.join('\n')).toMatch(/(key|standing) \S+: .* in place of/);
    });
});
