/**
 * Runs in a network namespace of its own: a reconciler over a real kernel, with or without a TUN. Says "ready" when it holds, each log
 * line, and "stopped" when it is over. `reconciler-child.mjs POLICY.json OWN PERSIST`; ends when its standard input does.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { Policy } from '../../../agent/network/policy.ts';
import { openReconciler } from '../../../agent/network/reconciler.ts';
import { parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { openTunDevice, startDataplane } from '../../../tunnel/client.ts';

const [file, own, persist] = process.argv.slice(2) as [string, string, string];
const read = JSON.parse(readFileSync(file, 'utf8'));
const policy: Policy = { ...read, prefixes: read.prefixes.map(parsePrefix) };
const reconciler = openReconciler(
  policy,
  (_, line) => console.log(line),
  () => {},
  ({ code, message }) => console.log(`broken ${code}: ${message}`),
);
await reconciler.start();
console.log('started');
// An interface that is there already is used as it is.
const there = own === '-' || existsSync(`/sys/class/net/${policy.device}`);
const rules = {
  own: new Uint8Array(16),
  allowIpv4: true,
  heartbeatPeriodMs: 60_000,
  heartbeatTimeoutMs: 1_000,
};
// Without a connection it takes what the host sends, and throws it away.
const device = there ? undefined : openTunDevice(policy.device);
const dataplane = device && startDataplane(device, rules, () => {});
if (own !== '-') await reconciler.attach(parseIpv6(own), device?.fd);
console.log('ready');
process.stdin.resume();
process.stdin.on('end', async () => {
  dataplane?.close();
  await reconciler.stop(persist === 'persist');
  console.log('stopped');
  process.exit(0);
});
