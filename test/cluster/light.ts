import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseConfig } from '../../agent/config/config.ts';
import { type Driver, startDriver } from '../../agent/service/driver.ts';
import { type Effects, openEffects } from '../../agent/service/effects.ts';
import { sourceTowards } from '../../os/linux/netlink.ts';
import { systemClocks } from '../../os/service/process.ts';
import { isFailure } from '../../protocol/failure.ts';
import { formatIpv6 } from '../../protocol/ipv6.ts';
import { openTunDevice } from '../../tunnel/client.ts';

/**
 * Many agents in one process and one namespace: each is the agent's service with a state, a TUN device and a lifecycle of its own. What it lacks of a program
 * is the control socket and the reconciler, in place of which its address is routed by its source.
 */

/** What a line of the standard input asks for. */
export type Order =
  | { readonly order: 'start'; readonly agent: Placed }
  | { readonly order: 'stop' | 'renew' | 'move'; readonly number: number };

export interface Placed {
  readonly number: number;
  /** Folder with its credential. */
  readonly credential: string;
  readonly state: string;
  readonly hosts: readonly string[];
}

/** What a line of the standard output says; `at` in milliseconds since 1970. */
export type Said = { readonly number: number; readonly at: number } & (
  | { readonly kind: 'situation'; readonly situation: string; readonly trouble?: string | undefined }
  /** A handshake has given it, and it is durable. */
  | { readonly kind: 'address'; readonly address: string }
  /** The router has answered through the tunnel. */
  | { readonly kind: 'up'; readonly router: string }
  | { readonly kind: 'down'; readonly code: string }
  | { readonly kind: 'verdict'; readonly verdict: string }
  | { readonly kind: 'stopped' }
  /** A handshake, a move or the stop. */
  | { readonly kind: 'failed'; readonly code: string }
);

interface Running {
  readonly driver: Driver;
  readonly effects: Effects;
}

export const deviceOf = (number: number): string => `enf${number}`;
/** Routing tables of their own; 100 is the fabric's. */
const FIRST_TABLE = 1_000;
const RULE_PRIORITY = '1000';

/** Ends when the standard input does. */
export async function runLight(): Promise<void> {
  const agents = new Map<number, Running>();
  const say = (said: Said): void => void process.stdout.write(`${JSON.stringify(said)}\n`);
  const failed =
    (number: number) =>
    (error: unknown): void => {
      const code = isFailure(error) ? error.code : String(error);
      say({ number, at: Date.now(), kind: 'failed', code });
    };
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line) as Order;
    if (order.order === 'start') {
      agents.set(order.agent.number, start(order.agent, say));
      continue;
    }
    const { number } = order;
    const running = agents.get(number)!;
    if (order.order === 'renew') running.driver.renew();
    else if (order.order === 'move') running.effects.move!().catch(failed(number));
    else {
      agents.delete(number);
      running.driver.stop().then(() => say({ number, at: Date.now(), kind: 'stopped' }), failed(number));
    }
  }
}

function start({ number, credential, state, hosts }: Placed, say: (said: Said) => void): Running {
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const text = (value: unknown): string => JSON.stringify(value);
  const config = parseConfig(
    `[remote]
    hosts = ${text(hosts)}
    [identity]
    mode = "software"
    credential-dir = ${text(credential)}
    [state]
    directory = ${text(state)}
    [tunnel]
    device = ${text(deviceOf(number))}`,
    `agent ${number}`,
  );
  const own = openEffects(
    config,
    () => {},
    {
      openTun: openTunDevice,
      sourceTowards,
      openReconciler: () => ({
        start: async () => {},
        attach: (address) => attach(number, formatIpv6(address)),
        stop: async () => {},
      }),
      openDelegatedLan: () => {
        throw new Error('no LAN is configured');
      },
      resolved: {
        read: async () => ({ servers: [], domains: [] }),
        set: async () => {},
        revert: async () => {},
      },
    },
    { clocks: systemClocks },
  );
  const tell = (what: DistributedOmit<Said, 'number' | 'at'>): void =>
    say({ number, at: Date.now(), ...what } as Said);
  const told = async (answer: Promise<string>): Promise<string> => {
    try {
      const address = await answer;
      tell({ kind: 'address', address });
      return address;
    } catch (error) {
      tell({ kind: 'failed', code: isFailure(error) ? error.code : String(error) });
      throw error;
    }
  };
  const effects: Effects = {
    ...own,
    provision: (address) => told(own.provision(address)),
    renew: (address) => told(own.renew(address)),
    connect: (report) =>
      own.connect((event) => {
        if (event.kind === 'up') tell({ kind: 'up', router: event.router.split(' ')[0]! });
        if (event.kind === 'down') tell({ kind: 'down', code: event.failure.code });
        if (event.kind === 'verdict') tell({ kind: 'verdict', verdict: event.verdict.kind });
        report(event);
      }),
  };
  const driver = startDriver({
    effects,
    clock: systemClocks.steadyMs,
    chance: Math.random,
    log: () => {},
    onChange: (situation) =>
      tell({
        kind: 'situation',
        situation: situation.kind,
        ...('trouble' in situation && { trouble: situation.trouble?.code }),
      }),
  });
  return { driver, effects };
}

type DistributedOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** What it sends with its address goes through its interface, also where another agent of this namespace has the destination's network. */
function attach(number: number, address: string): Promise<void> {
  const [device, table] = [deviceOf(number), String(FIRST_TABLE + number)];
  const rule = `from ${address} lookup ${table} priority ${RULE_PRIORITY}`;
  const commands = [
    `link set dev ${device} addrgenmode none`,
    `link set dev ${device} mtu 1280 up`,
    `addr replace ${address}/128 dev ${device} nodad`,
    `route replace default dev ${device} table ${table}`,
    `rule del ${rule}`, // of an interface that was there before
    `rule add ${rule}`,
  ];
  return new Promise((resolve) => {
    const child = execFile('ip', ['-6', '-force', '-batch', '-'], () => resolve());
    child.stdin!.end(`${commands.join('\n')}\n`);
  });
}
