import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { openRouteWriter, type RouteChange } from '../../../os/linux/route-writer.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';

/** Roles in namespaces of `npm run bench:routes`; times are those of the machine's steady clock, so that they compare. */

const PORT = 9_999;
const now = (): number => Number(process.hrtime.bigint()) / 1e6;
const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

/** Sends to the address a thousand times in a second. */
export function probe(address: string): void {
  const socket = createSocket('udp6');
  socket.on('error', () => {});
  const timer = setInterval(() => socket.send(Buffer.alloc(8), PORT, address, () => {}), 1);
  process.stdin.on('end', () => {
    clearInterval(timer);
    socket.close();
  });
  process.stdin.resume();
  say('ready');
}

/** Says when the first packet came after each line of standard input. */
export function sink(): void {
  const socket = createSocket('udp6');
  let waits = false;
  socket.on('message', () => {
    if (waits) say(now());
    waits = false;
  });
  socket.bind(PORT, '::', () => say('ready'));
  createInterface({ input: process.stdin }).on('line', () => {
    waits = true;
  });
}

interface Order {
  readonly count: number;
  readonly metric: number;
  readonly remove: boolean;
  /** One route to this, instead of `count` others. */
  readonly address?: string;
}

/** Changes routes as it is told, and says when it began. */
export async function writer(device: string, table: number): Promise<void> {
  const routes = openRouteWriter(device, table, 77);
  say('ready');
  for await (const line of createInterface({ input: process.stdin })) {
    const { count, metric, remove, address } = JSON.parse(line) as Order;
    const changes = Array.from({ length: count }, (_, i): RouteChange => {
      const to = address ?? `fd00:99::${Math.floor(i / 65_536).toString(16)}:${(i % 65_536).toString(16)}`;
      return { address: parseIpv6(to), length: 128, metric, remove };
    });
    const began = now();
    const failures: unknown[] = [];
    for (let i = 0; i < count; i += 4_096)
      failures.push(...(await routes.change(changes.slice(i, i + 4_096))).filter(Boolean));
    if (failures.length > 0) throw failures[0];
    say({ began, ended: now() });
  }
}
