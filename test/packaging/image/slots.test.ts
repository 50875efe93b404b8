import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { folder } from '../place.ts';
import { script } from './gateway.ts';

const HEAD = '# GRUB Environment Block\n';
const NEW = { ORDER: 'A B', A_OK: '1', B_OK: '0', A_LEFT: '3', B_LEFT: '0', TRIAL: '', TRIALS: '0' };

let partition: string;
let block: string;
let environment: Record<string, string>;
beforeEach(() => {
  partition = folder();
  block = join(partition, 'EFI/debian/grubenv');
  environment = {
    ENF_BOOT: partition,
    ENF_LOCK: join(partition, 'lock'),
    ENF_CMDLINE: join(partition, 'cmdline'),
  };
  mkdirSync(join(block, '..'), { recursive: true });
  runs('A');
  put(NEW);
});
const runs = (slot: string): void => writeFileSync(environment.ENF_CMDLINE!, `ro rauc.slot=${slot} quiet\n`);

/** As GRUB reads and writes it. */
function put(variables: Record<string, string>, path = block): void {
  const text =
    HEAD +
    Object.entries(variables)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('');
  writeFileSync(path, text.padEnd(1024, '#'));
}
function read(path = block): Record<string, string> {
  const bytes = readFileSync(path);
  expect(bytes).toHaveLength(1024);
  const text = bytes.toString();
  expect(text.startsWith(HEAD)).toBe(true);
  expect(text.slice(text.lastIndexOf('\n') + 1)).toMatch(/^#+$/);
  const lines = text.slice(HEAD.length, text.lastIndexOf('\n')).split('\n');
  return Object.fromEntries(lines.map((line) => line.split('=') as [string, string]));
}
const slots = (...args: string[]) => script('boot-slots', args, environment);
const done = (...args: string[]): string => {
  const { code, output } = slots(...args);
  expect(output).not.toMatch(/boot-slots:/);
  expect(code).toBe(0);
  return output;
};

describe('[H-F3] the slots of a gateway', () => {
  test('an installation: the slot is bad while it is written, then preferred and on trial', () => {
    done('set-state', 'B', 'bad');
    expect(done('get-state', 'B')).toBe('bad');
    expect(done('get-primary')).toBe('A');
    done('set-primary', 'B');
    expect(done('get-primary')).toBe('B');
    expect(read()).toEqual({ ...NEW, ORDER: 'B A', B_OK: '1', B_LEFT: '3', TRIAL: 'B', TRIALS: '1' });
    done('set-state', 'B', 'good');
    expect(read()).toEqual({ ...NEW, ORDER: 'B A', B_OK: '1', B_LEFT: '3' });
  });

  test('falling back leaves the update whole; a further trial is counted', () => {
    put({ ...NEW, ORDER: 'B A', A_LEFT: '1', B_OK: '1', B_LEFT: '2', TRIAL: 'B', TRIALS: '1' });
    done('fall-back');
    expect(read()).toMatchObject({ A_LEFT: '3', B_OK: '1', B_LEFT: '0', TRIAL: 'B', TRIALS: '1' });
    expect(read(`${block}.2`)).toEqual(read());
    expect(done('get-primary')).toBe('A');
    done('retry');
    expect(read()).toMatchObject({ B_LEFT: '3', TRIAL: 'B', TRIALS: '2' });
    expect(done('get-primary')).toBe('B');
  });

  test('nothing falls back on a slot that holds no system', () => {
    const alone = {
      ...NEW,
      ORDER: 'B A',
      A_OK: '0',
      A_LEFT: '0',
      B_OK: '1',
      B_LEFT: '2',
      TRIAL: 'B',
      TRIALS: '1',
    };
    put(alone);
    expect(slots('fall-back')).toEqual({
      code: 1,
      output: 'boot-slots: slot A holds no system to fall back on',
    });
    expect(read()).toEqual(alone);
  });

  test('a rejected update is never booted again, and the other slot is preferred', () => {
    put({ ...NEW, ORDER: 'B A', B_OK: '1', B_LEFT: '0', TRIAL: 'B', TRIALS: '1' });
    done('set-state', 'B', 'bad');
    expect(read()).toEqual(NEW);
  });

  test('a slot that has booted has all its attempts again', () => {
    put({ ...NEW, A_LEFT: '0' });
    expect(done('get-state', 'A')).toBe('bad');
    expect(done('get-primary')).toBe('A');
    done('up', 'A');
    expect(read()).toEqual(NEW);
  });

  test.each([
    ['empty', ''],
    ['nonsense', 'x'.repeat(1024)],
    ['values that nobody writes', `${HEAD}ORDER=C\nA_OK=$(reboot)\nA_LEFT=9\nTRIAL=;\n`.padEnd(1024, '#')],
  ])('a block that is %s counts as the defaults', (_, text) => {
    writeFileSync(block, text);
    expect(done('show').split('\n')).toEqual([
      'ORDER=A B',
      'A_OK=1',
      'B_OK=1',
      'A_LEFT=3',
      'B_LEFT=3',
      'TRIAL=',
      'TRIALS=0',
    ]);
    done('up', 'A');
    expect(read()).toMatchObject({ ORDER: 'A B', A_LEFT: '3' });
  });

  test.each([
    ['empty', ''],
    ['of another length', `${HEAD}ORDER=A B\nTRIALS=0\n`],
    ['nonsense', 'x'.repeat(1024)],
    ['without its end', `${HEAD}ORDER=A B\nA_OK=1\n`.padEnd(1024, '\0')],
  ])('a block that is %s is replaced by its copy', (_, text) => {
    put({ ...NEW, ORDER: 'B A', B_OK: '1', B_LEFT: '2' }, `${block}.2`);
    writeFileSync(block, text);
    expect(done('get-primary')).toBe('B');
    done('repair');
    expect(readFileSync(block, 'utf8')).toBe(text);
    done('up', 'B');
    expect(read()).toEqual({ ...NEW, ORDER: 'B A', B_OK: '1', B_LEFT: '3' });
    expect(read(`${block}.2`)).toEqual(read());
  });

  test.each(['A', 'B'])('both blocks damaged: slot %s has booted, which is counted from then on', (slot) => {
    for (const path of [block, `${block}.2`]) writeFileSync(path, 'x'.repeat(1024));
    runs(slot);
    done('repair');
    expect(read()).toMatchObject({ A_OK: '1', B_OK: '1', A_LEFT: '3', B_LEFT: '3', [`${slot}_LEFT`]: '2' });
    expect(read(`${block}.2`)).toEqual(read());
    const before = readFileSync(block, 'utf8');
    done('repair');
    expect(readFileSync(block, 'utf8')).toBe(before);
  });

  test.each([
    ['it was written', ':', 0, 'rw ro'],
    ['nothing could be written', 'exit 1', 1, 'rw ro'],
  ])('the boot partition is read-only again after %s', (_, dd, code, expected) => {
    const bin = join(partition, 'bin');
    mkdirSync(bin);
    const stubs = { mountpoint: ':', mount: `echo "$2" >>${bin}/calls`, dd };
    for (const [name, body] of Object.entries(stubs)) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`);
      chmodSync(join(bin, name), 0o755);
    }
    environment = { ...environment, PATH: `${bin}:${process.env.PATH}` };
    expect(slots('up', 'A').code).toBe(code);
    expect(readFileSync(join(bin, 'calls'), 'utf8').trim().split('\n')).toEqual(
      expected.split(' ').map((each) => `remount,${each}`),
    );
  });

  test.each([
    [['set-primary', 'C']],
    [['set-primary']],
    [['set-state', 'A', 'fine']],
    [['set-state', '', 'good']],
    [['retry']],
    [['fall-back']],
    [['boot']],
    [[]],
  ])('%o is refused and changes nothing', (args) => {
    expect(slots(...args).code).toBe(1);
    expect(read()).toEqual(NEW);
  });

  test.each([
    ['B', 'B', 1],
    ['B', 'A', 0],
    ['', 'A', 0],
  ])('on trial %o, running %s: an installation is refused with %i', (trial, running, code) => {
    put({ ...NEW, TRIAL: trial });
    runs(running);
    expect(done('get-current')).toBe(running);
    expect(slots('installable').code).toBe(code);
  });

  test('a boot partition that is not mounted is no reason to decide anything', () => {
    rmSync(block);
    expect(slots('show')).toEqual({ code: 1, output: `boot-slots: there is no ${block}` });
    expect(slots('up', 'A').code).toBe(1);
    expect(existsSync(block)).toBe(false);
  });
});
