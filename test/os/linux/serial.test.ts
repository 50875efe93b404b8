import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { machineSerial } from '../../../os/linux/serial.ts';

let root: string;
beforeEach(() => {
  root = `${mkdtempSync(join(tmpdir(), 'enf-serial-'))}/`;
});
afterEach(() => rmSync(root, { recursive: true }));

function put(path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

test('a machine says its serial number, of the firmware or of the device tree', async () => {
  expect(await machineSerial(root)).toBeUndefined();
  put('proc/device-tree/serial-number', '10000000abcdef01\0');
  expect(await machineSerial(root)).toEqual({ serial: '10000000abcdef01', from: 'board' });
  put('sys/class/dmi/id/board_serial', 'B-7\n');
  put('sys/class/dmi/id/product_serial', 'GW 42  \n');
  expect(await machineSerial(root)).toEqual({ serial: 'GW 42', from: 'dmi' });
});

test.each([
  '',
  'None',
  'Default string',
  'To Be Filled By O.E.M.',
  'System Serial Number',
  'Not Specified',
  '0000',
  'xxxx',
])('what firmware says in its place is none: %j', async (text) => {
  put('sys/class/dmi/id/product_serial', `${text}\n`);
  expect(await machineSerial(root)).toBeUndefined();
  put('sys/class/dmi/id/board_serial', 'B-7');
  expect(await machineSerial(root)).toEqual({ serial: 'B-7', from: 'dmi' });
});
