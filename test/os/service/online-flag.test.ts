import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openOnlineFlag } from '../../../os/service/online-flag.ts';

let folder: string;
let lines: string[];
const log = (level: string, line: string) => void lines.push(`${level}: ${line}`);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'enf-presence-'));
  lines = [];
  vi.stubEnv('RUNTIME_DIRECTORY', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test('C-3 exactly one of two files exists and shows whether the device is online', () => {
  const show = openOnlineFlag(log);
  expect(readdirSync(folder)).toEqual([]);
  for (const online of [false, true, true, false, true]) {
    show(online);
    expect(readdirSync(folder)).toEqual([online ? 'online' : 'offline']);
  }
  expect(lines).toEqual([]);
});

test('the files that a killed agent left are corrected', () => {
  writeFileSync(join(folder, 'online'), '');
  openOnlineFlag(log)(false);
  expect(readdirSync(folder)).toEqual(['offline']);
});

test('the first of several runtime directories is used', () => {
  vi.stubEnv('RUNTIME_DIRECTORY', `${folder}:/nowhere`);
  openOnlineFlag(log)(true);
  expect(readdirSync(folder)).toEqual(['online']);
});

test.each([undefined, ''])('without a runtime directory (%j) nothing happens', (value) => {
  vi.stubEnv('RUNTIME_DIRECTORY', value);
  openOnlineFlag(log)(true);
  expect([readdirSync(folder), lines]).toEqual([[], []]);
});

test('a file that cannot be written is logged once and tried again', () => {
  const gone = join(folder, 'gone');
  vi.stubEnv('RUNTIME_DIRECTORY', gone);
  const show = openOnlineFlag(log);
  show(false);
  show(true);
  expect(lines).toEqual([
    `warning: cannot write ${join(gone, 'offline')} (ENOENT): enf-online.target does not follow the agent's state`,
  ]);
  mkdirSync(gone);
  show(true);
  expect(readdirSync(gone)).toEqual(['online']);
});
