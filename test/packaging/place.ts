import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { Description } from '../../cli/program.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A file of packaging/. */
export const packaged = (path: string): string => readFileSync(join(ROOT, 'packaging', path), 'utf8');

/** A fresh folder that goes away with the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'enf-packaging-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Runs a command; everything it printed, and how it ended. */
export function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; input?: string } = {},
): { code: number; output: string } {
  const { env, ...rest } = options;
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    ...rest,
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C', ...env },
  });
  if (error) throw error;
  return { code: status ?? -1, output: stdout + stderr };
}

/** The command table of a program as built. */
export const describeProgram = (name: string): Description =>
  JSON.parse(
    execFileSync(process.execPath, [join(ROOT, `dist/${name}.mjs`), 'help', '--json'], { encoding: 'utf8' }),
  );

/** The files below a folder, relative to it, sorted. */
export const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => !each.isDirectory())
    .map((each) => join(each.parentPath, each.name).slice(folder.length + 1))
    .sort();
