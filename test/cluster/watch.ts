import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** What is watched from beside: the kernels' tables of routes, and pings. Times are milliseconds since 1970, those of routes with fractions. */

export interface RouteEvent {
  readonly node: string;
  readonly at: number;
  readonly added: boolean;
  /** Whose route it is (`rtm_protocol`). */
  readonly protocol: number;
  readonly metric: number;
  readonly address: string;
  /** "::" for a device of the node itself. */
  readonly gateway: string;
}

/** Of the fabric, and of BIRD. */
export const PROTOCOL = { fabric: 77, bird: 12 } as const;

/** A tunnel as a kernel's table shows it: its node, and the number that the metric stands for. */
export interface Session {
  readonly node: string;
  readonly metric: number;
  readonly at: number;
}

export interface Routes {
  /** All so far, in the order in which they were read. */
  readonly events: readonly RouteEvent[];
  /** The newest tunnel of each address, also if it has ended. */
  readonly sessions: ReadonlyMap<string, Session>;
  /** Which nodes have a route to the address, their own or another's. */
  holders(address: string): ReadonlySet<string>;
  close(): void;
}

/** One that sends pings again and again, and hears who does not answer. */
export interface Pings {
  /** Every `periodMs` from `source` ("::": as the kernel chooses) in the namespace. */
  begin(namespace: string, way: Way): void;
  /** Those that nobody has answered within two seconds. */
  readonly lost: readonly { readonly way: Way; readonly at: number }[];
  counts(): Promise<{ readonly sent: number; readonly answered: number }>;
  close(): void;
}

/** `router`: an agent and its router's host; `peer`: two agents of different hosts; `host`: a node's host and an agent. */
export interface Way {
  readonly kind: 'router' | 'peer' | 'host';
  readonly periodMs: number;
  readonly source: string;
  readonly destination: string;
  /** The node of `host`. */
  readonly node?: string;
}

const linesOf = (child: ChildProcess, take: (line: string) => void): void =>
  void createInterface({ input: child.stdout! }).on('line', take);

function startProgram(namespace: string, command: readonly string[]): ChildProcess {
  const child = spawn('ip', ['netns', 'exec', namespace, ...command], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin!.on('error', () => {});
  return child;
}

/** `program`: routes.c. */
export function watchRoutes(
  program: string,
  nodes: readonly { readonly name: string; readonly namespace: string }[],
  table: number,
): Routes {
  const events: RouteEvent[] = [];
  const sessions = new Map<string, Session>();
  /** Of each address, by node: how many routes it has there. */
  const held = new Map<string, Map<string, number>>();
  const children = nodes.map(({ name, namespace }) => {
    const child = startProgram(namespace, [program, String(table)]);
    linesOf(child, (line) => {
      const [sign, protocol, metric, address, gateway, at] = line.split(' ') as [
        string,
        string,
        string,
        string,
        string,
        string,
      ];
      const event: RouteEvent = {
        node: name,
        at: Number(at) / 1_000,
        added: sign === '+',
        protocol: Number(protocol),
        metric: Number(metric),
        ...{ address, gateway },
      };
      events.push(event);
      const there = held.get(address) ?? new Map<string, number>();
      held.set(address, there);
      const key = `${name} ${protocol} ${metric}`;
      if (event.added) there.set(key, 1);
      else there.delete(key);
      if (event.added && event.protocol === PROTOCOL.fabric)
        sessions.set(address, { node: name, metric: event.metric, at: event.at });
    });
    return child;
  });
  return {
    events,
    sessions,
    holders: (address) => new Set([...(held.get(address)?.keys() ?? [])].map((key) => key.split(' ')[0]!)),
    close() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

/** `program`: pings.c. */
export function startPings(program: string): Pings {
  const lost: { way: Way; at: number }[] = [];
  const senders = new Map<string, { child: ChildProcess; ways: Way[]; asked: ((line: string) => void)[] }>();
  const senderIn = (namespace: string) => {
    const known = senders.get(namespace);
    if (known !== undefined) return known;
    const sender = {
      child: startProgram(namespace, [program]),
      ways: [] as Way[],
      asked: [] as ((line: string) => void)[],
    };
    linesOf(sender.child, (line) => {
      if (line.startsWith('=')) {
        sender.asked.shift()?.(line);
        return;
      }
      const [number, at] = line.split(' ').map(Number) as [number, number];
      lost.push({ way: sender.ways[number]!, at });
    });
    senders.set(namespace, sender);
    return sender;
  };
  return {
    lost,
    begin(namespace, way) {
      const { child, ways } = senderIn(namespace);
      child.stdin!.write(`${ways.length} ${way.periodMs} ${way.source} ${way.destination}\n`);
      ways.push(way);
    },
    async counts() {
      const all = await Promise.all(
        [...senders.values()].map(async ({ child, asked }) => {
          const answer = new Promise<string>((resolve) => asked.push(resolve));
          child.stdin!.write('?\n');
          const line = await Promise.race([answer, once(child, 'exit').then(() => '= 0 0')]);
          return line.split(' ').slice(1).map(Number) as [number, number];
        }),
      );
      const sum = (at: 0 | 1): number => all.reduce((total, each) => total + each[at], 0);
      return { sent: sum(0), answered: sum(1) };
    },
    close() {
      for (const { child } of senders.values()) child.kill('SIGKILL');
    },
  };
}
