import { execFileSync } from 'node:child_process';
import { must } from './batch.ts';
import { runIn } from './process.ts';

/** A host beyond the fabric's, which forwards to it. */
export const OUTSIDE = 'fd77:1::2';
/** The fabric's host, as that one sees it. */
export const TOWARDS_OUTSIDE = 'fd77:1::1';

/** Makes the host, and returns its namespace, which is the caller's to delete. `fabric`: the namespace of the fabric's host. */
export async function addOutside(fabric: string): Promise<string> {
  const outside = `${fabric}-out`;
  execFileSync('ip', ['netns', 'add', outside]);
  const pair = ['out0', 'type', 'veth', 'peer', 'name', 'in0', 'netns', outside];
  execFileSync('ip', ['-n', fabric, 'link', 'add', ...pair]);
  for (const [namespace, link, own] of [
    [fabric, 'out0', TOWARDS_OUTSIDE],
    [outside, 'in0', OUTSIDE],
  ] as const) {
    await must(runIn(namespace, ['ip', 'link', 'set', 'lo', 'up']));
    await must(runIn(namespace, ['ip', 'link', 'set', link, 'up']));
    await must(runIn(namespace, ['ip', 'addr', 'add', `${own}/64`, 'dev', link, 'nodad']));
  }
  await must(runIn(fabric, ['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']));
  await must(runIn(outside, ['ip', '-6', 'route', 'add', 'default', 'via', TOWARDS_OUTSIDE]));
  return outside;
}
