import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { admit, inSoftware, openBatch } from '../batch.ts';
import type { World } from '../world.ts';

let world: World;
let group: string;
beforeAll(async () => {
  const batch = await openBatch('writes');
  ({ world, group } = batch);
  await admit(world, batch.label);
});
afterAll(() => world?.close());

/** Paths that were opened for writing, made, renamed or removed, as strace saw it. */
function written(trace: string): string[] {
  return [...trace.matchAll(/^(?:\d+ +)?(\w+)\((.*)\) += (?!-1)/gm)].flatMap(([, call, given]) => {
    if (/^open/.test(call!) && !/O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)/.test(given!)) return [];
    return [...given!.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, path]) => path!);
  });
}

test('[C-8] [C-19] provisioning, running and stopping write nowhere but in the state and runtime folders', async () => {
  const device = await inSoftware(world, group, 1, 1);
  const trace = join(world.folder, 'trace');
  mkdirSync(join(world.folder, 'device1'), { recursive: true });
  const calls =
    'open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,truncate,chmod,fchmodat';
  // D: a signal meets the agent, not strace, which would leave it running.
  device.start({
    prefix: ['strace', '-Dfqq', '-s', '4096', '-e', `trace=${calls}`, '-e', 'signal=none', '-o', trace],
  });
  await device.until('online', 60_000);
  await device.stop();
  const paths = [...new Set(written(readFileSync(trace, 'utf8')))];
  const home = join(world.folder, 'device1');
  const allowed = [`${home}/`, '/dev/null', '/dev/net/tun', '/proc/self/'];
  expect(paths.filter((path) => path !== home && !allowed.some((each) => path.startsWith(each)))).toEqual([]);
  expect(paths.some((path) => path.startsWith(device.state))).toBe(true);
  const end = /unlink\(".*\/control\.sock"(\) += 0| <unfinished)/;
  expect(readFileSync(trace, 'utf8'), 'it was seen to stop').toMatch(end);
});
