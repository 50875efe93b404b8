import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Failure } from '../../../protocol/failure.ts';
import type { Option } from '../arguments.ts';
import { type Generated, generate } from './generate.ts';
import { moveToServer } from './moved.ts';
import type { Row } from './report.ts';

export const KEEP_OPTION: Option = {
  name: 'keep',
  value: 'FOLDER',
  help: 'make the registry in FOLDER and keep it: the next time with the same options it is only measured',
};

/** What the registry of a benchmark is to be. */
export interface Wanted {
  readonly bench: string;
  readonly devices: number;
  /** The file that names the server, if it is to be on one. */
  readonly registry: string | undefined;
  /** Where it is kept. */
  readonly keep: string | undefined;
  /** What is done to it while it is in a file. */
  readonly finish?: (data: string) => void;
}

/** The data folder of a fabric, and what it took to make its registry. */
export interface Prepared extends Generated {
  readonly rows: readonly Row[];
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Calls `work` with the registry, which is made before that, and removed afterwards unless it is kept. @throws Failure `bench.other-registry` */
export async function withPrepared<T>(wanted: Wanted, work: (prepared: Prepared) => Promise<T>): Promise<T> {
  const { bench, keep } = wanted;
  if (keep !== undefined) return work(kept(wanted, keep) ?? (await make(wanted, resolve(keep))));
  const folder = mkdtempSync(join(tmpdir(), `enf-${bench}-`));
  try {
    return await work(await make(wanted, folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Says what is in the folder of a registry, once it is whole. */
const LABEL = 'bench.json';

/** What has to be the same. */
const labelOf = ({ bench, devices, registry }: Wanted): string =>
  JSON.stringify({ bench, devices, registry: registry === undefined ? null : resolve(registry) });

/** The one that was made before. */
function kept(wanted: Wanted, folder: string): Prepared | undefined {
  if (!existsSync(join(folder, LABEL))) return undefined;
  const { label, prepared } = JSON.parse(readFileSync(join(folder, LABEL), 'utf8')) as {
    label: string;
    prepared: Prepared;
  };
  if (label === labelOf(wanted)) return prepared;
  throw new Failure('bench.other-registry', 'operator', `the registry in ${folder} is ${label}`, {
    action: `Give another folder than for ${labelOf(wanted)}, or the options with which this one was made.`,
  });
}

async function make(wanted: Wanted, folder: string): Promise<Prepared> {
  const { devices, registry, finish } = wanted;
  say(`registering ${devices} devices`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const generated = await generate(join(folder, 'fabric'), devices);
  finish?.(generated.data);
  if (registry !== undefined) say('moving its registry to the server');
  const rows = registry === undefined ? [] : await moveToServer(generated.data, registry, devices);
  const prepared = { ...generated, rows };
  writeFileSync(join(folder, LABEL), JSON.stringify({ label: labelOf(wanted), prepared }));
  return prepared;
}
