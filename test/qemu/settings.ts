import { join } from 'node:path';
import { seeded } from './cuts.ts';

/** What run.sh was asked for. */
export interface Settings {
  /** Folder with root.ext4 and vmlinuz, made by image.sh. */
  readonly image: string;
  readonly arch: 'amd64' | 'arm64';
  /** How many power cuts, together. */
  readonly cuts: number;
  readonly seed: number;
  /** Only one scenario runs: it has all the power cuts. */
  readonly alone: boolean;
}

export const settings: Settings = {
  image: given('IMAGE'),
  arch: given('ARCH') === 'arm64' ? 'arm64' : 'amd64',
  cuts: Number(given('CUTS')),
  seed: Number(given('SEED')),
  alone: given('ALONE') === 'yes',
};

export const rootDisk = join(settings.image, 'root.ext4');
export const kernel = join(settings.image, 'vmlinuz');

function given(name: string): string {
  const value = process.env[`ENF_QEMU_${name}`];
  if (value === undefined) throw new Error('started by hand: use "npm run test:qemu", see --help');
  return value;
}

/** Numbers from 0 to below 1, the same ones for the same seed and purpose. */
export const randomFor = (purpose: string, seed = settings.seed): (() => number) => seeded(purpose, seed);

/** Says what is being done, at once. */
export const step = (text: string): void => void process.stderr.write(`    ${text}\n`);
