import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bundle } from '../../bundle.ts';

const folder = mkdtempSync(join(tmpdir(), 'enf-links-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('[H-B2] the prefixes of the machine’s links, without link-local ones and those of our interface', async () => {
  const child = join(folder, 'links-child.mjs');
  await bundle(new URL('links-child.ts', import.meta.url), child);
  const script = `
    ip link set lo up
    for each in up0 enf0; do ip link add $each type veth peer name x$each; ip link set x$each up; ip link set $each up; done
    ip -6 addr add 2001:db8:5::2/64 dev up0 nodad
    ip -6 addr add fd00:5::2/48 dev up0 nodad
    ip -6 addr add fd00:1::2/64 dev enf0 nodad
    ${process.execPath} ${child} enf0; ${process.execPath} ${child} other`;
  const found = execFileSync('unshare', ['--net', 'sh', '-ec', script], { encoding: 'utf8' });
  const lines = found.trim().split('\n');
  expect(lines.map((line) => line.split(' ').sort())).toEqual([
    ['2001:db8:5::/64', 'fd00:5::/48'],
    ['2001:db8:5::/64', 'fd00:1::/64', 'fd00:5::/48'],
  ]);
});
