import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startSwtpm } from '../../swtpm/swtpm.ts';
import { must } from '../e2e/batch.ts';
import { FABRIC_ADDRESS } from '../e2e/network.ts';
import { eventually, type Running, startIn } from '../e2e/process.ts';
import { createWorld, type Device, program, type World } from '../e2e/world.ts';
import { ownName } from '../namespaces.ts';
import { type Board, type BootFrom, bootBoard } from './board.ts';
import { settings, step } from './settings.ts';

/** What the image's own boot menu has, and what an emulator needs. */
const QUIET = `console=tty0 console=${settings.arch === 'arm64' ? 'ttyAMA0' : 'ttyS0'},115200 quiet loglevel=3 systemd.show_status=0 no_timer_check`;
const STATION = `https://${FABRIC_ADDRESS}:8443`;
const PASS = '####    ###    ####   ####';
const FAIL = '#####   ###   ###  #';

let world: World;
let group: string;
let station: Running;
let fingerprint: string;
let token: string;
let boards = 0;
let board: Board | undefined;

beforeAll(async () => {
  step('a factory with a station');
  world = await createWorld(ownName('q-board'));
  group = join(world.folder, 'group');
  await must(world.fabric.run('init'));
  await must(world.factory(['group', 'create', '--name', 'Boards', '--basename', 'b', '--out', group]));
  const file = join(world.folder, 'token');
  await must(
    world.factory(['station', 'token', '--group', group, '--count', '9', '--hours', '8', '--out', file]),
  );
  token = readFileSync(file, 'utf8').trim();
  station = startIn(
    world.network.fabric,
    [
      ...[...program('factory'), 'station', 'serve', '--group', group, '--trust', world.trust],
      ...['--identity', join(world.folder, 'station'), '--listen', `${FABRIC_ADDRESS}:8443`],
    ],
    join(world.folder, 'station.log'),
  );
  fingerprint = await eventually(
    'the station',
    async () => /--station-fingerprint ([0-9a-f]{64})/.exec(readFileSync(station.logFile, 'utf8'))?.[1],
  );
});
afterEach(async () => {
  await board?.kill();
  board = undefined;
});
afterAll(async () => {
  await station?.stop();
  await world?.close();
});

/** A board that is new, with a TPM that nobody has used. */
async function boot(serial: string, from: BootFrom): Promise<{ board: Board; device: Device }> {
  const device = await world.device(++boards);
  await device.tpm.stop();
  const { namespace, tpm } = device;
  board = await bootBoard({ namespace, folder: world.folder, tpm: tpm.state, serial, from });
  return { board, device };
}

const fromNetwork = (append: string): BootFrom => ({
  kernel: join(settings.image, 'vmlinuz'),
  initrd: join(settings.image, 'initrd.img'),
  append: `${QUIET} ${append}`,
});

/** A stick with these files on it beside the system. */
function stickWith(files: Readonly<Record<string, string>>): BootFrom {
  const stick = join(world.folder, 'stick.img');
  copyFileSync(join(settings.image, 'stick.img'), stick);
  const folder = join(world.folder, 'files');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text);
    execFileSync('mcopy', ['-o', '-i', `${stick}@@1M`, join(folder, name), '::']);
  }
  return { stick };
}

/** What "device verify" says of the chip, once the board is off. */
async function chipOf({ tpm, namespace, number }: Device) {
  const chip = await startSwtpm({ state: tpm.state, namespace });
  try {
    return await world.factory(['device', 'verify', '--group', group, '--tcti', chip.tcti, '--json'], number);
  } finally {
    await chip.stop();
  }
}

test('booted from the network, a board becomes a device, says so large, and switches itself off', async () => {
  step('boots from the network');
  const { board, device } = await boot(
    'GW-0001',
    fromNetwork(`enf.station=${STATION} enf.fingerprint=${fingerprint} enf.token=${token}`),
  );
  await board.ended();
  const shown = board.console();
  expect(shown).toContain(PASS);
  expect(shown).toContain('serial number GW-0001');
  expect(shown).not.toContain(token);
  const { code, stdout } = await chipOf(device);
  expect(code).toBe(0);
  const { member, entry } = JSON.parse(stdout);
  expect(entry).toMatchObject({ serial: 'GW-0001' });
  expect(shown).toContain(member.slice(0, 16));
});

test('booted from a stick by its firmware, it takes what is on it, and waits to be seen', async () => {
  step('boots from a stick');
  const { board, device } = await boot(
    'GW-0002',
    stickWith({
      'station.conf': `station=${STATION}\r\nserial=B-17\r\nafter=wait\r\n`,
      'station.pem': readFileSync(join(world.folder, 'station', 'station.pem'), 'utf8'),
      token: `${token}\n`,
    }),
  );
  await board.shows('PASS: this board is a device of its batch');
  expect(board.console()).toContain(PASS);
  await board.kill();
  expect(JSON.parse((await chipOf(device)).stdout).entry).toMatchObject({ serial: 'B-17' });
});

test('another station in its place: the board says FAIL and why, and its chip stays empty', async () => {
  step('meets another station');
  const { board, device } = await boot(
    'GW-0003',
    fromNetwork(`enf.station=${STATION} enf.fingerprint=${'ab'.repeat(32)} enf.token=${token}`),
  );
  await board.shows('Switch the board off and on');
  expect(board.console()).toContain(FAIL);
  expect(board.console()).toContain('[net.wrong-certificate]');
  await board.kill();
  const { code, stderr } = await chipOf(device);
  expect([code, stderr]).toEqual([1, expect.stringContaining('tpm.not-personalised')]);
});

test('the journal has those that passed, and nobody else', async () => {
  const out = await must(world.factory(['batch', 'export', '--group', group, '--json']));
  const rows = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { serial?: string; result: string });
  expect(
    rows
      .filter(({ result }) => result === 'pass')
      .map(({ serial }) => serial)
      .sort(),
  ).toEqual(['B-17', 'GW-0001']);
});
