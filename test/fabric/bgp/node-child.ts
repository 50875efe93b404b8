import { createInterface } from 'node:readline';
import { openFirewall } from '../../../fabric/host/firewall.ts';
import { NO_SERVICES } from '../../../fabric/host/services.ts';
import { openTunnelRoutes } from '../../../fabric/host/tunnel-routes.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';

/** What a node does with the routes of its tunnels, in a process of its own: a line of JSON for each order, one for each answer. */

interface Order {
  readonly kind: 'add' | 'remove' | 'many' | 'none' | 'serving' | 'close';
  readonly address?: string;
  readonly length?: number;
  readonly metric?: number;
  readonly count?: number;
}

const [device, table, protocol] = process.argv.slice(2);
const say = (answer: object): void => void process.stdout.write(`${JSON.stringify(answer)}\n`);
const log = (level: string, message: string): void => say({ log: `${level}: ${message}` });
// Devices are neighbours on a link here, whose discovery has to pass.
const firewall = await openFirewall(device!, { ...NO_SERVICES, all: true }, log, true);
const settings = { table: Number(table), protocol: Number(protocol) };
const routes = await openTunnelRoutes(device!, settings, log);
const many = (count: number, metric: number) =>
  Array.from({ length: count }, (_, i) => ({
    address: parseIpv6(`fd00:99::${Math.floor(i / 65_536).toString(16)}:${(i % 65_536).toString(16)}`),
    length: 128,
    metric,
  }));

async function obey({ kind, address, length = 128, metric = 1_000, count = 0 }: Order): Promise<object> {
  const route = () => ({ address: parseIpv6(address!), length, metric });
  switch (kind) {
    case 'add':
      await routes.add(route());
      return {};
    case 'remove':
      routes.remove(route());
      return {};
    case 'many':
      await Promise.all(many(count, metric).map(routes.add));
      return {};
    case 'none':
      many(count, metric).forEach(routes.remove);
      return {};
    case 'serving':
      return routes.serving();
    case 'close':
      await routes.close();
      await firewall.close();
      return {};
  }
}

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order;
  say({ done: await obey(order).catch((error: { code?: string }) => ({ refused: error.code })) });
  if (order.kind === 'close') process.exit(0);
}
