import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BenchGroup, makeGroup } from '../bench/admit/fleet.ts';
import { program } from '../e2e/world.ts';
import { fileSystem, type Recording, VolatileDisk } from '../qemu/disk.ts';
import { exportDisk } from './disk.ts';
import { told } from './expectations.ts';
import { certificates, load, type Work } from './load.ts';
import { serveOnDisk } from './serving.ts';

const execute = promisify(execFile);

const NETWORK = 'fd00:e4f:9::/64';

/** A fabric that was founded, in the folder `fabric` of a tree. */
export interface Founded {
  readonly folder: string;
  readonly tree: string;
  readonly group: BenchGroup;
}

export async function found(folder: string): Promise<Founded> {
  const [tree, label] = [join(folder, 'tree'), join(folder, 'label')];
  mkdirSync(tree);
  const group = makeGroup('Gateways');
  writeFileSync(label, group.label);
  const data = ['--data', join(tree, 'fabric')];
  const [node, ...script] = program('fabric');
  const run = (...words: string[]) => execute(node!, [...script, ...words, ...data]);
  await run('init');
  await run('network', 'add', NETWORK);
  await run('group', 'add', '--label', label, '--network', NETWORK);
  return { folder, tree, group };
}

/**
 * What the fabric writes to its disk while it works, with the marks of what its clients were told. `faults`: a module that Node loads
 * before the fabric, which then is a worse one.
 */
export async function record(
  { folder, tree, group }: Founded,
  work: Work,
  faults?: string,
): Promise<Recording> {
  const disk = new VolatileDisk(fileSystem(join(folder, 'blank.ext4'), tree), []);
  const mount = join(folder, 'mount');
  mkdirSync(mount, { recursive: true });
  const exported = await exportDisk(disk, folder);
  try {
    const environment = faults === undefined ? {} : { NODE_OPTIONS: `--import=${faults}` };
    const serving = await serveOnDisk(exported.file, mount, environment);
    try {
      await execute('sync', ['--file-system', serving.data]);
      disk.record();
      const mark = (text: string): void => disk.mark(text);
      for (const [subject, value] of await certificates(serving)) mark(told(subject, value));
      await load({ serving, group, mark }, work);
      return disk.recorded();
    } finally {
      await serving.kill();
    }
  } finally {
    await exported.close();
  }
}
