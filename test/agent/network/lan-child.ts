/** Runs in a network namespace: a data plane without a connection and the LAN side over it. `lanchild.mjs OWN` */
import { openLan } from '../../../agent/network/lan.ts';
import { openTunnel } from '../../../agent/tunnel/tunnel.ts';
import { configureInterface } from '../../../os/linux/iproute.ts';
import { parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { openTunDevice } from '../../../tunnel/client.ts';

const own = parseIpv6(process.argv[2]!);
const device = openTunDevice('enf0');
await configureInterface('enf0', 1_280, []);
const rules = { own, allowIpv4: false, heartbeatPeriodMs: 60_000, heartbeatTimeoutMs: 10_000 };
const tunnel = openTunnel(
  device,
  rules,
  { selfReport: () => ({ version: 'test' }), request: () => undefined, receive: async () => undefined },
  (packet) => lan.receive(packet),
);
const prefixes = [parsePrefix('fd00:77::/32')];
const lan = openLan({ own, mtu: 1_280, prefixes, defaultRoute: true, periodMs: 600_000 }, tunnel.deliver);
console.log('ready');
process.stdin.resume();
process.stdin.on('end', () => {
  lan.close();
  tunnel.close();
  console.log('stopped');
  process.exit(0);
});
