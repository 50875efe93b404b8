import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Folder } from '../../os/files/folder.ts';

/** A fresh folder that goes away with the test. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'enf-agent-test-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The power went. */
export class PowerCut extends Error {}

/** Counts everything a device does to the outside and cuts the power before or after one of these steps. */
export interface Power {
  /** Runs a step; throws PowerCut before it, or after it was done, if this is the one. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  readonly steps: readonly string[];
}

/** `cutAt` is twice the number of the step, plus one for "after it"; undefined: never. */
export function power(cutAt?: number): Power {
  const steps: string[] = [];
  let dead = false;
  return {
    steps,
    async step(name, work) {
      const number = steps.push(name) - 1;
      if (dead || cutAt === 2 * number) {
        dead = true;
        throw new PowerCut(`before ${name}`);
      }
      const result = await work();
      if (cutAt === 2 * number + 1) {
        dead = true;
        throw new PowerCut(`after ${name}`);
      }
      return result;
    },
  };
}

/** A folder whose changes are steps. */
export function fragile(folder: Folder, supply: Power): Folder {
  return {
    ...folder,
    write: (name, bytes) => supply.step(`write ${name}`, () => folder.write(name, bytes)),
    rename: (from, to) => supply.step(`rename ${from}`, () => folder.rename(from, to)),
    remove: (name) => supply.step(`remove ${name}`, () => folder.remove(name)),
  };
}
