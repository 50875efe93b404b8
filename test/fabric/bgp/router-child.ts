import { createInterface } from 'node:readline';
import { openFirewall } from '../../../fabric/host/firewall.ts';
import { NO_SERVICES } from '../../../fabric/host/services.ts';
import { openTunnelRoutes } from '../../../fabric/host/tunnel-routes.ts';
import type { Change } from '../../../fabric/registry/records.ts';
import type { Rule } from '../../../fabric/registry/rules.ts';
import type { NetworkSource } from '../../../fabric/router/networks.ts';
import type { RuleSource } from '../../../fabric/router/rules.ts';
import { configureInterface, routeThrough } from '../../../os/linux/iproute.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatPrefix, parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { openTunDevice } from '../../../tunnel/client.ts';
import { udp } from '../packets.ts';
import {
  admitted,
  type Device,
  fakeAdmission,
  HERE,
  makeDevice,
  type Peer,
  testRouter,
} from '../router/fixture.ts';

/** A node whose router, TUN device, filter and routes are real, and whose devices are in this process; lines of JSON as in node-child.ts. */

interface Order {
  readonly kind: 'know' | 'connect' | 'send' | 'received' | 'drops' | 'leave' | 'open';
  readonly address: string;
  /** `know`: the prefix of the machines behind it; `send`: where to. */
  readonly to?: string;
  /** `send`: the machine behind the device that it comes from. */
  readonly from?: string;
  readonly mark?: number;
}

const TUN = 'enf0';
const POOL = parsePrefix('fd00:9::/48');
const [, table, protocol] = process.argv.slice(2);
const say = (answer: object): void => void process.stdout.write(`${JSON.stringify(answer)}\n`);
const log = (level: string, message: string): void => say({ log: `${level}: ${message}` });
const listeners = new Set<(change: Change) => unknown>();
let rules: readonly Rule[] = [];
const networks: NetworkSource & RuleSource = {
  networks: async () =>
    ({
      rows: ['fd00:1::/64', 'fd00:2::/64'].map((each) => ({
        prefix: parsePrefix(each),
        ...(each === 'fd00:1::/64' && { pool: POOL }),
        name: '',
        created: 0,
      })),
    }) as never,
  pool: async (network) => (formatPrefix(network) === 'fd00:1::/64' ? POOL : undefined),
  rules: async (network) => ({
    rows: rules.filter((rule) => formatPrefix(rule.network) === formatPrefix(network)),
    next: undefined,
  }),
  subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  onAdmitted: () => () => {},
};
const tun = openTunDevice(TUN, 2, true);
const firewall = await openFirewall(TUN, NO_SERVICES, log, true);
await configureInterface(TUN, 1_280, ['fd00:1::1/128', 'fd00:2::1/128']);
for (const network of ['fd00:1::/64', 'fd00:2::/64', formatPrefix(POOL)]) await routeThrough(network, TUN);
const routes = await openTunnelRoutes(TUN, { table: Number(table), protocol: Number(protocol) }, log);
const admission = fakeAdmission();
const router = await testRouter(admission, { tun, networks, rules: networks, node: HERE, routes });
const devices = new Map<string, Device>();
const peers = new Map<string, Peer>();

async function obey({ kind, address, to, from = address, mark = 1 }: Order): Promise<unknown> {
  const peer = peers.get(address);
  switch (kind) {
    case 'know': {
      const device = await makeDevice(address);
      devices.set(address, device);
      const delegated = to === undefined ? {} : { delegated: to };
      admission.set(device, 'active', `${address.split('::')[0]}::/64`, delegated);
      return {};
    }
    case 'connect':
      peers.set(address, await admitted(router, devices.get(address)!));
      return {};
    case 'send':
      peer!.send(udp(parseIpv6(from), parseIpv6(to!), mark));
      return {};
    case 'received':
      return { packets: peer!.received.map((packet) => `${toHex(packet.subarray(8, 24))} ${packet.at(-1)}`) };
    case 'drops':
      return router.counters().drops;
    case 'open': {
      // Devices of the network `address` take packets of the network `to`.
      const network = parsePrefix(address);
      const other = { kind: 'network', prefix: parsePrefix(to!) } as const;
      const every = { id: 1, place: 1, created: 0, protocol: 'any', devices: { kind: 'any' } } as const;
      rules = [{ ...every, network, other, action: 'allow', direction: 'in' }];
      for (const listener of listeners) await listener({ kind: 'network', prefix: network });
      await router.settled();
      return {};
    }
    case 'leave':
      peer!.close();
      await peer!.ending;
      return {};
  }
}

say({ ready: true });
for await (const line of createInterface({ input: process.stdin }))
  say({ done: await obey(JSON.parse(line) as Order) });
await router.close();
await routes.close();
await firewall.close();
process.exit(0);
