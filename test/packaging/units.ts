import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folder, packaged, ROOT, run } from './place.ts';

/** A change of a unit's text, for a test that sees it found. */
export type Change = (text: string) => string;

/** The units of a program: its name without "enf-". */
export function unitsOf(program: string) {
  const names = readdirSync(join(ROOT, 'packaging', program, 'systemd'));
  const unit = (name: string): string => packaged(`${program}/systemd/${name}`);

  /** Copies of the units as they are installed; an instance is called lab. node is where this machine has it. */
  function install(change: Change = (text) => text): { folder: string; units: string[] } {
    const place = folder();
    const put = (name: string, as: string): void =>
      writeFileSync(join(place, as), change(unit(name)).replaceAll('/usr/bin/node', process.execPath));
    for (const name of names) {
      put(name, name);
      if (name.includes('@')) put(name, name.replace('@', '@lab'));
    }
    return { folder: place, units: names.map((name) => join(place, name.replace('@', '@lab'))) };
  }

  /** Exposure from 0 (none) to 10, as `systemd-analyze security` counts; it counts less without the default dependencies. */
  function exposure(name: string, change: Change = (text) => text): number {
    const place = install((text) => change(text.replace('DefaultDependencies=no\n', '')));
    const { output } = run('systemd-analyze', [
      'security',
      '--offline=true',
      '--no-pager',
      join(place.folder, name),
    ]);
    return Number(/exposure level for .*: ([\d.]+)/.exec(output)?.[1]);
  }

  return { names, unit, install, exposure };
}

/** All values of a setting, in order. */
export const values = (text: string, key: string): string[] =>
  text.split('\n').flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []));

/** What systemd says against the units, but for the two settings that it ignores before version 254 (C-35). */
export function complaints(units: readonly string[]): string[] {
  return run('systemd-analyze', ['verify', '--man=no', ...units])
    .output.split('\n')
    .filter((line) => line !== '' && !/Unknown key.* '(RestartSteps|RestartMaxDelaySec)'/.test(line));
}
