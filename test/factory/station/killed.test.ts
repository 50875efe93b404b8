import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { encodeTrust } from '../../../protocol/identity/trust.ts';
import { bundle } from '../../bundle.ts';
import { expectFailure, readManifest } from '../folders.ts';
import { stationPlace } from './place.ts';

/** Programs that are killed as a power cut kills them: SIGKILL. boards.test.ts has the same with what is simulated, at more places. */
const at = stationPlace();
const { path, station, chip, personalise, tokenFor, tally } = at;
const ADDON = new URL('../../../dist/enf.node', import.meta.url).pathname;
const programs = { station: path('station.mjs'), board: path('enf-factory.mjs') };

beforeAll(async () => {
  await bundle(new URL('./station-child.ts', import.meta.url), programs.station);
  await bundle(new URL('../../../factory/main.ts', import.meta.url), programs.board);
  writeFileSync(path('trust.json'), encodeTrust(at.trust));
});

/** A station that is killed after so many writes. */
async function mortalStation(writes: number): Promise<{ child: ChildProcess; url: string }> {
  const given = [at.group.folder, path('trust.json'), path('identity'), String(writes)];
  const child = fork(programs.station, given, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ENF_ADDON: ADDON },
  });
  const [port] = await once(child, 'message');
  return { child, url: `https://127.0.0.1:${port}` };
}

test('a station that is killed after any write goes on: one entry for each board, charged once', async () => {
  const { url } = await station();
  const boards = [];
  for (let writes = 1; ; writes++) {
    const mortal = await mortalStation(writes);
    const ended = once(mortal.child, 'exit');
    const [board, token] = [await chip(), await tokenFor(1)];
    const first = personalise(board, mortal.url, token);
    const done = await first.then(
      () => true,
      () => false,
    );
    boards.push(board);
    if (done) {
      // There were fewer writes than that.
      mortal.child.kill('SIGKILL');
      await ended;
      break;
    }
    expect((await ended)[1]).toBe('SIGKILL');
    await expectFailure(first, 'net.unreachable');
    await personalise(board, url, token);
    await board.stop();
  }
  // Two entries for each board, which are flushed.
  expect(boards.length).toBeGreaterThan(4);
  const rows = await readManifest(at.group);
  expect(rows).toHaveLength(boards.length);
  expect(new Set(rows.map(({ member }) => member)).size).toBe(boards.length);
  const { issued, failed, tokens } = await tally();
  expect([issued, failed, Object.values(tokens)]).toEqual([0, {}, boards.map(() => 1)]);
});

/** What the station has done, or the board says, when the board's power goes. */
const MOMENTS = [
  'begin',
  'join',
  'done',
  'connected to the station',
  'the ECDAA key',
  'a storage key',
  'credential issued',
  'NV objects written',
  'read back',
] as const;

test('a board whose power goes at any moment goes on: one entry, charged once', async () => {
  let [moment, child]: [string, ChildProcess | undefined] = ['', undefined];
  const kill = (): void => void child?.kill('SIGKILL');
  const { url } = await station({
    after: (step) => {
      if (step === moment) kill();
      return false;
    },
  });
  /** Runs the board's program; true if it ended by itself, and well. */
  const run = async (tcti: string, token: string): Promise<boolean> => {
    const where = ['--station', url, '--station-fingerprint', at.identity.fingerprint, '--tcti', tcti];
    const words = ['device', 'personalise', ...where, '--token-file', token];
    const started = spawn(process.execPath, [programs.board, ...words], {
      env: { ...process.env, ENF_ADDON: ADDON },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child = started;
    let said = '';
    started.stderr.on('data', (text) => {
      said += text;
      if (moment !== '' && said.includes(moment)) kill();
    });
    const [code] = await once(started, 'close');
    return code === 0;
  };
  for (const [i, each] of MOMENTS.entries()) {
    moment = each;
    const token = path(`token-${i}`);
    writeFileSync(token, await tokenFor(1));
    const board = await chip();
    expect([each, await run(board.tcti, token)]).toEqual([each, false]);
    await board.kill();
    moment = '';
    const back = await chip(board.state);
    expect([each, await run(back.tcti, token)]).toEqual([each, true]);
    await back.stop();
  }
  const rows = await readManifest(at.group);
  expect(rows).toHaveLength(MOMENTS.length);
  const { issued, failed, tokens } = await tally();
  expect([issued, failed, Object.values(tokens)]).toEqual([0, {}, MOMENTS.map(() => 1)]);
});
